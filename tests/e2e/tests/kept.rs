//! Plugins of released minors, kept as they were built: each loads, and does all that it did.
//!
//! `scripts/freeze` puts the first one into `tests/abi/kept` when the draft of the ABI ends. A draft
//! keeps none: its tables may still change, and a file of yesterday could not be loaded.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::config::Config;
use holdall::{
    CopyObject, Delete, DeleteMany, Download, ErrorKind, Head, Host, List, Registration, Rename,
    Upload,
};
use holdall_plugin_api::abi::{DRAFT, VERSION};
use std::path::{Path, PathBuf};

const MOST_BYTES: u64 = 1 << 20;

/// The kept files for this target, each with the hash that it must have.
fn kept() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../abi/kept");
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap_or_default();
    let here = format!("{}-unknown-linux-gnu.so", std::env::consts::ARCH);
    sums.lines()
        .map(|line| line.split_once("  ").unwrap())
        .filter(|(_, name)| name.ends_with(&here))
        .map(|(hash, name)| (folder.join(name), hash.to_owned()))
        .collect()
}

async fn does_all_that_it_did(file: PathBuf, hash: &str) {
    let shown = file.display().to_string();
    assert!(
        std::fs::metadata(&file).unwrap().len() <= MOST_BYTES,
        "{shown}"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(&file, folder.path().join("plugin.so")).unwrap();
    let host = Host::builder()
        .config(Config::default())
        .plugin_dir(folder.path())
        .build()
        .unwrap();
    let faults = &host.scan_report().files[0].faults;
    assert!(faults.is_empty(), "{shown}: {faults:?}");
    host.register("store", Registration::new("memory")).unwrap();
    let store = host.backend("store").await.unwrap();
    assert_eq!(host.plugins()[0].sha256.as_deref(), Some(hash), "{shown}");

    let upload = Upload::new("a", "hello")
        .content_type("text/x")
        .metadata("m", "v");
    assert_eq!(store.upload(upload).await.unwrap().size, 5);
    assert!(store.exists("a").await.unwrap());
    assert_eq!(store.head(Head::new("a")).await.unwrap().size, 5);
    let got = store.download(Download::new("a")).await.unwrap();
    assert_eq!(got.info.content_type.as_deref(), Some("text/x"));
    assert_eq!(got.body.collect(10).await.unwrap(), "hello");
    store.copy(CopyObject::new("a", "b")).await.unwrap();
    store.rename(Rename::new("b", "c")).await.unwrap();
    let page = store.list(List::new("")).await.unwrap();
    let keys: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    assert_eq!(keys, ["a", "c"]);
    let deleted = store
        .delete_many(DeleteMany::new(["c", "d"]))
        .await
        .unwrap();
    assert_eq!(deleted.len(), 2);
    let deleted = store.delete(Delete::new("a")).await.unwrap();
    assert_eq!(deleted.existed, Some(true));
    let missing = store.download(Download::new("a")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::FileNotFound);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_was_kept_still_loads() {
    let kept = kept();
    let minors = if DRAFT {
        VERSION.minor
    } else {
        VERSION.minor + 1
    };
    assert_eq!(kept.len(), usize::from(minors), "one for each frozen minor");
    for (file, hash) in kept {
        does_all_that_it_did(file, &hash).await;
    }
}

/// More symbols would be promises too, and could clash with the program's.
#[test]
fn a_built_plugin_exports_its_entry_and_nothing_else() {
    // Alone, as they are shipped: crates of others may add symbols by features that only they need.
    let built = holdall_e2e::Artifacts::build(&["holdall-plugin-memory", "holdall-plugin-local"]);
    for name in ["memory", "local"] {
        let library = built.plugin(name);
        let listed = std::process::Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(library)
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
        let text = String::from_utf8(listed.stdout).unwrap();
        let symbols: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_whitespace().last())
            .collect();
        assert_eq!(symbols, [format!("holdall_plugin_v1_{name}")]);
    }
}
