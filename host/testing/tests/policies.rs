//! The policies of a backend, counted where the plugin is entered.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use futures_util::{StreamExt, stream};
use holdall::policy::{Breaker, Deadlines, FileTypes, Mismatch, Policy, PolicyReport, Retries};
use holdall::{
    Backend, Body, Bytes, CallOptions, Capabilities, CopyObject, Custom, Delete, DeleteMany, Error,
    ErrorKind, Host, Key, List, Method, Operation, Rename, Result, Retry, SignUrl, Upload,
};
use holdall_testing::{BACKEND, Fault, TestBackend};
use std::time::Duration;
use tokio::time::Instant;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const HTML: &str = "<!DOCTYPE html><html></html>";

/// Two names of one store: `test` under the policies, `bare` without.
async fn guarded(change: impl FnOnce(&mut Policy)) -> (TestBackend, Host, Backend, Backend) {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    let mut policy = Policy::new();
    change(&mut policy);
    let registration = test.registration().policy(policy);
    host.register(BACKEND, registration).unwrap();
    host.register("bare", test.registration()).unwrap();
    let (backend, bare) = (host.backend(BACKEND).await, host.backend("bare").await);
    (test, host, backend.unwrap(), bare.unwrap())
}

fn streamed(parts: &[&'static [u8]]) -> Body {
    let parts: Vec<Result<Bytes>> = parts.iter().map(|part| Ok((*part).into())).collect();
    Body::stream(stream::iter(parts))
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

#[tokio::test]
async fn sizes_are_counted_on_the_stream_and_nothing_is_visible() {
    let (test, _host, backend, _) = guarded(|policy| policy.max_size = Some(10)).await;
    backend.upload(("fits", "0123456789")).await.unwrap();
    backend
        .upload(("fits", streamed(&[b"01234", b"56789"])))
        .await
        .unwrap();
    let entered = test.calls(Operation::Upload);
    let too_large = Some(ErrorKind::TooLarge);
    assert_eq!(kind(backend.upload(("k", "0123456789a")).await), too_large);
    let stated = Upload::new("k", streamed(&[b"x"])).length(11);
    assert_eq!(kind(backend.upload(stated).await), too_large);
    assert_eq!(
        test.calls(Operation::Upload),
        entered,
        "known before the plugin"
    );
    let error = backend
        .upload(("k", streamed(&[b"0123456789", b"a"])))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("limit")),
        (ErrorKind::TooLarge, Some("10"))
    );
    assert!(!backend.exists("k").await.unwrap());
    // The smaller of both bounds.
    let upload = Upload::new("k", "0123").max_size(3);
    assert_eq!(kind(backend.upload(upload).await), too_large);
}

/// C-13 and J-17.
#[tokio::test]
async fn no_operation_leaves_the_prefix() {
    for prefix in ["a/", "a/b/c/"] {
        let (_test, _host, backend, bare) =
            guarded(|policy| policy.prefix = Some(prefix.into())).await;
        let outside = format!("{}2/x", prefix.trim_end_matches('/'));
        bare.upload(Upload::new(&outside, "sibling")).await.unwrap();
        bare.upload(("x", "above")).await.unwrap();
        for key in ["x", "d/y", "d/z"] {
            backend.upload((key, "text")).await.unwrap();
        }
        let inside = bare.head(&format!("{prefix}d/y")).await.unwrap();
        assert_eq!(inside.size, 4);
        // Keys of the caller, however deep the root.
        let mut keys = Vec::new();
        let mut pages = std::pin::pin!(backend.pages(List::new("").limit(1)));
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().entries.into_iter().map(|entry| entry.key));
        }
        assert_eq!(keys, ["d/y", "d/z", "x"]);
        let page = backend.list(List::new("").delimiter("/")).await.unwrap();
        assert_eq!(page.common_prefixes, ["d/"]);
        let page = backend
            .list(List::new("d/").start_after("d/y"))
            .await
            .unwrap();
        assert_eq!(page.entries[0].key, "d/z");
        assert!(
            backend
                .list(List::new("../"))
                .await
                .unwrap()
                .entries
                .is_empty()
        );
        // A token of one root is none of another.
        let first = backend.list(List::new("").limit(1)).await.unwrap();
        let foreign = bare
            .list(List::new("").limit(1).page_token(first.next.as_deref()))
            .await;
        assert_eq!(kind(foreign), Some(ErrorKind::InvalidArgument));

        for escape in ["../x", "/x", "..", "d/../../x"] {
            let invalid = Some(ErrorKind::InvalidKey);
            assert_eq!(
                kind(backend.upload((escape, "")).await),
                invalid,
                "{escape}"
            );
            assert_eq!(kind(backend.download(escape).await), invalid);
            assert_eq!(kind(backend.delete(Delete::new(escape)).await), invalid);
            assert_eq!(
                kind(backend.copy(CopyObject::new("x", escape)).await),
                invalid
            );
            assert_eq!(
                kind(backend.rename(Rename::new("x", escape)).await),
                invalid
            );
        }
        assert!(!backend.exists(&outside).await.unwrap());
        let custom = backend.custom(Custom::new("any", "")).await;
        assert_eq!(kind(custom), Some(ErrorKind::Unsupported));
        backend.copy(("x", "copied")).await.unwrap();
        backend.rename(("copied", "renamed")).await.unwrap();
        for answer in backend
            .delete_many(DeleteMany::new(["renamed", "x"]))
            .await
            .unwrap()
        {
            assert_eq!(answer.unwrap().existed, Some(true));
        }
        let missing = backend.head("x").await.unwrap_err();
        assert_eq!(
            missing.place().key.as_deref(),
            Some("x"),
            "no prefix in an error"
        );
        assert_eq!(backend.delete_prefix("").await.unwrap().deleted, 2);
        assert_eq!(bare.entries("").count().await, 2, "what lies outside stays");
        let longest = "k".repeat(200)
            + "/"
            + &"k".repeat(255)
            + "/"
            + &"k".repeat(255)
            + "/"
            + &"k".repeat(255)
            + "/"
            + &"k".repeat(53);
        assert_eq!(longest.len(), 1022);
        assert_eq!(
            kind(backend.exists(&longest[..1022 - prefix.len()]).await),
            None
        );
        assert_eq!(
            kind(backend.exists(&longest).await),
            (prefix.len() > 2).then_some(ErrorKind::InvalidKey)
        );
    }
}

#[tokio::test]
async fn a_prefix_is_a_key_and_a_slash() {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    for prefix in ["", "/", "a", "/a/", "a//", "../", "a/../b/"] {
        let mut policy = Policy::new();
        policy.prefix = Some(prefix.to_owned());
        let outcome = host.register("x", test.registration().policy(policy));
        assert_eq!(kind(outcome), Some(ErrorKind::ConfigInvalid), "{prefix:?}");
    }
}

#[tokio::test]
async fn read_only_refuses_every_change_before_the_plugin() {
    let (test, _host, backend, bare) = guarded(|policy| policy.read_only = true).await;
    bare.upload(("k", "text")).await.unwrap();
    let before = test.calls(Operation::Upload);
    let life = Duration::from_secs(60);
    let refused = [
        kind(backend.upload(("k", "other")).await),
        kind(backend.delete(Delete::new("k")).await),
        kind(backend.delete_many(DeleteMany::new(["k"])).await),
        kind(backend.copy(("k", "l")).await),
        kind(backend.rename(("k", "l")).await),
        kind(
            backend
                .signed_url(SignUrl::new(Method::Put, "k", life))
                .await,
        ),
        kind(
            backend
                .signed_url(SignUrl::new(Method::Delete, "k", life))
                .await,
        ),
    ];
    assert_eq!(refused, [Some(ErrorKind::Unsupported); 7]);
    let failed = backend.delete_prefix("").await;
    assert_eq!(kind(failed), Some(ErrorKind::Unsupported));
    assert_eq!(test.calls(Operation::Upload), before);
    assert_eq!(
        test.calls(Operation::Delete) + test.calls(Operation::Copy),
        0
    );
    assert_eq!(
        backend.download("k").await.unwrap().text().await.unwrap(),
        "text"
    );
}

#[tokio::test]
async fn aliases_are_names_of_one_backend() {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    host.register("files", test.registration().alias("docs").alias("papers"))
        .unwrap();
    let (files, docs) = (
        host.backend("files").await.unwrap(),
        host.backend("docs").await.unwrap(),
    );
    files.upload(("k", "text")).await.unwrap();
    assert_eq!(
        docs.download("k").await.unwrap().text().await.unwrap(),
        "text"
    );
    assert_eq!(docs.name(), "files");
    assert_eq!(host.resolve_name("papers").as_deref(), Some("files"));
    assert_eq!(host.backends(), ["files", "test"]);
    let taken = host.register("other", test.registration().alias("docs"));
    assert_eq!(kind(taken), Some(ErrorKind::ConfigInvalid));
    let taken = host.register("other", test.registration().alias("test"));
    assert_eq!(kind(taken), Some(ErrorKind::ConfigInvalid));
    host.remove("files");
    assert_eq!(
        kind(host.backend("docs").await),
        Some(ErrorKind::BackendNotRegistered)
    );
}

/// P-12.
#[tokio::test]
async fn html_that_is_called_png_does_not_reach_the_plugin() {
    let (test, _host, backend, _) =
        guarded(|policy| policy.types = Some(FileTypes::new(["image/*"]))).await;
    for body in [
        Body::from(HTML),
        streamed(&[b"<!DOC", b"TYPE html>", b"<html>"]),
    ] {
        let upload = Upload::new("a.png", body).content_type("image/png");
        let error = backend.upload(upload).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidFileType);
        assert_eq!(error.fact("provided"), Some("image/png"));
        assert_eq!(error.fact("sniffed"), Some("text/html"));
        assert_eq!(error.fact("allowed"), Some("image/*"));
    }
    assert_eq!(
        kind(backend.upload(("page.html", HTML)).await),
        Some(ErrorKind::InvalidFileType)
    );
    assert_eq!(test.calls(Operation::Upload), 0);
    for body in [Body::from(PNG), streamed(&[&PNG[..3], &PNG[3..]])] {
        backend
            .upload(Upload::new("a.png", body).content_type("image/png"))
            .await
            .unwrap();
        let stored = backend
            .download("a.png")
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(stored, PNG);
    }
    assert_eq!(test.calls(Operation::Upload), 2);
}

#[tokio::test]
async fn a_wrong_type_is_corrected_where_the_policy_says_so() {
    let types = FileTypes::new(["image/*"]).mismatch(Mismatch::Correct);
    let (_test, _host, backend, _) = guarded(|policy| policy.types = Some(types)).await;
    backend
        .upload(Upload::new("a", PNG).content_type("image/gif"))
        .await
        .unwrap();
    let facts = backend.head("a").await.unwrap();
    assert_eq!(facts.content_type.as_deref(), Some("image/png"));
}

fn retry(attempts: u32) -> impl FnOnce(&mut Policy) {
    move |policy| {
        let mut retries = Retries::default();
        retries.attempts = attempts;
        policy.retry = Some(retries);
    }
}

fn with_retry(kind: ErrorKind, retry: Retry) -> Error {
    Error::new(kind).with_retry(retry)
}

/// The table: what a plugin answers, how often it is called, and what the caller gets.
#[tokio::test(start_paused = true)]
async fn attempts_follow_the_class_that_travels_in_the_error() {
    use ErrorKind::{
        Conflict, NotModified, Other, PermissionDenied, RateLimited, Timeout, Unavailable,
    };
    let millis = Duration::from_millis;
    for (error, calls, least, most) in [
        (Error::new(Unavailable), 3, 300, 600),
        (Error::new(Timeout), 3, 300, 600),
        (Error::new(Conflict), 3, 300, 600),
        (Error::new(RateLimited), 3, 2_000, 2_000),
        (
            with_retry(RateLimited, Retry::After(millis(4_000))),
            3,
            8_000,
            8_000,
        ),
        // Longer than the policy waits: answered at once.
        (
            with_retry(RateLimited, Retry::After(millis(5_001))),
            1,
            0,
            0,
        ),
        (with_retry(Other, Retry::Safe), 3, 300, 600),
        (with_retry(Unavailable, Retry::Never), 1, 0, 0),
        (Error::new(Other), 1, 0, 0),
        (Error::new(PermissionDenied), 1, 0, 0),
        (Error::new(ErrorKind::FileNotFound), 1, 0, 0),
        (Error::new(NotModified), 1, 0, 0),
        (Error::new(ErrorKind::Cancelled), 1, 0, 0),
    ] {
        for operation in [
            Operation::Exists,
            Operation::Upload,
            Operation::List,
            Operation::Delete,
        ] {
            let (test, _host, backend, _) = guarded(retry(3)).await;
            test.inject(operation, Fault::error(error.clone()));
            let started = Instant::now();
            let outcome = match operation {
                Operation::Exists => backend.exists("k").await.map(drop),
                Operation::Upload => backend.upload(("k", "text")).await.map(drop),
                Operation::List => backend.list("").await.map(drop),
                _ => backend.delete(Delete::new("k")).await.map(drop),
            };
            let answer = outcome.unwrap_err();
            assert_eq!(answer.kind(), error.kind());
            assert_eq!(test.calls(operation), calls, "{error:?} of {operation}");
            assert_eq!(u64::from(answer.place().attempts), calls, "{error:?}");
            let waited = started.elapsed();
            assert!(
                waited >= millis(least) && waited <= millis(most + 10),
                "{error:?}: {waited:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_succeeds_is_the_answer() {
    let (test, _host, backend, _) = guarded(retry(3)).await;
    test.inject(
        Operation::Upload,
        Fault::error(ErrorKind::Unavailable).times(2),
    );
    backend.upload(("k", "text")).await.unwrap();
    assert_eq!(test.calls(Operation::Upload), 3);
    // The first attempt may have deleted it.
    test.inject(Operation::Delete, Fault::error(ErrorKind::Timeout).times(1));
    backend.delete(Delete::new("k")).await.unwrap();
    test.inject(Operation::Delete, Fault::error(ErrorKind::Timeout).times(1));
    assert_eq!(
        backend.delete(Delete::new("k")).await.unwrap().existed,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_again_only_while_no_chunk_was_taken() {
    let (test, _host, backend, _) = guarded(retry(3)).await;
    test.inject(
        Operation::Upload,
        Fault::error(ErrorKind::Unavailable).times(2),
    );
    backend
        .upload(("k", streamed(&[b"te", b"xt"])))
        .await
        .unwrap();
    assert_eq!(test.calls(Operation::Upload), 3);
    assert_eq!(
        backend.download("k").await.unwrap().text().await.unwrap(),
        "text"
    );
    test.inject(
        Operation::Upload,
        Fault::break_after(2, ErrorKind::Unavailable),
    );
    let half = backend.upload(("k", streamed(&[b"te", b"xt"]))).await;
    assert_eq!(kind(half), Some(ErrorKind::Unavailable));
    assert_eq!(test.calls(Operation::Upload), 4, "never half a body");
}

/// A conditional write of unknown outcome is repeated only when the object is as the condition wants it.
#[tokio::test(start_paused = true)]
async fn conditional_writes_are_read_again_first() {
    let (test, _host, backend, _) = guarded(retry(3)).await;
    let lost = || Fault::error(ErrorKind::Timeout).times(1);
    test.inject(Operation::Upload, lost());
    backend
        .upload(Upload::new("new", "text").create_only())
        .await
        .unwrap();
    assert_eq!(
        (test.calls(Operation::Upload), test.calls(Operation::Exists)),
        (2, 1)
    );

    // It is there: by this attempt or another's, so the unknown outcome is the answer.
    test.inject(Operation::Upload, lost());
    let doubtful = backend
        .upload(Upload::new("new", "text").create_only())
        .await;
    assert_eq!(kind(doubtful), Some(ErrorKind::Timeout));
    assert_eq!(
        (test.calls(Operation::Upload), test.calls(Operation::Exists)),
        (3, 2)
    );

    let etag = backend.head("new").await.unwrap().etag.unwrap();
    test.inject(Operation::Upload, lost());
    backend
        .upload(Upload::new("new", "next").if_match(&etag))
        .await
        .unwrap();
    assert_eq!(test.calls(Operation::Upload), 5);
    test.inject(Operation::Upload, lost());
    let changed = backend
        .upload(Upload::new("new", "more").if_match(&etag))
        .await;
    assert_eq!(kind(changed), Some(ErrorKind::Timeout));
    test.inject(Operation::Delete, lost());
    let gone = backend.delete(Delete::new("new").must_exist()).await;
    assert_eq!(
        (kind(gone), test.calls(Operation::Delete)),
        (Some(ErrorKind::Timeout), 1)
    );
    test.inject(Operation::Rename, lost());
    let renamed = backend.rename(("new", "old")).await;
    assert_eq!(
        (kind(renamed), test.calls(Operation::Rename)),
        (Some(ErrorKind::Timeout), 1)
    );
}

#[tokio::test]
async fn refused_credentials_are_read_anew_once() {
    let (test, _host, backend, _) = guarded(retry(1)).await;
    test.inject(
        Operation::Exists,
        Fault::error(ErrorKind::Unauthenticated).times(1),
    );
    assert!(!backend.exists("k").await.unwrap());
    assert_eq!(test.calls(Operation::Exists), 2);
    test.inject(Operation::Exists, Fault::error(ErrorKind::Unauthenticated));
    let refused = backend.exists("k").await;
    assert_eq!(kind(refused), Some(ErrorKind::Unauthenticated));
    assert_eq!(test.calls(Operation::Exists), 4);
}

#[tokio::test(start_paused = true)]
async fn no_wait_goes_beyond_the_deadline() {
    let (test, _host, backend, _) = guarded(|policy| {
        policy.retry = Some(Retries::default());
        policy.deadline = Deadlines::all(Duration::from_secs(60))
            .operation(Operation::Exists, Duration::from_secs(1))
            .operation(Operation::List, Duration::from_secs(1));
    })
    .await;
    test.inject(
        Operation::Exists,
        Fault::error(with_retry(
            ErrorKind::RateLimited,
            Retry::After(Duration::from_secs(2)),
        )),
    );
    let started = Instant::now();
    assert_eq!(
        kind(backend.exists("k").await),
        Some(ErrorKind::RateLimited)
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
    for (operation, limit) in [(Operation::List, 1), (Operation::Head, 60)] {
        test.inject(operation, Fault::hang());
        let started = Instant::now();
        let outcome = match operation {
            Operation::List => backend.list("").await.map(drop),
            _ => backend.head("k").await.map(drop),
        };
        assert_eq!(kind(outcome), Some(ErrorKind::Timeout));
        // Deadlines are of the system's clock, which does not go with the test's.
        let waited = started.elapsed().as_secs_f64().round() as u64;
        assert!((limit / 2..limit + 29).contains(&waited), "{waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_probes_and_closes() {
    let (test, _host, backend, _) =
        guarded(|policy| policy.breaker = Some(Breaker::default())).await;
    test.inject(Operation::Exists, Fault::error(ErrorKind::Unavailable));
    for _ in 0..5 {
        assert_eq!(
            kind(backend.exists("k").await),
            Some(ErrorKind::Unavailable)
        );
    }
    let error = backend.exists("k").await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(10)));
    assert_eq!(error.fact("policy"), Some("breaker"));
    assert_eq!(test.calls(Operation::Exists), 5, "not called while open");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(
        kind(backend.exists("k").await),
        Some(ErrorKind::Unavailable)
    );
    assert_eq!(
        kind(backend.exists("k").await),
        Some(ErrorKind::Unavailable)
    );
    assert_eq!(test.calls(Operation::Exists), 6, "one probe");
    test.clear();
    tokio::time::advance(Duration::from_secs(10)).await;
    for _ in 0..3 {
        assert!(!backend.exists("k").await.unwrap());
    }
    // An answer that is no outage ends the row.
    for fault in [ErrorKind::Unavailable, ErrorKind::FileNotFound] {
        test.inject(Operation::Exists, Fault::error(fault).times(4));
        for _ in 0..4 {
            backend.exists("k").await.unwrap_err();
        }
    }
    assert!(!backend.exists("k").await.unwrap());
}

#[tokio::test]
async fn few_at_once_wait_in_order_and_bodies_count() {
    let (test, host, _, _) = guarded(|policy| policy.concurrency = Some(1)).await;
    let mut policy = Policy::new();
    policy.concurrency = Some(1);
    let registration = test.registration().policy(policy).max_wait(Duration::ZERO);
    host.register("hasty", registration).unwrap();
    let hasty = host.backend("hasty").await.unwrap();
    hasty.upload(("k", "text")).await.unwrap();
    let downloaded = hasty.download("k").await.unwrap();
    let busy = hasty.exists("k").await.unwrap_err();
    assert_eq!(
        (busy.kind(), busy.fact("limit")),
        (ErrorKind::Unavailable, Some("1"))
    );
    assert_eq!(test.calls(Operation::Exists), 0);
    drop(downloaded);
    assert!(hasty.exists("k").await.unwrap());
    // One place serves all steps of an operation.
    assert_eq!(hasty.delete_prefix("").await.unwrap().deleted, 1);

    let backend = host.backend(BACKEND).await.unwrap();
    test.inject(Operation::Exists, Fault::pause());
    let mut waiting = Vec::new();
    for number in 0..4 {
        let backend = backend.clone();
        waiting.push(tokio::spawn(async move {
            backend
                .exists(Key::new(&format!("k{number}")))
                .await
                .unwrap();
            number
        }));
        tokio::task::yield_now().await;
    }
    while test.calls(Operation::Exists) < 2 {
        tokio::task::yield_now().await;
    }
    for (expected, task) in waiting.into_iter().enumerate() {
        assert_eq!(
            test.calls(Operation::Exists) as usize,
            2 + expected,
            "one at a time"
        );
        test.resume(1);
        assert_eq!(task.await.unwrap(), expected);
        while expected < 3 && (test.calls(Operation::Exists) as usize) < 3 + expected {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_ended() {
    let (_test, _host, backend, _) =
        guarded(|policy| policy.idle_timeout = Some(Duration::from_secs(5))).await;
    let slow = |pause: u64, chunks: u64| {
        Body::stream(Box::pin(stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            (sent < chunks).then(|| (Ok(Bytes::from("x")), sent + 1))
        })))
    };
    backend.upload(("k", slow(4, 3))).await.unwrap();
    let started = Instant::now();
    let error = backend.upload(("l", slow(60, 3))).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("policy")),
        (ErrorKind::Timeout, Some("idle_timeout"))
    );
    assert_eq!(started.elapsed().as_secs(), 5);
    assert!(!backend.exists("l").await.unwrap());
}

/// Each policy refuses once; the rest of a status does not count there.
#[tokio::test(start_paused = true)]
async fn each_refusal_is_counted_by_its_policy() {
    let (test, host, backend, _) = guarded(|policy| {
        policy.prefix = Some("tenants/a/".to_owned());
        policy.max_size = Some(1000);
        policy.types = Some(FileTypes::new(["image/*", "text/plain"]));
        policy.deadline = Deadlines::none().operation(Operation::List, Duration::from_secs(60));
        policy.idle_timeout = Some(Duration::from_secs(5));
        policy.concurrency = Some(1);
        policy.breaker = Some(Breaker::default());
        retry(2)(policy);
    })
    .await;
    let counted = || {
        let status = host.status();
        let of = |name: &str| status.backends.iter().find(|it| it.name == name).cloned();
        let backend = of(BACKEND).unwrap();
        (backend.counters.policies, backend.breaker_open)
    };
    assert_eq!(counted(), (PolicyReport::default(), Some(false)));

    let long = vec!["k".repeat(203); 5].join("/");
    backend.exists(Key::new(&long)).await.unwrap_err();
    // Its bytes are counted whether their number was known or not.
    backend
        .upload(("k.txt", "x".repeat(1001)))
        .await
        .unwrap_err();
    let endless = Body::stream(stream::repeat_with(|| Ok(Bytes::from("x".repeat(100)))));
    backend.upload(("k.txt", endless)).await.unwrap_err();
    // The request's own bound is no policy.
    let bounded = Upload::new("k.txt", "0123").max_size(3);
    assert_eq!(
        kind(backend.upload(bounded).await),
        Some(ErrorKind::TooLarge)
    );
    let html = Upload::new("k.png", HTML).content_type("image/png");
    backend.upload(html).await.unwrap_err();
    let silent = Body::stream(stream::iter([Ok(Bytes::from("x"))]).chain(stream::pending()));
    backend.upload(("k.txt", silent)).await.unwrap_err();
    backend.upload(("k.txt", "text")).await.unwrap();
    let downloaded = backend.download("k.txt").await.unwrap();
    assert_eq!(
        kind(backend.exists("k").await),
        Some(ErrorKind::Unavailable)
    );
    drop(downloaded);
    test.inject(Operation::List, Fault::hang());
    assert_eq!(
        kind(backend.list("").await.map(drop)),
        Some(ErrorKind::Timeout)
    );
    // The caller's own deadline is no policy.
    let soon = std::time::Instant::now() + Duration::from_secs(1);
    let hurried = backend.with(CallOptions::new().deadline(soon));
    assert_eq!(
        kind(hurried.list("").await.map(drop)),
        Some(ErrorKind::Timeout)
    );
    assert!(
        backend.exists("k.txt").await.unwrap(),
        "ends the row of failures"
    );
    let refused = |report: &PolicyReport, name: &str| report.refused.get(name).copied();
    let (report, _) = counted();
    for (name, count) in [
        ("prefix", 1),
        ("max_size", 2),
        ("types", 1),
        ("idle_timeout", 1),
        ("concurrency", 1),
        ("deadline", 1),
    ] {
        assert_eq!(refused(&report, name), Some(count), "{name}: {report:?}");
    }
    assert_eq!(report.refused.len(), 6, "{report:?}");
    assert_eq!((report.retries, report.breaker_opened), (0, 0));

    // Two attempts each: the fifth failure opens the breaker, which ends the sixth attempt and the next call.
    test.inject(
        Operation::Exists,
        Fault::error(with_retry(ErrorKind::Unavailable, Retry::Safe)),
    );
    for _ in 0..4 {
        backend.exists("k").await.unwrap_err();
    }
    assert_eq!(test.calls(Operation::Exists), 1 + 5);
    let (report, open) = counted();
    assert_eq!(open, Some(true));
    assert_eq!((report.retries, report.breaker_opened), (3, 1));
    assert_eq!(refused(&report, "breaker"), Some(2));
    test.clear();
    tokio::time::advance(Duration::from_secs(10)).await;
    backend.exists("k").await.unwrap();
    let (report, open) = counted();
    assert_eq!((report.breaker_opened, open), (1, Some(false)));

    // The counts belong to the name; another registration goes on with them.
    let mut policy = Policy::new();
    policy.read_only = true;
    host.register(BACKEND, test.registration().policy(policy))
        .unwrap();
    backend.upload(("k.txt", "text")).await.unwrap_err();
    backend.delete("k.txt").await.unwrap_err();
    let (report, open) = counted();
    assert_eq!((refused(&report, "read_only"), open), (Some(2), None));
    assert_eq!(refused(&report, "types"), Some(1));
}

/// To judge its type, and to learn its length for a backend that must be told.
#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_ended_where_the_host_reads_it() {
    let silent = || Body::stream(stream::iter([Ok(Bytes::from("x"))]).chain(stream::pending()));
    for types in [Some(FileTypes::new(["*/*"])), None] {
        let test = TestBackend::with_capabilities(Capabilities::atomic_put);
        let host = test.host().unwrap();
        let mut policy = Policy::new();
        policy.types = types;
        policy.idle_timeout = Some(Duration::from_secs(5));
        host.register(BACKEND, test.registration().policy(policy))
            .unwrap();
        let backend = host.backend(BACKEND).await.unwrap();
        let error = backend.upload(("k", silent())).await.unwrap_err();
        assert_eq!(error.fact("policy"), Some("idle_timeout"), "{error:?}");
        assert_eq!(test.calls(Operation::Upload), 0);
        let status = host.status().backends;
        let status = status.iter().find(|it| it.name == BACKEND).unwrap();
        assert_eq!(status.counters.policies.refused["idle_timeout"], 1);
    }
}
