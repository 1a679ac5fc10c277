//! N: what the backend says of itself is true, in errors and in claims.

use super::remote;
use crate::body;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::report::{CaseResult, Report, Status};
use crate::trial::{Trial, not_applicable};
use crate::unclaimed;
use crate::watch::{Met, refused};
use holdall_plugin_api::{
    Capabilities, Capability, ErrorKind, Family, List, Method, Operation, SignUrl, Upload,
};
use std::sync::PoisonError;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    case!(
        "N-02",
        Tag::Core,
        "every capability that is not claimed is refused, fast",
        unclaimed_is_refused
    ),
    case!(
        "N-04",
        Tag::Core,
        "the limits that are claimed are true: met, it works; passed by one, it is refused",
        limits
    )
    .within(60),
    case!(
        "N-05",
        Tag::Need("http"),
        "the provider's status, code and request id arrive in the error",
        remote::provider_facts
    ),
    case!(
        "N-06",
        Tag::Need("http"),
        "every bad answer of a server has its kind and retry class, and never gives other bytes",
        remote::bad_answers
    )
    .within(240),
    case!(
        "N-07",
        Tag::Need("http"),
        "without an answer, it is Unavailable or Timeout, in time",
        remote::no_answer
    )
    .within(600),
    case!(
        "N-08",
        Tag::Need("http"),
        "a missing container is distinguished from a missing key",
        remote::two_absences
    ),
    case!(
        "N-01",
        Tag::Core,
        "every error of this run is well-formed: kind, status, place, text, no secret",
        well_formed
    ),
    case!(
        "N-03",
        Tag::Core,
        "every claim is proven by a case that passed",
        claims_are_proven
    ),
];

async fn well_formed(t: &Trial) -> Outcome {
    let secrets = t.stage().secrets();
    let met = t.shared.met.lock().unwrap_or_else(PoisonError::into_inner);
    if met.is_empty() {
        return not_applicable("no error was met");
    }
    for one in met.iter() {
        check(one, &secrets).map_err(|why| {
            Stop::Failed(format!(
                "in {}, {}: {why}; {:?}",
                one.case, one.operation, one.error
            ))
        })?;
    }
    Ok(())
}

fn check(met: &Met, secrets: &[String]) -> Result<(), String> {
    let Met {
        operation,
        keys,
        error,
        ..
    } = met;
    let kind = error.kind();
    let must = |holds: bool, why: String| if holds { Ok(()) } else { Err(why) };
    must(ErrorKind::ALL.contains(&kind), "the kind is unknown".into())?;
    must(!error.code().is_empty(), "the code is empty".into())?;
    let statuses: &[u16] = match kind.family() {
        Family::FileNotFound => &[404],
        Family::QuotaExceeded => &[403],
        Family::InvalidFileType => &[400],
        Family::StorageError => &[304, 400, 409, 412, 413, 416, 499, 500, 501],
        family => return Err(format!("the family {} is unknown", family.name())),
    };
    must(
        statuses.contains(&kind.status()),
        format!("status {}", kind.status()),
    )?;
    let place = error.place();
    // What the host emulates may say which of its steps failed.
    must(place.operation.is_some(), "no operation".into())?;
    must(
        place
            .backend
            .as_deref()
            .is_some_and(|name| !name.is_empty()),
        "no backend".into(),
    )?;
    if !keys.is_empty() {
        let named = place.key.as_ref().is_some_and(|key| keys.contains(key));
        must(
            named,
            format!("{operation} of {keys:?} names the key {:?}", place.key),
        )?;
    }
    let shown = format!("{error} {error:?}");
    must(!error.to_string().is_empty(), "no message".into())?;
    must(
        !error.to_string().contains('\n'),
        "more than one line".into(),
    )?;
    let leaked = secrets.iter().any(|secret| shown.contains(secret));
    must(!leaked, "a secret is shown".into())
}

async fn unclaimed_is_refused(t: &Trial) -> Outcome {
    let mut asked = 0;
    for capability in Capability::ALL.iter().filter(|one| !t.claims(**one)) {
        match unclaimed::is_refused(t, *capability).await {
            Ok(()) => asked += 1,
            Err(Stop::NotApplicable(_)) => {}
            Err(found) => return Err(found),
        }
    }
    match asked {
        0 => not_applicable("every capability that a request can use is claimed"),
        _ => Ok(()),
    }
}

async fn claims_are_proven(t: &Trial) -> Outcome {
    let results = t
        .shared
        .results
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    proven(&results, t.info().capabilities)
}

/// N-03 as a judgement of results alone.
fn proven(results: &[CaseResult], claims: Capabilities) -> Outcome {
    let status = |id: &str| {
        results
            .iter()
            .find(|one| one.id == id)
            .map(|one| one.status)
    };
    let mut judged = 0;
    for capability in claims.iter() {
        let proofs = super::all()
            .iter()
            .filter(|case| case.proven().any(|one| one == capability));
        // Of those that ran: what could not be asked here is neither proof nor its lack.
        let ended: Vec<_> = proofs
            .filter_map(|case| Some((case.id, status(case.id)?)))
            .collect();
        let asked = ended
            .iter()
            .filter(|(_, status)| *status != Status::NotApplicable);
        let failed: Vec<_> = asked
            .clone()
            .filter(|(_, status)| *status != Status::Passed)
            .map(|(id, _)| *id)
            .collect();
        ensure!(
            failed.is_empty(),
            "`{capability}` is claimed, but {failed:?} did not pass"
        );
        judged += usize::from(asked.count() > 0);
    }
    match judged {
        0 => not_applicable("no case before this one proves a claim"),
        _ => Ok(()),
    }
}

impl Report {
    /// Joins the results of runs that were made apart, each of some cases: one result for each case,
    /// in the order of the registry, and N-03 judged over all of them.
    ///
    /// A case that several runs had is the worst of its results.
    #[must_use]
    pub fn join(mut self) -> Self {
        let claimed = |one: &&Capability| self.capabilities.iter().any(|name| name == one.name());
        let claims = Capability::ALL.iter().filter(claimed);
        let claims = claims.fold(Capabilities::EMPTY, |all, one| all.with((*one).into()));
        let mut joined: Vec<CaseResult> = Vec::new();
        for case in super::all() {
            let results = self.results.iter().filter(|one| one.id == case.id);
            let Some(worst) = results.max_by_key(|one| one.status.gravity()) else {
                continue;
            };
            let mut worst = worst.clone();
            if case.id == "N-03" {
                (worst.status, worst.message) = crate::run::verdict(proven(&joined, claims));
            }
            joined.push(worst);
        }
        self.results = joined;
        self
    }
}

/// Longest object that is made to see whether a limit is true.
const LARGEST: u64 = 64 << 20;

async fn limits(t: &Trial) -> Outcome {
    let limits = t.info().limits;
    let mut asked = 0;
    if let Some(max) = limits.max_key_bytes {
        let room = (max as usize).saturating_sub(t.prefix().len());
        let fill: String = "0123456789/".chars().cycle().take(room).collect();
        let mut longest = t.key(&fill);
        // A key does not end in a slash.
        if longest.ends_with('/') {
            longest.pop();
            longest.push('x');
        }
        t.put(&longest, "x").await?;
        t.holds(&longest, b"x").await?;
        let over = t.upload(Upload::new(&format!("{longest}x"), "x")).await;
        refused(over, ErrorKind::InvalidKey, "a key of one byte too many")?;
        asked += 1;
    }
    if t.claims(Capability::UserMetadata) {
        let max = limits.max_metadata_bytes as usize;
        let key = t.key("metadata");
        let value = "v".repeat(max - "name".len());
        t.upload(Upload::new(&key, "x").metadata("name", &value))
            .await?;
        let (info, _) = t.read(&key).await?;
        let whole = info.metadata == [("name".to_owned(), value.clone())];
        ensure!(whole, "{max} bytes of metadata do not come back");
        let over = format!("{value}v");
        let answer = t
            .upload(Upload::new(&key, "x").metadata("name", &over))
            .await;
        refused(
            answer,
            ErrorKind::InvalidArgument,
            "metadata of one byte too many",
        )?;
        asked += 1;
    }
    if t.has(Operation::List) {
        t.list(List::new("").limit(limits.max_page.min(1000)))
            .await?;
        let answer = t
            .list(List::new("").limit(limits.max_page.min(1000) + 1))
            .await;
        refused(
            answer,
            ErrorKind::InvalidArgument,
            "a page of one entry too many",
        )?;
        asked += 1;
    }
    if let Some(max) = limits.max_object_size {
        let key = t.key("object");
        if max <= LARGEST {
            let bytes = data::bytes(max as usize, 1);
            t.put(&key, bytes.clone()).await?;
            t.holds(&key, &bytes).await?;
        }
        let (body, pulls) = body::counted("x");
        let answer = t
            .upload(Upload::new(&key, body).length(max.saturating_add(1)))
            .await;
        refused(
            answer,
            ErrorKind::TooLarge,
            "an object of one byte too many",
        )?;
        ensure!(
            pulls.count() == 0,
            "a body that is too large by its stated length was read"
        );
        asked += 1;
    }
    if let Some(max) = limits.max_conditional_size {
        let key = t.key("conditional");
        if max <= LARGEST && t.claims(Capability::CreateOnly) {
            let bytes = data::bytes(max as usize, 1);
            t.upload(Upload::new(&key, bytes.clone()).create_only())
                .await?;
            t.holds(&key, &bytes).await?;
        }
        for capability in [Capability::CreateOnly, Capability::IfMatchPut] {
            if !t.claims(capability) {
                continue;
            }
            let (body, pulls) = body::counted("x");
            let upload = Upload::new(&key, body).length(max.saturating_add(1));
            let upload = match capability {
                Capability::CreateOnly => upload.create_only(),
                _ => upload.if_match("kit"),
            };
            refused(
                t.upload(upload).await,
                ErrorKind::TooLarge,
                "an upload under a condition of one byte too many",
            )?;
            ensure!(
                pulls.count() == 0,
                "a body that is too large for its condition was read"
            );
            asked += 1;
        }
    }
    if let Some(max) = limits.max_sign_seconds {
        let life = Duration::from_secs(max.into());
        for method in [Method::Get, Method::Put] {
            t.signed_url(SignUrl::new(method, &t.key("object"), life))
                .await?;
        }
        asked += 1;
    }
    match asked {
        0 => not_applicable("it claims no limit"),
        _ => Ok(()),
    }
}
