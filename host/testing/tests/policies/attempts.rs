//! Retry and breaker: what surrounds each attempt.

use super::*;

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

/// The first attempt may have given the object another etag: a repeat would fail for a copy that was done.
#[tokio::test(start_paused = true)]
async fn a_copy_onto_itself_of_unknown_outcome_is_not_repeated() {
    let (test, _host, backend, _) = guarded(retry(3)).await;
    backend.upload(("k", "text")).await.unwrap();
    let etag = backend.head("k").await.unwrap().etag.unwrap();
    let mut options = UploadOptions::default();
    options.content_type = Some("text/plain");
    let onto = |key| {
        CopyObject::new("k", key)
            .source_if_match(&etag)
            .replace(options.clone())
    };
    test.inject(Operation::Copy, Fault::error(ErrorKind::Timeout).times(1));
    let doubtful = backend.copy(onto("k")).await;
    assert_eq!(kind(doubtful), Some(ErrorKind::Timeout));
    assert_eq!(test.calls(Operation::Copy), 1);

    // Nothing happened: repeated. And of another object the source stays as it is.
    let safe = Fault::error(with_retry(ErrorKind::Unavailable, Retry::Safe)).times(1);
    test.inject(Operation::Copy, safe);
    backend.copy(onto("k")).await.unwrap();
    assert_eq!(test.calls(Operation::Copy), 3);
    let etag = backend.head("k").await.unwrap().etag.unwrap();
    test.inject(Operation::Copy, Fault::error(ErrorKind::Timeout).times(1));
    let other = CopyObject::new("k", "other").source_if_match(&etag);
    backend.copy(other).await.unwrap();
    assert_eq!(test.calls(Operation::Copy), 5);
}

/// An update that the host makes of such a copy.
#[tokio::test(start_paused = true)]
async fn an_update_by_a_copy_of_unknown_outcome_is_not_repeated() {
    let test = TestBackend::with_capabilities(
        Capabilities::atomic_put
            .with(Capabilities::content_type)
            .with(Capabilities::server_copy)
            .with(Capabilities::copy_source_conditions)
            .with(Capabilities::copy_replace_metadata),
    );
    let host = test.host().unwrap();
    let mut policy = Policy::new();
    retry(3)(&mut policy);
    host.register(BACKEND, test.registration().policy(policy))
        .unwrap();
    let backend = host.backend(BACKEND).await.unwrap();
    backend.upload(("k", "text")).await.unwrap();
    let update = Update::new("k").content_type("text/plain");
    test.inject(Operation::Copy, Fault::error(ErrorKind::Timeout).times(1));
    let doubtful = backend.update(update.clone()).await;
    assert_eq!(kind(doubtful), Some(ErrorKind::Timeout));
    assert_eq!(test.calls(Operation::Copy), 1);
    let info = backend.update(update).await.unwrap();
    assert_eq!(info.content_type.as_deref(), Some("text/plain"));
    assert_eq!(test.calls(Operation::Update), 0);
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
