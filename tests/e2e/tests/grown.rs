//! Plugins in C of a later minor: against a header of which one table after another has grown, loaded
//! by this host. The other direction, and plugins in Rust, are in `tests/abi`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::config::Config;
use holdall::{Backend, Delete, Download, ErrorKind, Head, Host, List, Registration, Upload};
use holdall_plugin_api::abi::list::TABLES;
use holdall_plugin_api::abi::{FINGERPRINTS, FROZEN_MINOR, VERSION};
use serde_json::json;

/// The header of the next ABI minor, if these tables had one more field at their end.
fn header(grown: &[&str]) -> String {
    let mut header = holdall_c_plugin::header();
    for name in grown {
        let end = format!("\n}} Holdall{name};");
        assert_eq!(header.matches(&end).count(), 1, "{name}");
        header = header.replace(&end, &format!("\n  const void *grown;{end}"));
    }
    let count = FINGERPRINTS.len();
    for (before, after) in [
        (
            format!("#define HOLDALL_ABI_MINOR {}\n", VERSION.minor),
            format!("#define HOLDALL_ABI_MINOR {}\n", VERSION.minor + 1),
        ),
        // Those of the next minor, which this host does not read, are zeroes.
        (
            format!("#define HOLDALL_FINGERPRINT_COUNT {count}\n"),
            format!("#define HOLDALL_FINGERPRINT_COUNT {}\n", 2 * count),
        ),
    ] {
        assert_eq!(header.matches(&before).count(), 1, "{before}");
        header = header.replace(&before, &after);
    }
    header
}

/// Items of arrays that state their size.
const ITEMS: &[&str] = &[
    "FfiEntry",
    "FfiDeleteResult",
    "FfiPart",
    "FfiUpload",
    "FfiPartRef",
    "FfiVersion",
];

/// The tables that may grow, and the items of arrays that state their size.
fn growing() -> Vec<&'static str> {
    let grows = |table: &&holdall_plugin_api::abi::list::Table| {
        table.fields[0].name == "size" || ITEMS.contains(&table.name)
    };
    TABLES
        .iter()
        .filter(grows)
        .map(|table| table.name)
        .collect()
}

async fn everything(store: &Backend) {
    let upload = Upload::new("a/k", "hello").content_type("text/x");
    let uploaded = store.upload(upload).await.unwrap();
    assert!(store.exists("a/k").await.unwrap());
    let info = store.head(Head::new("a/k")).await.unwrap();
    assert_eq!((info.size, &info.etag), (5, &uploaded.etag));
    assert_eq!(info.content_type.as_deref(), Some("text/x"));
    let got = store.download(Download::new("a/k")).await.unwrap();
    assert_eq!(got.body.collect(10).await.unwrap(), "hello");
    store.upload(Upload::new("b", "x")).await.unwrap();
    let page = store.list(List::new("")).await.unwrap();
    let keys: Vec<_> = page
        .entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry.size))
        .collect();
    assert_eq!(keys, [("a/k", 5), ("b", 1)]);
    assert!(page.entries.iter().all(|entry| entry.etag.is_some()));
    assert!(store.health().await.unwrap().healthy);
    let deleted = store.delete(Delete::new("b")).await.unwrap();
    assert_eq!(deleted.existed, Some(true));
    let missing = store.download(Download::new("b")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::FileNotFound);
    store.shutdown().await.unwrap();
    assert!(store.exists("a/k").await.is_err());
}

async fn meets(grown: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let library = holdall_c_plugin::build_against(&header(grown), folder.path());
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    std::fs::copy(&library, plugins.join("plugin.so")).unwrap();
    let host = Host::builder()
        .config(Config::default())
        .plugin_dir(&plugins)
        .build()
        .unwrap();
    let registration = Registration::new(holdall_c_plugin::NAME).config(json!({}));
    host.register("store", registration).unwrap();
    let store = host.backend("store").await;
    let store = store.unwrap_or_else(|error| panic!("{grown:?}: {error:?}"));
    everything(&store).await;
    let plugin = host.plugins().remove(0);
    assert_eq!(
        (plugin.abi.as_str(), plugin.effective_minor),
        // A host whose newest minor is a draft speaks the minor before it with any other.
        (&*format!("1.{}", VERSION.minor + 1), Some(FROZEN_MINOR))
    );
}

#[tokio::test]
async fn a_plugin_in_c_of_which_every_table_has_grown() {
    let growing = growing();
    assert!(growing.len() >= 40, "{growing:?}");
    meets(&growing).await;
}

#[tokio::test]
async fn a_plugin_in_c_of_which_one_table_after_another_has_grown() {
    for table in growing() {
        meets(&[table]).await;
    }
}
