//! Handles follow, bodies stay, pins stay. Cases P-05 and P-15.

use crate::plugin::{Act, Switches};
use crate::{host, probe, store};
use holdall::{Download, ErrorKind, Upload};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn p_05_a_handle_follows_and_what_runs_stays() {
    let (host, backend, old) = store().await;
    old.put("k", "old object");
    old.on("download", Act::Lie("stream"));
    let mut body = backend.download(Download::new("k")).await.unwrap().body;
    assert_eq!(&body.chunk().await.unwrap().unwrap()[..], b"o");
    let pinned = backend.pin().unwrap();

    let new = Switches::new();
    new.put("k", "new");
    assert_eq!(host.register("store", probe(&new)).unwrap(), 2);
    assert_eq!(new.opens(), 0);
    let read = backend.download(Download::new("k")).await.unwrap();
    assert_eq!(read.body.collect(99).await.unwrap(), "new");
    assert_eq!((backend.generation_number().unwrap(), new.opens()), (2, 1));
    assert_eq!(pinned.generation_number().unwrap(), 1);
    old.off("download");
    let read = pinned.download(Download::new("k")).await.unwrap();
    assert_eq!(read.body.collect(99).await.unwrap(), "old object");

    assert_eq!(old.drops.load(Ordering::SeqCst), 0, "still used");
    assert_eq!(body.collect(99).await.unwrap(), "ld object");
    drop(pinned);
    assert_eq!(old.drops.load(Ordering::SeqCst), 1, "drained");
}

#[tokio::test]
async fn p_15_a_body_outlives_host_and_handle() {
    let (host, backend, switches) = store().await;
    switches.put("k", "object");
    switches.on("download", Act::Lie("stream"));
    let read = backend.download(Download::new("k")).await.unwrap();
    drop((host, backend));
    assert_eq!(switches.drops.load(Ordering::SeqCst), 0);
    assert_eq!(read.body.collect(99).await.unwrap(), "object");
    assert_eq!(switches.drops.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_open_that_was_overtaken_serves_no_other_caller() {
    let (host, old) = (host(), Switches::new());
    old.on("open", Act::Gated);
    host.register("store", probe(&old)).unwrap();
    let early = tokio::spawn(host.backend("store"));
    tokio::task::yield_now().await;
    let new = Switches::new();
    host.register("store", probe(&new)).unwrap();
    old.gate.add_permits(1);
    let backend = early.await.unwrap().unwrap();
    backend.upload(Upload::new("k", "x")).await.unwrap();
    assert_eq!((old.keys().len(), new.keys().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_operation_fails_while_generations_change() {
    let (host, backend, _) = store().await;
    let two = [Switches::new(), Switches::new()];
    let calls = (0..4).map(|_| {
        let backend = backend.clone();
        tokio::spawn(async move {
            for _ in 0..500 {
                backend.exists("k").await?;
            }
            Ok::<_, holdall::Error>(())
        })
    });
    let calls: Vec<_> = calls.collect();
    for n in 0..500 {
        host.register("store", probe(&two[n % 2])).unwrap();
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(backend.generation_number().unwrap(), 501);
}

#[tokio::test]
async fn a_fault_in_a_body_costs_the_instance() {
    let (_host, backend, switches) = store().await;
    switches.put("k", "object");
    switches.on("download", Act::Lie("stream"));
    let mut body = backend.download(Download::new("k")).await.unwrap().body;
    switches.on("chunk", Act::Panic);
    let error = body.chunk().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
    assert_eq!(error.place().key.as_deref(), Some("k"));
    assert_eq!(error.place().backend.as_deref(), Some("store"));
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 2);
}

#[tokio::test]
async fn a_linked_in_plugin_may_be_named_itself() {
    let (host, switches) = (holdall::Host::builder().build().unwrap(), Switches::new());
    let config = serde_json::json!({ "id": switches.id });
    for generation in 1..=3 {
        let registration = holdall::Registration::new(&crate::plugin::probe::PLUGIN);
        let number = host
            .register("store", registration.config(config.clone()))
            .unwrap();
        assert_eq!(number, generation);
        host.backend("store").await.unwrap();
    }
    assert_eq!(switches.opens(), 3);
}

/// The end of an instance is code of its plugin, and may take long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_ends_slowly_holds_up_no_other() {
    type Ends = fn(&holdall::Host);
    let ends: [Ends; 3] = [
        |host| assert_eq!(host.register("store", probe(&Switches::new())).unwrap(), 2),
        |host| assert!(host.remove("store")),
        holdall::Host::reset_instances,
    ];
    for end in ends {
        let (host, _, old) = store().await;
        old.on("drop", Act::Deaf);
        let ending = std::thread::spawn({
            let host = host.clone();
            move || end(&host)
        });
        let new = Switches::new();
        let others = tokio::task::spawn_blocking({
            let (host, old, new) = (host.clone(), old.clone(), new.clone());
            move || {
                while old.drops_begun.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                host.reset_instances();
                host.register("store", probe(&new)).unwrap()
            }
        });
        let waited = tokio::time::timeout(Duration::from_secs(300), others).await;
        let ended = old.drops.load(Ordering::SeqCst);
        old.off("drop");
        ending.join().unwrap();
        waited.expect("no waiting").unwrap();
        assert_eq!((ended, old.drops.load(Ordering::SeqCst)), (0, 1));
        let backend = host.backend("store").await.unwrap();
        assert!(!backend.exists("k").await.unwrap());
        assert_eq!(new.opens(), 1);
    }
}
