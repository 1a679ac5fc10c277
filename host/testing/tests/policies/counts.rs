//! What is counted of the policies.

use super::*;

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
