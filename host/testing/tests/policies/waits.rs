//! Deadline, idle time-out and concurrency.

use super::*;

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
