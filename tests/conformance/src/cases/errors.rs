//! N: what the backend says of itself is true, in errors and in claims.

use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::report::Status;
use crate::trial::{Trial, not_applicable};
use crate::unclaimed;
use crate::watch::Met;
use holdall_plugin_api::{Capability, ErrorKind, Family};
use std::sync::PoisonError;

pub(super) const CASES: &[Case] = &[
    case!(
        "N-01",
        Tag::Core,
        "every error of this run is well-formed: kind, status, place, text, no secret",
        well_formed
    ),
    case!(
        "N-02",
        Tag::Core,
        "every capability that is not claimed is refused, fast",
        unclaimed_is_refused
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
    let status = |id: &str| {
        results
            .iter()
            .find(|one| one.id == id)
            .map(|one| one.status)
    };
    let mut judged = 0;
    for capability in t.facts().capabilities.iter() {
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
