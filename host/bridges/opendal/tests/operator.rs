//! The operator as a program that speaks OpenDAL uses it.
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
async fn the_usual_calls_do_the_usual_things() {
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
    assert_eq!(top, ["c.txt", "dir/"]);
    let all = paths(operator.list_with("/").recursive(true).await.unwrap());
    assert_eq!(all, ["c.txt", "dir/a.txt"]);

    operator.delete("dir/a.txt").await.unwrap();
    operator.delete("dir/a.txt").await.unwrap();
    let missing = operator.stat("dir/a.txt").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_writer_publishes_at_its_close_and_not_before() {
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
async fn conditions_and_what_is_not_supported() {
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

    let folder = operator.create_dir("folder/").await.unwrap_err();
    assert_eq!(folder.kind(), ErrorKind::Unsupported);
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
