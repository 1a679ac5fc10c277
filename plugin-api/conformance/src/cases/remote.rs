//! Cases of several groups that ask what a backend makes of a server's bad days. The server is an
//! [`Endpoint`], so that every bad day can be had at will (`NEED:http`).

use crate::case::{Outcome, Stop, ensure};
use crate::trial::{Trial, not_applicable};
use crate::watch::{Watched, drain};
use crate::wire::{Dialect, Endpoint, Fault, REQUEST_ID, RETRY_AFTER, Reply, refused_url};
use crate::{body, data};
use bytes::Bytes;
use holdall_plugin_api::{
    ByteRange, Capability, CopyObject, Download, Error, ErrorKind, Head, List, Operation, Result,
    Retry, Upload,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest that a backend may need to find out that the server does not answer: two seconds for connecting, two
/// for waiting, and slack for a busy machine. Each repeat that it claims has as long.
const IN_TIME: Duration = Duration::from_secs(20);

/// A backend and the server that it talks to.
struct Remote {
    endpoint: Endpoint,
    subject: Watched,
    dialect: Dialect,
}

const NO_HTTP: &str = "it speaks no HTTP, or the stage does not point it at a server";

/// Opens while the server is at its best.
async fn remote(t: &Trial) -> Outcome<Remote> {
    let dialect = t.stage().dialect();
    let endpoint = Endpoint::always(dialect.container()).await;
    let Some(opening) = t.stage().at(t.new_store(), &endpoint.url()) else {
        return not_applicable(NO_HTTP);
    };
    let subject = t.watch(opening.await?);
    endpoint.take_seen();
    Ok(Remote {
        endpoint,
        subject,
        dialect,
    })
}

impl Remote {
    /// Another instance at the same server. The host gives one up whose credentials were refused,
    /// and keeps callers from the store for a while: that is its own business, not the plugin's.
    async fn reopen(&mut self, t: &Trial) -> Outcome {
        self.endpoint.then_always(self.dialect.container());
        let Some(opening) = t.stage().at(t.new_store(), &self.endpoint.url()) else {
            return not_applicable(NO_HTTP);
        };
        self.subject = t.watch(opening.await?);
        Ok(())
    }
}

/// Ends the case where the backend needs longer.
async fn in_time<T>(t: &Trial, what: &str, call: impl Future<Output = T>) -> Outcome<T> {
    let limit = IN_TIME * (1 + t.info().limits.retries);
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Stop::Failed(format!(
            "{what}: no answer after {} s",
            limit.as_secs()
        ))),
    }
}

/// Fails unless the answer is one of these errors, and it says so.
fn is_one_of<T>(answer: Result<T>, kinds: &[ErrorKind], what: &str) -> Outcome<Error> {
    let codes: Vec<_> = kinds.iter().map(|kind| kind.code()).collect();
    match answer {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => Err(Stop::Failed(format!(
            "{what}: expected {codes:?}, found {error} [{}], {:?}",
            error.code(),
            error.cause()
        ))),
        Ok(_) => Err(Stop::Failed(format!(
            "{what}: expected {codes:?}, found success"
        ))),
    }
}

/// The calls that have no effect when they fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Download,
    Part,
    Exists,
    Head,
    Upload,
    List,
}

impl Call {
    async fn make(self, subject: &Watched, key: &str) -> Result<()> {
        match self {
            Call::Download => subject.read(key).await.map(drop),
            Call::Part => {
                let part = Download::new(key).range(ByteRange::Bounded(10..20));
                drain(subject.download(part).await?).await.map(drop)
            }
            // Absence is an answer; what is asked here is the error.
            Call::Exists => subject.exists(key).await.map(drop),
            Call::Head => subject.head(Head::new(key)).await.map(drop),
            Call::Upload => subject.upload(Upload::new(key, "the body")).await.map(drop),
            Call::List => subject.list(List::new("kit/")).await.map(drop),
        }
    }

    /// Whether an answer to it has a body, which may name the provider's code.
    fn has_body(self) -> bool {
        !matches!(self, Call::Exists | Call::Head)
    }

    fn all(subject: &Watched) -> Vec<Call> {
        let list = subject.has(Operation::List).then_some(Call::List);
        [Call::Download, Call::Exists, Call::Head, Call::Upload]
            .into_iter()
            .chain(list)
            .collect()
    }
}

/// What a fault may become: kinds, and whether a repeat helps.
fn becomes(fault: Fault, dialect: Dialect, named: bool) -> (&'static [ErrorKind], Again) {
    use ErrorKind as K;
    use Fault as F;
    match fault {
        F::BadRequest => (&[K::InvalidArgument, K::Other], Again::No),
        // Only a body or a header tells these from each other.
        F::Denied if named => (&[K::PermissionDenied], Again::No),
        F::ExpiredCredentials if dialect != Dialect::Azure && named => {
            (&[K::Unauthenticated], Again::Either)
        }
        F::Denied | F::BadCredentials => {
            (&[K::PermissionDenied, K::Unauthenticated], Again::Either)
        }
        F::ExpiredCredentials | F::ClockSkew => (
            &[
                K::PermissionDenied,
                K::Unauthenticated,
                K::InvalidArgument,
                K::Other,
            ],
            Again::Either,
        ),
        F::NoSuchKey => (&[K::FileNotFound], Again::No),
        F::NoSuchContainer => (&[K::ContainerMissing], Again::No),
        F::Conflict => (&[K::Conflict], Again::Either),
        F::PreconditionFailed => (&[K::PreconditionFailed], Again::No),
        F::InvalidRange => (&[K::InvalidRange], Again::No),
        F::TooManyRequests => (&[K::RateLimited], Again::Later),
        // Without a word for it, 503 is all the same.
        F::SlowDown if dialect.code(fault).is_some() && named => (&[K::RateLimited], Again::Later),
        F::SlowDown => (&[K::RateLimited, K::Unavailable], Again::Later),
        F::Internal => (&[K::Unavailable], Again::Yes),
        F::Unavailable => (&[K::Unavailable, K::RateLimited], Again::Yes),
        F::Full => (&[K::QuotaExceeded], Again::No),
    }
}

/// What the retry class must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    Yes,
    Later,
    Either,
}

impl Again {
    fn fits(self, retry: Retry) -> bool {
        match self {
            Again::No => retry == Retry::Never,
            Again::Yes => retry != Retry::Never,
            Again::Later => retry == Retry::After(Duration::from_secs(RETRY_AFTER)),
            Again::Either => true,
        }
    }
}

/// The server has the container, and in it not this key. (Plain HTTP has one 404 for both.)
fn without_key(remote: &Remote, key: &str) {
    let dialect = remote.dialect;
    let last = key.rsplit('/').next().unwrap_or_default().to_owned();
    remote.endpoint.then(move |request| {
        match dialect == Dialect::Plain || request.target.contains(&last) {
            true => dialect.fault(Fault::NoSuchKey),
            false => dialect.container(),
        }
    });
}

/// N-06, the statuses.
async fn statuses(t: &Trial, remote: &mut Remote) -> Outcome {
    use Fault as F;
    let everywhere = [
        F::BadRequest,
        F::Denied,
        F::BadCredentials,
        F::ExpiredCredentials,
        F::TooManyRequests,
        F::SlowDown,
        F::Internal,
        F::Unavailable,
        F::Full,
    ];
    // A list and no iterator: its closures would live across awaits.
    let mut asked = Vec::new();
    for fault in everywhere {
        asked.extend(
            Call::all(&remote.subject)
                .into_iter()
                .map(|call| (fault, call)),
        );
    }
    asked.extend([
        (F::NoSuchKey, Call::Download),
        (F::Conflict, Call::Upload),
        (F::PreconditionFailed, Call::Download),
        (F::InvalidRange, Call::Part),
    ]);
    for (fault, call) in asked {
        let reply = remote.dialect.fault(fault);
        let key = t.key("object");
        match fault {
            F::NoSuchKey => without_key(remote, &key),
            _ => remote.endpoint.then_always(reply),
        }
        let what = format!("{call:?} answered with {fault:?}");
        let answer = in_time(t, &what, call.make(&remote.subject, &key)).await?;
        // Azure names its codes in a header too.
        let named = call.has_body() || remote.dialect == Dialect::Azure;
        let (kinds, again) = becomes(fault, remote.dialect, named);
        let error = is_one_of(answer, kinds, &what)?;
        ensure!(
            again.fits(error.retry()),
            "{what}: the retry class is {:?}",
            error.retry()
        );
        if error.kind() == ErrorKind::Unauthenticated {
            remote.reopen(t).await?;
        }
    }
    Ok(())
}

/// N-06, answers that are none.
async fn garbage(t: &Trial, remote: &Remote) -> Outcome {
    let html = "<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>";
    let page = |status| {
        Reply::new(status)
            .header("content-type", "text/html")
            .body(html)
    };
    let key = t.key("object");
    for call in Call::all(&remote.subject) {
        remote.endpoint.then_always(page(502));
        let what = format!("{call:?} answered with 502 and HTML");
        let answer = in_time(t, &what, call.make(&remote.subject, &key)).await?;
        is_one_of(answer, &[ErrorKind::Unavailable], &what)?;
    }
    // Plain HTTP cannot tell a page from an object; a provider's answer has headers of its own.
    if remote.dialect != Dialect::Plain {
        remote.endpoint.then_always(page(200));
        let what = "a download answered with a page of HTML";
        let answer = in_time(t, what, remote.subject.read(&key)).await?;
        ensure!(answer.is_err(), "{what} gives its bytes as the object");
    }
    if remote.subject.has(Operation::List) {
        let whole = String::from_utf8_lossy(
            b"<?xml version=\"1.0\"?><ListBucketResult><Contents><Key>kit/a</Key>",
        );
        let error = remote.dialect.document("InternalError");
        for (what, status, body) in [
            ("a page of HTML", 200, html),
            ("half a document", 200, &*whole),
            ("nothing", 200, ""),
            ("an error in a 200", 200, &*error),
            (
                "half a multistatus",
                207,
                "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\"><D:response>",
            ),
        ] {
            let reply = Reply::new(status)
                .header("content-type", "application/xml")
                .body(body.to_owned());
            remote.endpoint.then_always(reply);
            let what = format!("a listing answered with {what}");
            let answer = in_time(t, &what, remote.subject.list(List::new("kit/"))).await?;
            let error = match answer {
                Err(error) => error,
                Ok(page) => return Err(Stop::Failed(format!("{what} is {page:?}"))),
            };
            ensure!(error.kind() != ErrorKind::FileNotFound, "{what} is {error}");
        }
    }
    if remote.subject.claims(Capability::ServerCopy) && remote.dialect == Dialect::S3 {
        let reply = Reply::new(200)
            .header("content-type", "application/xml")
            .body(remote.dialect.document("InternalError"));
        remote.endpoint.then_always(reply);
        let what = "a copy answered with an error in a 200";
        let to = t.key("copy");
        let answer = in_time(t, what, remote.subject.copy(CopyObject::new(&key, &to))).await?;
        ensure!(answer.is_err(), "{what} succeeds");
    }
    Ok(())
}

/// N-06, bytes that were not asked for.
async fn other_bytes(t: &Trial, remote: &Remote) -> Outcome {
    let object = data::bytes(1000, 7);
    let key = t.key("object");
    let (whole, dialect) = (object.clone(), remote.dialect);
    let ranges = [
        ("200 and the whole object", dialect.object(whole.clone())),
        ("another part", dialect.part(whole.slice(0..10), 0, 1000)),
        ("a longer part", dialect.part(whole.slice(10..40), 10, 1000)),
        (
            "a shorter part",
            dialect.part(whole.slice(10..15), 10, 1000),
        ),
    ];
    for (what, reply) in ranges {
        remote.endpoint.then_always(reply);
        let what = format!("a range answered with {what}");
        let part = Download::new(&key).range(ByteRange::Bounded(10..20));
        let reading = async {
            let downloaded = remote.subject.download(part).await?;
            let range = downloaded.range.clone();
            Ok::<_, Error>((range, drain(downloaded).await?))
        };
        if let Ok((range, bytes)) = in_time(t, &what, reading).await? {
            ensure!(
                range == (10..20) && bytes == object[10..20],
                "{what} gives {} bytes as {range:?}",
                bytes.len()
            );
        }
    }
    Ok(())
}

pub(super) async fn bad_answers(t: &Trial) -> Outcome {
    let mut remote = remote(t).await?;
    statuses(t, &mut remote).await?;
    garbage(t, &remote).await?;
    other_bytes(t, &remote).await
}

/// N-05.
pub(super) async fn provider_facts(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    for fault in [Fault::Internal, Fault::SlowDown, Fault::Denied] {
        remote.endpoint.then_always(remote.dialect.fault(fault));
        for call in [Call::Download, Call::Upload] {
            let what = format!("{call:?} answered with {fault:?}");
            let answer = call.make(&remote.subject, &t.key("object")).await;
            let Err(error) = answer else {
                return Err(Stop::Failed(format!("{what} succeeds")));
            };
            let reply = error.provider();
            let status = remote.dialect.status(fault);
            ensure!(
                reply.status == Some(status),
                "{what}: the provider's status is {:?}, not {status}",
                reply.status
            );
            let code = remote.dialect.code(fault);
            ensure!(
                reply.code.as_deref() == code,
                "{what}: the provider's code is {:?}, not {code:?}",
                reply.code
            );
            let id = remote.dialect.has_request_ids().then_some(REQUEST_ID);
            ensure!(
                reply.request_id.as_deref() == id,
                "{what}: the provider's request id is {:?}, not {id:?}",
                reply.request_id
            );
        }
    }
    Ok(())
}

/// Addresses without an answer, each with what is wrong there.
async fn dead_ends() -> (Endpoint, Vec<(&'static str, String)>) {
    let silent = Endpoint::always(Reply::never()).await;
    let secured = silent.url().replacen("http:", "https:", 1);
    let places = vec![
        ("a refused port", refused_url()),
        ("a black hole", silent.url()),
        (
            "a name that is not there",
            "http://no-such-host.invalid:9".to_owned(),
        ),
        ("a server without TLS", secured),
    ];
    (silent, places)
}

/// N-07.
pub(super) async fn no_answer(t: &Trial) -> Outcome {
    let (_silent, places) = dead_ends().await;
    for (what, url) in places {
        let Some(opening) = t.stage().at(t.new_store(), &url) else {
            return not_applicable(NO_HTTP);
        };
        let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
        let subject = match in_time(t, what, opening).await? {
            Ok(subject) => t.watch(subject),
            // To find it out when opening is as good.
            Err(error) => {
                is_one_of(Err::<(), _>(error), &kinds, &format!("opening at {what}"))?;
                continue;
            }
        };
        for call in Call::all(&subject) {
            let what = format!("{call:?} at {what}");
            let answer = in_time(t, &what, call.make(&subject, &t.key("object"))).await?;
            let error = is_one_of(answer, &kinds, &what)?;
            ensure!(
                error.retry() != Retry::Never,
                "{what}: the retry class is {:?}",
                error.retry()
            );
        }
    }
    Ok(())
}

/// N-08.
pub(super) async fn two_absences(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    if remote.dialect == Dialect::Plain {
        return not_applicable("plain HTTP has one 404 for both");
    }
    let (dialect, key) = (remote.dialect, t.key("object"));
    without_key(&remote, &key);
    let subject = &remote.subject;
    is_one_of(
        subject.read(&key).await,
        &[ErrorKind::FileNotFound],
        "a download of a missing key",
    )?;
    let head = subject.head(Head::new(&key)).await;
    is_one_of(head, &[ErrorKind::FileNotFound], "head of a missing key")?;
    ensure!(!subject.exists(&key).await?, "a missing key exists");

    remote
        .endpoint
        .then_always(dialect.fault(Fault::NoSuchContainer));
    for call in Call::all(subject) {
        let what = format!("{call:?} in a missing container");
        is_one_of(
            call.make(subject, &key).await,
            &[ErrorKind::ContainerMissing],
            &what,
        )?;
    }
    Ok(())
}

/// O-06.
pub(super) async fn own_repeats(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    let most = 1 + t.info().limits.retries as usize;
    for (what, reply) in [
        ("an internal error", remote.dialect.fault(Fault::Internal)),
        ("a lost answer", Reply::lost()),
    ] {
        for call in Call::all(&remote.subject) {
            remote.endpoint.then_always(reply.clone());
            remote.endpoint.take_seen();
            let what = format!("{call:?} answered with {what}");
            let answer = in_time(t, &what, call.make(&remote.subject, &t.key("object"))).await?;
            ensure!(answer.is_err(), "{what} succeeds");
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for seen in remote.endpoint.take_seen() {
                *counts
                    .entry(format!("{} {}", seen.method, seen.target))
                    .or_default() += 1;
            }
            ensure!(
                !counts.is_empty(),
                "{what}, which was not requested from the server"
            );
            for (request, count) in counts {
                let request = request.split('?').next().unwrap_or_default();
                ensure!(
                    count <= most,
                    "{what}: {request} came {count} times, {most} are claimed"
                );
            }
        }
    }
    Ok(())
}

/// O-07.
pub(super) async fn lost_answers(t: &Trial) -> Outcome {
    let Some(server) = t.stage().server() else {
        return not_applicable("no real HTTP server behind the store");
    };
    let endpoint = Endpoint::always(Reply::forwarded(server)).await;
    let Some(opening) = t.stage().at(crate::trial::MAIN_STORE, &endpoint.url()) else {
        return not_applicable(NO_HTTP);
    };
    let subject = t.watch(opening.await?);
    // The first write has its effect, and its answer is lost.
    let lose_one = || {
        let mut lost = false;
        endpoint.then(move |request| {
            let write = matches!(request.method.as_str(), "PUT" | "POST" | "MOVE");
            let lose = write && !lost;
            lost |= write;
            match lose {
                true => Reply::forwarded_but_lost(server),
                false => Reply::forwarded(server),
            }
        });
    };
    let key = t.key("overwritten");
    t.put(&key, "old").await?;
    lose_one();
    // A backend that repeats on its own may even succeed.
    let first = subject.upload(Upload::new(&key, "new")).await;
    unknown(first, "an overwrite whose answer was lost")?;
    subject.put(&key, "new").await?;
    t.holds(&key, b"new").await?;

    if t.claims(Capability::CreateOnly) {
        let key = t.key("created");
        lose_one();
        let create = || subject.upload(Upload::new(&key, "once").create_only());
        let first = create().await;
        // Its own repeat finds the object that it made itself.
        if !matches!(&first, Err(error) if error.kind() == ErrorKind::PreconditionFailed && t.info().limits.retries > 0)
        {
            unknown(first, "a creation whose answer was lost")?;
        }
        // The write whose answer was lost may not be visible yet.
        let is_there = t.exists(&key).await?;
        let again = create().await;
        match is_there {
            true => drop(is_one_of(
                again,
                &[ErrorKind::PreconditionFailed],
                "the repeat of a creation",
            )?),
            false => drop(again?),
        }
        t.holds(&key, b"once").await?;
    }
    Ok(())
}

/// Fails where an error promises that nothing happened.
fn unknown<T>(answer: Result<T>, what: &str) -> Outcome {
    match answer {
        Err(error) if matches!(error.retry(), Retry::Safe | Retry::After(_)) => Err(Stop::Failed(
            format!("{what} is {error}, safe to repeat although it took effect"),
        )),
        _ => Ok(()),
    }
}

/// F-03.
pub(super) async fn other_paces(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    let (key, bytes) = (t.key("object"), data::bytes(48 << 20, 8));
    // Longer than any wait for the network, which is two seconds here.
    let pause = Duration::from_secs(4);
    remote
        .endpoint
        .then_always(remote.dialect.object(bytes.clone()));
    let sent = remote.endpoint.sent();
    let mut downloaded = remote
        .subject
        .download(Download::new(&key).chunk_hint(64 << 10))
        .await?;
    let first = downloaded
        .body
        .chunk()
        .await
        .transpose()?
        .map_or_else(Bytes::new, Bytes::from);
    tokio::time::sleep(pause).await;
    let taken = remote.endpoint.sent() - sent;
    // What a reader does not take waits in the kernel: some megabytes on each side.
    let room = t.info().limits.buffer_bytes + (16 << 20);
    ensure!(
        taken <= room,
        "{taken} bytes were fetched for a reader that took {}",
        first.len()
    );
    let rest = drain(downloaded).await?;
    let whole = [first, rest].concat();
    if let Some(difference) = data::difference(&whole, &bytes) {
        return Err(Stop::Failed(format!("for a slow reader: {difference}")));
    }

    // Slow, but never silent for long: each piece comes in time, the whole takes longer than that.
    let few = bytes.slice(..1600);
    let slow = remote
        .dialect
        .object(few.clone())
        .slowly(100, Duration::from_millis(300));
    remote.endpoint.then_always(slow);
    let (_, found) = remote.subject.read(&key).await?;
    match data::difference(&found, &few) {
        Some(difference) => Err(Stop::Failed(format!("from a slow server: {difference}"))),
        None => Ok(()),
    }
}

/// F-08.
pub(super) async fn early_close(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    let (key, bytes) = (t.key("object"), data::bytes(300_000, 9));
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
    for after in [0, 1, 100_000, 299_999] {
        remote
            .endpoint
            .then_always(remote.dialect.object(bytes.clone()).cut(after));
        let what = format!("a download cut after {after} bytes");
        is_one_of(
            in_time(t, &what, remote.subject.read(&key)).await?,
            &kinds,
            &what,
        )?;
    }
    for (what, reply) in [
        (
            "a download that stalls",
            remote.dialect.object(bytes.clone()).stalled(100_000),
        ),
        ("a download without an answer", Reply::lost()),
    ] {
        remote.endpoint.then_always(reply);
        is_one_of(
            in_time(t, what, remote.subject.read(&key)).await?,
            &kinds,
            what,
        )?;
    }
    for (what, reply) in [
        ("an upload without an answer", Reply::lost()),
        ("an upload that is never read", Reply::unread()),
    ] {
        remote.endpoint.then_always(reply);
        let upload = Upload::new(&key, body::chunked(data::pieces(&bytes, 50_000))).length(300_000);
        is_one_of(
            in_time(t, what, remote.subject.upload(upload)).await?,
            &kinds,
            what,
        )?;
    }
    Ok(())
}

/// I-04, over HTTP.
pub(super) async fn not_proven(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    let dialect = remote.dialect;
    let key = t.key("object");
    for (what, reply) in [
        ("403", dialect.fault(Fault::Denied)),
        ("401", dialect.fault(Fault::BadCredentials)),
        ("429", dialect.fault(Fault::TooManyRequests)),
        ("500", dialect.fault(Fault::Internal)),
        ("503", dialect.fault(Fault::Unavailable)),
        ("silence", Reply::never()),
        ("an early close", Reply::lost()),
    ] {
        remote.endpoint.then_always(reply);
        let answer = in_time(t, what, remote.subject.exists(&key)).await?;
        ensure!(answer.is_err(), "after {what}, exists answers {answer:?}");
    }
    drop(remote.endpoint);
    let answer = in_time(t, "a server that has gone", remote.subject.exists(&key)).await?;
    ensure!(
        answer.is_err(),
        "without a server, exists answers {answer:?}"
    );
    Ok(())
}

/// B-05.
pub(super) async fn opens_without_an_answer(t: &Trial) -> Outcome {
    let silent = Endpoint::always(Reply::never()).await;
    for url in [silent.url(), refused_url()] {
        let Some(opening) = t.stage().at(t.new_store(), &url) else {
            return not_applicable(NO_HTTP);
        };
        let started = Instant::now();
        let opened = in_time(t, "opening", opening).await?;
        if let Ok(subject) = opened {
            t.watch(subject);
        }
        ensure!(
            started.elapsed() < IN_TIME,
            "opening took {:?}",
            started.elapsed()
        );
    }
    Ok(())
}

/// B-07, over HTTP.
pub(super) async fn refused_credentials(t: &Trial) -> Outcome {
    let mut remote = remote(t).await?;
    for fault in [
        Fault::BadCredentials,
        Fault::ExpiredCredentials,
        Fault::Denied,
        Fault::ClockSkew,
    ] {
        for call in Call::all(&remote.subject) {
            remote.endpoint.then_always(remote.dialect.fault(fault));
            let what = format!("{call:?} answered with {fault:?}");
            let named = call.has_body() || remote.dialect == Dialect::Azure;
            let (kinds, _) = becomes(fault, remote.dialect, named);
            let answer = call.make(&remote.subject, &t.key("object")).await;
            let error = is_one_of(answer, kinds, &what)?;
            // Without a word of the provider a 400 is all the same.
            ensure!(
                !named || error.kind().status() == 500,
                "{what} is a client's fault"
            );
            if error.kind() == ErrorKind::Unauthenticated {
                remote.reopen(t).await?;
            }
        }
    }
    Ok(())
}

/// L-18.
pub(super) async fn clock_skew(t: &Trial) -> Outcome {
    let remote = remote(t).await?;
    if !matches!(remote.dialect, Dialect::S3 | Dialect::Gcs) {
        return not_applicable("its servers do not say that a clock is off");
    }
    remote
        .endpoint
        .then_always(remote.dialect.fault(Fault::ClockSkew));
    for call in Call::all(&remote.subject)
        .into_iter()
        .filter(|call| call.has_body())
    {
        let Err(error) = call.make(&remote.subject, &t.key("object")).await else {
            return Err(Stop::Failed(format!(
                "{call:?} with a clock that is off succeeds"
            )));
        };
        ensure!(
            format!("{error}").to_lowercase().contains("clock"),
            "{call:?}: {error} does not name the clock"
        );
    }
    Ok(())
}

/// B-09, over HTTP.
pub(super) async fn ill_health(t: &Trial) -> Outcome {
    let (_silent, places) = dead_ends().await;
    for (what, url) in places {
        let Some(opening) = t.stage().at(t.new_store(), &url) else {
            return not_applicable(NO_HTTP);
        };
        let Ok(subject) = in_time(t, what, opening).await? else {
            continue;
        };
        let subject = t.watch(subject);
        if let Ok(health) = in_time(t, what, subject.health()).await? {
            ensure!(!health.healthy, "healthy at {what}");
            ensure!(
                !health.message.is_empty(),
                "ill at {what}, and it does not say why"
            );
        }
    }
    let remote = remote(t).await?;
    for fault in [
        Fault::BadCredentials,
        Fault::NoSuchContainer,
        Fault::Internal,
    ] {
        remote.endpoint.then_always(remote.dialect.fault(fault));
        let healthy = remote
            .subject
            .health()
            .await
            .is_ok_and(|health| health.healthy);
        ensure!(!healthy, "healthy although the server says {fault:?}");
    }
    Ok(())
}
