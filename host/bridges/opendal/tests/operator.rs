//! The operator over loaded plugins.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use futures_util::TryStreamExt;
use holdall::{Host, PluginRef, Registration};
use holdall_e2e::artifacts;
use holdall_opendal::IntoOperator;
use opendal_core::{ErrorKind, Operator};
use serde_json::json;

struct Mounted {
    operator: Operator,
    host: Host,
    root: tempfile::TempDir,
}

async fn local() -> Mounted {
    let root = tempfile::tempdir().unwrap();
    let plugins = root.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    artifacts().folder_of([artifacts().plugin("local")], &plugins);
    let builder = Host::builder()
        .config(holdall::config::Config::default())
        .plugin_dir(&plugins);
    let host = builder.build().unwrap();
    let config = json!({ "root": root.path().join("store"), "durability": "none" });
    let registration = Registration::new(PluginRef::from("local")).config(config);
    host.register("media", registration).unwrap();
    let backend = host.backend("media").await.unwrap();
    let operator = backend.into_operator().await.unwrap();
    Mounted {
        operator,
        host,
        root,
    }
}

#[tokio::test]
async fn reads_writes_lists_and_deletes() {
    let Mounted { operator, root, .. } = local().await;
    assert_eq!(operator.info().scheme(), "holdall");
    assert_eq!(operator.info().name(), "media");
    let written = operator.write("dir/a.txt", "some text").await.unwrap();
    assert_eq!(written.content_length(), 9);
    let plain = std::fs::read(root.path().join("store/objects/dir/a.txt")).unwrap();
    assert_eq!(plain, b"some text");

    assert_eq!(
        operator.read("dir/a.txt").await.unwrap().to_vec(),
        b"some text"
    );
    let part = operator.read_with("dir/a.txt").range(5..9).await.unwrap();
    assert_eq!(part.to_vec(), b"text");
    let facts = operator.stat("dir/a.txt").await.unwrap();
    assert_eq!((facts.content_length(), facts.etag()), (9, written.etag()));
    assert!(operator.exists("dir/a.txt").await.unwrap());
    assert!(operator.stat("dir/").await.unwrap().is_dir());
    assert!(!operator.exists("dir").await.unwrap());

    operator.copy("dir/a.txt", "b.txt").await.unwrap();
    operator.rename("b.txt", "c.txt").await.unwrap();
    let paths = |listed: Vec<opendal_core::Entry>| {
        listed
            .iter()
            .map(|entry| entry.path().to_owned())
            .collect::<Vec<_>>()
    };
    let mut top = paths(operator.list("/").await.unwrap());
    top.sort();
    assert_eq!(top, ["/", "c.txt", "dir/"]);
    let all = paths(operator.list_with("/").recursive(true).await.unwrap());
    assert_eq!(all, ["/", "c.txt", "dir/a.txt"]);

    operator.delete("dir/a.txt").await.unwrap();
    operator.delete("dir/a.txt").await.unwrap();
    let missing = operator.stat("dir/a.txt").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_writer_publishes_at_its_close() {
    let Mounted {
        operator,
        root: _root,
        ..
    } = local().await;
    let mut writer = operator.writer("large").await.unwrap();
    for _ in 0..8 {
        writer.write(vec![7_u8; 1 << 20]).await.unwrap();
    }
    assert!(!operator.exists("large").await.unwrap());
    let written = writer.close().await.unwrap();
    assert_eq!(written.content_length(), 8 << 20);
    let stream = operator
        .reader("large")
        .await
        .unwrap()
        .into_bytes_stream(..)
        .await
        .unwrap();
    let size = stream.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) });
    assert_eq!(size.await.unwrap(), 8 << 20);
}

#[tokio::test]
async fn a_writer_that_is_aborted_or_dropped_leaves_nothing() {
    let Mounted { operator, root, .. } = local().await;
    let mut aborted = operator.writer("aborted").await.unwrap();
    aborted.write(vec![7_u8; 3 << 20]).await.unwrap();
    aborted.abort().await.unwrap();
    let mut dropped = operator.writer("dropped").await.unwrap();
    dropped.write(vec![7_u8; 3 << 20]).await.unwrap();
    drop(dropped);
    for key in ["aborted", "dropped"] {
        assert!(!operator.exists(key).await.unwrap(), "{key}");
    }
    // Staging is cleaned by the plugin's own job, a moment later.
    let staging = root.path().join("store/staging");
    let left = || {
        let own = std::fs::read_dir(&staging).into_iter().flatten().flatten();
        own.filter_map(|own| Some(std::fs::read_dir(own.path()).ok()?.count()))
            .sum::<usize>()
    };
    for _ in 0..1_000 {
        if left() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} files are left in staging", left());
}

#[tokio::test]
async fn failed_conditions_and_unsupported_arguments() {
    let Mounted {
        operator,
        root: _root,
        ..
    } = local().await;
    operator
        .write_with("a", "one")
        .if_not_exists(true)
        .await
        .unwrap();
    let lost = operator
        .write_with("a", "two")
        .if_not_exists(true)
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::ConditionNotMatch);
    assert_eq!(operator.read("a").await.unwrap().to_vec(), b"one");
    let lost = operator
        .write_with("a", "two")
        .if_match("\"other\"")
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::ConditionNotMatch);

    let append = operator
        .write_with("a", "two")
        .append(true)
        .await
        .unwrap_err();
    assert_eq!(append.kind(), ErrorKind::Unsupported);
    let invalid = operator.write("a/../b", "x").await.unwrap_err();
    assert_eq!(invalid.kind(), ErrorKind::ConfigInvalid, "{invalid}");
}

#[tokio::test]
async fn the_operator_follows_the_backend() {
    let Mounted {
        operator,
        host,
        root,
    } = local().await;
    operator.write("a", "old").await.unwrap();
    let config = json!({ "root": root.path().join("other"), "durability": "none" });
    let registration = Registration::new(PluginRef::from("local")).config(config);
    host.register("media", registration).unwrap();
    assert!(!operator.exists("a").await.unwrap());
    operator.write("a", "new").await.unwrap();
    assert!(root.path().join("other/objects/a").exists());
}

/// Paths of a listing, sorted.
async fn listed(operator: &Operator, path: &str, recursive: bool) -> Vec<String> {
    let entries = operator.list_with(path).recursive(recursive).await.unwrap();
    let mut paths: Vec<_> = entries
        .iter()
        .map(|entry| entry.path().to_owned())
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn a_directory_is_there_from_its_creation_to_its_deletion() {
    let Mounted { operator, root, .. } = local().await;
    assert!(operator.info().capability().create_dir);
    assert!(!operator.exists("a/").await.unwrap());
    operator.create_dir("a/").await.unwrap();
    operator.create_dir("a/").await.unwrap();
    operator.create_dir("a/empty/").await.unwrap();
    assert!(operator.stat("a/").await.unwrap().is_dir());
    assert!(
        root.path()
            .join("store/objects/a/.holdall-directory")
            .exists()
    );

    operator.write("a/b", "text").await.unwrap();
    assert_eq!(listed(&operator, "/", false).await, ["/", "a/"]);
    assert_eq!(
        listed(&operator, "a/", false).await,
        ["a/", "a/b", "a/empty/"]
    );
    assert_eq!(
        listed(&operator, "/", true).await,
        ["/", "a/", "a/b", "a/empty/"]
    );

    operator.delete("a/b").await.unwrap();
    assert!(operator.stat("a/").await.unwrap().is_dir());
    operator.delete_with("a/").recursive(true).await.unwrap();
    assert!(!operator.exists("a/").await.unwrap());
    operator.create_dir("/").await.unwrap();
    operator.delete("/").await.unwrap();
    assert_eq!(listed(&operator, "/", true).await, ["/"]);
}

#[tokio::test]
async fn a_directory_is_its_own_key_where_the_backend_takes_it() {
    let plugins = tempfile::tempdir().unwrap();
    artifacts().folder_of([artifacts().plugin("memory")], plugins.path());
    let builder = Host::builder().config(holdall::config::Config::default());
    let host = builder.plugin_dir(plugins.path()).build().unwrap();
    let registration = Registration::new("memory").key_policy(holdall::KeyPolicy::Opaque);
    host.register("scratch", registration).unwrap();
    let backend = host.backend("scratch").await.unwrap();
    let operator = backend.clone().into_operator().await.unwrap();
    operator.create_dir("a/").await.unwrap();
    operator.write("a/b", "text").await.unwrap();
    let page = backend.list(holdall::List::new("")).await.unwrap();
    let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["a/", "a/b"]);
    assert!(operator.stat("a/").await.unwrap().is_dir());
    assert_eq!(listed(&operator, "a/", false).await, ["a/", "a/b"]);
    operator.delete("a/").await.unwrap();
    assert_eq!(listed(&operator, "/", true).await, ["/", "a/b"]);
}

#[tokio::test]
async fn many_deletes_are_one_batch() {
    let Mounted {
        operator,
        host,
        root: _root,
    } = local().await;
    assert!(operator.info().capability().delete_max_size > Some(1));
    let paths: Vec<_> = (0..20).map(|n| format!("a/{n}")).collect();
    for path in &paths {
        operator.write(path, "text").await.unwrap();
    }
    let missing = ["never/there".to_owned()];
    operator
        .delete_iter(paths.iter().cloned().chain(missing))
        .await
        .unwrap();
    assert_eq!(listed(&operator, "/", true).await, ["/"]);
    let counters = host.status().backends[0].counters.clone();
    assert_eq!(counters.operations["delete_many"].calls, 1);
    assert!(!counters.operations.contains_key("delete"));
}

#[tokio::test]
async fn presign_is_claimed_where_it_works() {
    use holdall::config::{Config, GatewayConfig};
    let Mounted {
        operator,
        root: _root,
        ..
    } = local().await;
    assert!(!operator.info().capability().presign);

    let plugins = tempfile::tempdir().unwrap();
    artifacts().folder_of([artifacts().plugin("memory")], plugins.path());
    let mut config = Config::default();
    let gateway = GatewayConfig::new("https://files.example.org");
    config.gateway = Some(gateway.key("1", "a secret of 16 or more"));
    let builder = Host::builder().config(config).plugin_dir(plugins.path());
    let host = builder.build().unwrap();
    host.register("scratch", Registration::new("memory"))
        .unwrap();
    let backend = host.backend("scratch").await.unwrap();
    let operator = backend.into_operator().await.unwrap();
    let capability = operator.info().capability();
    let claims = [
        capability.presign,
        capability.presign_read,
        capability.presign_write,
        capability.presign_stat,
        capability.presign_delete,
    ];
    assert_eq!(claims, [true; 5]);
    let minute = std::time::Duration::from_secs(60);
    for signed in [
        operator.presign_read("a", minute).await,
        operator.presign_write("a", minute).await,
        operator.presign_stat("a", minute).await,
        operator.presign_delete("a", minute).await,
    ] {
        assert_eq!(signed.unwrap().uri().path(), "/v1/scratch/a");
    }
}
