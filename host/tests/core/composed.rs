//! What the host does in a plugin's place: copy, rename, deletes.

use crate::plugin::{Act, Switches};
use crate::{bare, host, store, with};
use holdall::{
    AbortUpload, Backend, CompleteUpload, CopyObject, Custom, Delete, DeleteMany, DownloadRanges,
    Error, ErrorKind, Head, List, ListParts, ListUploads, ListVersions, Operation, Operations,
    Part, PutPart, Rename, Update, Upload,
};
use serde_json::json;
use std::sync::atomic::Ordering;

/// As `Operation` has them.
fn in_order(mut names: Vec<&'static str>) -> Vec<&'static str> {
    names.sort_by_key(|name| Operation::from_name(name));
    names
}

async fn put(backend: &Backend, key: &str) {
    let upload = Upload::new(key, "0123456789")
        .content_type("text/x")
        .metadata("a", "b")
        .cache_control("no-store");
    backend.upload(upload).await.unwrap();
}

#[tokio::test]
async fn a_copy_through_the_host_keeps_everything() {
    let (_host, backend, switches) = bare(json!({})).await;
    put(&backend, "from").await;
    let copied = backend.copy(CopyObject::new("from", "to")).await.unwrap();
    assert_eq!(copied.size, Some(10));
    let objects = switches.objects.lock().unwrap().clone();
    assert_eq!(objects["to"], objects["from"]);

    let error = backend
        .copy(CopyObject::new("none", "to"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileNotFound);
    assert_eq!(error.place().key.as_deref(), Some("none"));
    assert_eq!(switches.objects.lock().unwrap()["to"], objects["to"]);

    switches.on("upload", Act::Fail(ErrorKind::QuotaExceeded));
    let error = backend
        .copy(CopyObject::new("from", "third"))
        .await
        .unwrap_err();
    assert_eq!(error.place().key.as_deref(), Some("third"));
}

#[tokio::test]
async fn errors_of_a_copy_and_a_rename_name_the_key_at_fault() {
    let (_host, backend, switches) = store().await;
    put(&backend, "from").await;
    for (kind, key) in [
        (ErrorKind::FileNotFound, "from"),
        (ErrorKind::Corrupt, "from"),
        (ErrorKind::PreconditionFailed, "to"),
        (ErrorKind::Conflict, "to"),
        (ErrorKind::QuotaExceeded, "to"),
        (ErrorKind::TooLarge, "to"),
    ] {
        for operation in ["copy", "rename"] {
            switches.on(operation, Act::Fail(kind));
        }
        let copy = backend
            .copy(CopyObject::new("from", "to"))
            .await
            .unwrap_err();
        let rename = backend.rename(Rename::new("from", "to")).await.unwrap_err();
        for error in [copy, rename] {
            assert_eq!(error.place().key.as_deref(), Some(key), "{error:?}");
        }
    }
    for (from, to, key) in [("from", "a//b", "a//b"), ("a//b", "to", "a//b")] {
        let error = backend.copy(CopyObject::new(from, to)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
        assert_eq!(error.place().key.as_deref(), Some(key));
    }
}

#[tokio::test]
async fn a_copy_keeps_what_the_store_claims_and_no_more() {
    let (_host, backend, switches) = bare(json!({ "claims": ["atomic_put"] })).await;
    switches.put("from", "x");
    switches
        .objects
        .lock()
        .unwrap()
        .get_mut("from")
        .unwrap()
        .content_type = Some("guessed/by-the-store".to_owned());
    backend.copy(CopyObject::new("from", "to")).await.unwrap();
    assert_eq!(switches.objects.lock().unwrap()["to"].content_type, None);
}

#[tokio::test]
async fn onto_itself_changes_nothing() {
    for (_host, backend, switches) in [bare(json!({})).await, store().await] {
        put(&backend, "k").await;
        let before = switches.objects.lock().unwrap().clone();
        let copied = backend.copy(CopyObject::new("k", "k")).await.unwrap();
        assert_eq!(copied.etag.as_deref(), Some("\"v1\""));
        backend.rename(Rename::new("k", "k")).await.unwrap();
        assert_eq!(*switches.objects.lock().unwrap(), before);
        let error = backend.copy(CopyObject::new("x", "x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileNotFound);
    }
}

#[tokio::test]
async fn copy_create_only_is_never_guessed() {
    let (_host, backend, switches) = bare(json!({})).await;
    switches.put("from", "x");
    let error = backend
        .copy(CopyObject::new("from", "to").create_only())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(switches.entered(), 0);
}

#[tokio::test]
async fn a_rename_says_whether_it_was_one_step() {
    let (_host, backend, switches) = bare(json!({})).await;
    put(&backend, "from").await;
    assert!(
        !backend
            .rename(Rename::new("from", "to"))
            .await
            .unwrap()
            .atomic
    );
    assert_eq!(switches.keys(), ["to"]);
    let (_host, backend, switches) = store().await;
    put(&backend, "from").await;
    assert!(
        backend
            .rename(Rename::new("from", "to"))
            .await
            .unwrap()
            .atomic
    );
    assert_eq!(switches.keys(), ["to"]);
}

#[tokio::test]
async fn deletes_of_many_keep_the_order_and_fail_one_by_one() {
    for (_host, backend, switches) in [bare(json!({})).await, store().await] {
        for n in 0..40 {
            switches.put(&format!("k{n:02}"), "x");
        }
        let mut keys: Vec<String> = (0..40).map(|n| format!("k{n:02}")).collect();
        keys.insert(7, "bad/".to_owned());
        keys.insert(9, "missing".to_owned());
        let answers = backend.delete_many(DeleteMany::new(&keys)).await.unwrap();
        assert_eq!(answers.len(), 42);
        for (key, answer) in keys.iter().zip(&answers) {
            match (key.as_str(), answer) {
                ("bad/", Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidKey);
                    assert_eq!(error.place().key.as_deref(), Some("bad/"));
                }
                ("missing", Ok(deleted)) => assert_eq!(deleted.existed, Some(false)),
                (_, Ok(deleted)) => assert_eq!(deleted.existed, Some(true), "{key}"),
                (_, Err(error)) => panic!("{key}: {error}"),
            }
        }
        assert!(switches.keys().is_empty());
    }
    let (_host, backend, switches) = store().await;
    switches.on("delete_many", Act::Lie("fewer"));
    let error = backend
        .delete_many(DeleteMany::new(["a", "b"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
}

#[tokio::test]
async fn must_exist_is_asked_first_where_the_store_is_not_exact() {
    for (exact, (_host, backend, switches)) in
        [(false, bare(json!({})).await), (true, store().await)]
    {
        let error = backend
            .delete(Delete::new("k").must_exist())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileNotFound);
        assert_eq!(
            backend.delete(Delete::new("k")).await.unwrap().existed,
            Some(false)
        );
        switches.put("k", "x");
        backend.delete(Delete::new("k").must_exist()).await.unwrap();
        assert_eq!(switches.saw_must_exist.load(Ordering::SeqCst), exact);
    }
}

#[tokio::test]
async fn a_prefix_is_a_string_and_a_star_is_a_star() {
    for (_host, backend, switches) in [bare(json!({})).await, store().await] {
        for n in 0..1100 {
            switches.put(&format!("a{n:04}"), "x");
        }
        for key in ["a*", "b"] {
            switches.put(key, "x");
        }
        let done = backend.delete_prefix("a*").await.unwrap();
        assert_eq!((done.deleted, switches.keys().len()), (1, 1101));
        let done = backend.delete_prefix("a").await.unwrap();
        assert_eq!((done.deleted, done.failed.len()), (1100, 0));
        assert_eq!(switches.keys(), ["b"]);
    }
    let (_host, backend, switches) = store().await;
    switches.put("refused", "x");
    let done = backend.delete_prefix("").await.unwrap();
    assert_eq!((done.deleted, done.failed.len()), (0, 1));
    assert_eq!(done.failed[0].1.kind(), ErrorKind::PermissionDenied);
}

/// A plugin with nothing but the required operations: for each optional one, what is documented.
#[tokio::test]
async fn an_operation_that_is_missing_is_emulated_or_unsupported() {
    let (host, switches) = (host(), Switches::new());
    host.register("store", with("least", &switches, json!({})))
        .unwrap();
    let store = host.backend("store").await.unwrap();
    store.upload(Upload::new("k", "abc")).await.unwrap();

    // The end of the instance comes last.
    let optional = Operation::ALL
        .iter()
        .copied()
        .filter(|operation| !Operations::REQUIRED.has(*operation))
        .filter(|operation| *operation != Operation::Shutdown)
        .chain([Operation::Shutdown]);
    let (mut emulated, mut unsupported) = (Vec::new(), Vec::new());
    for operation in optional {
        let outcome: Result<(), Error> = match operation {
            Operation::Head => store.head(Head::new("k")).await.map(|info| {
                assert_eq!(info.size, 3);
            }),
            Operation::List => store.list(List::new("")).await.map(drop),
            Operation::Copy => store.copy(CopyObject::new("k", "l")).await.map(|copied| {
                assert_eq!(copied.size, Some(3));
            }),
            Operation::Rename => store.rename(Rename::new("l", "m")).await.map(|renamed| {
                assert!(!renamed.atomic, "a copy and a delete");
            }),
            Operation::DeleteMany => {
                let answers = store.delete_many(DeleteMany::new(["m", "n"])).await;
                answers.map(|answers| assert!(answers.iter().all(Result::is_ok)))
            }
            Operation::Health => store.health().await.map(drop),
            Operation::Usage => store.usage().await.map(drop),
            Operation::Shutdown => {
                let done = store.shutdown().await;
                let after = store.exists("k").await.unwrap_err();
                assert_eq!(after.kind(), ErrorKind::Unavailable, "no call after it");
                done
            }
            Operation::Custom => store.custom(Custom::new("x", "")).await.map(drop),
            Operation::DownloadRanges => {
                let read = DownloadRanges::new("k", [1..2, 0..3]);
                store.download_ranges(read).await.map(|read| {
                    assert_eq!(read.ranges, [b"b".to_vec(), b"abc".to_vec()]);
                })
            }
            Operation::CreateUpload => store.create_upload("k").await.map(drop),
            Operation::PutPart => {
                let put = PutPart::new("k", "id", 1, "x");
                store.put_part(put).await.map(drop)
            }
            Operation::ListParts => store.list_parts(ListParts::new("k", "id")).await.map(drop),
            Operation::ListUploads => store.list_uploads(ListUploads::new("")).await.map(drop),
            Operation::CompleteUpload => {
                let parts = [Part::new(1, "etag", 1)];
                let complete = CompleteUpload::new("k", "id", &parts);
                store.complete_upload(complete).await.map(drop)
            }
            Operation::AbortUpload => store.abort_upload(AbortUpload::new("k", "id")).await,
            Operation::ListVersions => store.list_versions(ListVersions::new("")).await.map(drop),
            Operation::Update => {
                let update = Update::new("k").content_type("text/plain");
                store.update(update).await.map(drop)
            }
            required => panic!("{required} is required"),
        };
        match outcome {
            Ok(()) => emulated.push(operation.name()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{operation}");
                assert_eq!(error.fact("operation"), Some(operation.name()));
                unsupported.push(operation.name());
            }
        }
    }
    assert_eq!(
        emulated,
        [
            "head",
            "copy",
            "rename",
            "delete_many",
            "download_ranges",
            "shutdown"
        ]
    );
    let others = [
        "list",
        "health",
        "usage",
        "custom",
        "create_upload",
        "put_part",
        "list_parts",
        "list_uploads",
        "complete_upload",
        "abort_upload",
        "list_versions",
        "update",
    ];
    assert_eq!(unsupported, others);
    assert_eq!(switches.keys(), ["k"]);
    // Status says the same, before anybody has to try.
    let plugins = host.plugins();
    let least = plugins
        .iter()
        .find(|plugin| plugin.name == "least")
        .unwrap();
    assert_eq!(
        (&least.emulated, &least.unsupported),
        (&in_order(emulated), &unsupported)
    );
}
