//! A plugin that never answers costs its own callers only: callers of another backend are served as
//! if it were not there.

use crate::plugin::{Act, Switches};
use crate::{host, probe};
use futures_util::FutureExt;
use holdall::{CallOptions, ErrorKind, Upload};
use std::time::Duration;

const STUCK: usize = 10_000;

#[tokio::test]
async fn ten_thousand_stuck_calls_keep_no_other_caller_waiting() {
    let (host, deaf, well) = (host(), Switches::new(), Switches::new());
    deaf.on("exists", Act::Deaf);
    for (name, switches) in [("deaf", &deaf), ("well", &well)] {
        host.register(name, probe(switches)).unwrap();
    }
    let (stuck, served) = (
        host.backend("deaf").await.unwrap(),
        host.handle("well").unwrap(),
    );
    host.backend("well").await.unwrap();
    let patient: Vec<_> = (0..STUCK)
        .map(|_| {
            let call = stuck.clone();
            tokio::spawn(async move { call.exists("k").await })
        })
        .collect();
    while deaf.entered() < STUCK as u64 {
        tokio::task::yield_now().await;
    }

    // Ready at the first poll is as fast as it gets: nothing is queued for, locked or borrowed.
    for n in 0..1_000 {
        let key = format!("k-{n}");
        let uploaded = served.upload(Upload::new(&key, "abc")).now_or_never();
        uploaded.expect("ready").unwrap();
        assert!(served.exists(&key).now_or_never().expect("ready").unwrap());
    }
    // And so is the stuck backend's own other work.
    let uploaded = stuck.upload(Upload::new("k", "abc")).now_or_never();
    uploaded.expect("ready").unwrap();

    // A caller with a deadline is released at it.
    let hurried = stuck.with(CallOptions::new().timeout(Duration::from_millis(100)));
    let released = (0..100).map(|_| hurried.exists("k"));
    for outcome in futures_util::future::join_all(released).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    let status = host.status();
    let of = |name: &str| {
        let mut backends = status.backends.iter();
        &backends
            .find(|backend| backend.name == name)
            .unwrap()
            .counters
    };
    assert_eq!(of("deaf").in_flight, STUCK as u64);
    assert_eq!(of("deaf").released_at_deadline, 100);
    assert_eq!((of("well").in_flight, of("well").errors.len()), (0, 0));
    for call in patient {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    let deaf = host.status().backends[0].counters.clone();
    assert_eq!((deaf.in_flight, deaf.dropped), (0, STUCK as u64));
}
