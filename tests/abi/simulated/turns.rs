//! Only in the simulated tree: a 1.2 host of which one table after another has grown meets a plugin
//! of the minor before, a built file that is loaded anew each time.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests; a panic is the report")]

use holdall::config::Config;
use holdall::{
    CopyObject, Delete, DeleteMany, Download, ErrorKind, Head, Host, List, Registration, Rename, Upload,
};
use holdall_plugin_api::abi::{VERSION, grow, list::TABLES};

/// Every operation once, with options, answers and errors.
async fn everything(store: &holdall::Backend) {
    let upload = Upload::new("a/k", "hello").content_type("text/x").metadata("m", "v");
    assert_eq!(store.upload(upload).await.unwrap().size, 5);
    assert!(store.exists("a/k").await.unwrap());
    let info = store.head(Head::new("a/k")).await.unwrap();
    assert_eq!((info.size, info.content_type.as_deref()), (5, Some("text/x")));
    assert_eq!(info.metadata, [("m".to_owned(), "v".to_owned())]);
    let got = store.download(Download::new("a/k")).await.unwrap();
    assert_eq!(got.info.etag, info.etag);
    assert_eq!(got.body.collect(10).await.unwrap(), "hello");
    store.copy(CopyObject::new("a/k", "b")).await.unwrap();
    store.rename(Rename::new("b", "c")).await.unwrap();
    let page = store.list(List::new("")).await.unwrap();
    let keys: Vec<_> = page.entries.iter().map(|entry| (entry.key.as_str(), entry.size)).collect();
    assert_eq!(keys, [("a/k", 5), ("c", 5)]);
    assert!(page.entries.iter().all(|entry| entry.etag.is_some()));
    let deleted = store.delete_many(DeleteMany::new(["a/k", "c", "d"])).await.unwrap();
    let existed: Vec<_> = deleted.into_iter().map(|one| one.unwrap().existed).collect();
    assert_eq!(existed, [Some(true), Some(true), Some(false)]);
    assert!(!store.delete(Delete::new("a/k")).await.unwrap().existed.unwrap());
    let missing = store.download(Download::new("none")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::FileNotFound);
    store.health().await.ok();
    store.usage().await.ok();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn each_table_in_turn() {
    assert_eq!(VERSION.minor, 2, "this is the simulated tree");
    let library = std::env::var_os("HOLDALL_OLD_PLUGIN").expect("the plugin of today");
    let old = std::fs::read(library).unwrap();
    let grown = TABLES
        .iter()
        .filter(|table| table.fields.last().is_some_and(|last| last.since == 2));
    let mut turns = 0;
    for table in grown {
        *grow::GROWN.lock().unwrap() = Some(table.name);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugin.so");
        // Bytes that are mapped are not mapped again: a longer end makes other bytes of them.
        turns += 1;
        let bytes = [&old[..], &vec![0; turns]].concat();
        std::fs::write(&file, bytes).unwrap();
        let host = Host::builder().config(Config::default()).build().unwrap();
        host.register("store", Registration::new(file)).unwrap();
        let store = host.backend("store").await;
        let store = store.unwrap_or_else(|error| panic!("{}: {error:?}", table.name));
        everything(&store).await;
        println!("{} has grown: the plugin of 1.0 does all it did", table.name);
    }
    assert!(turns >= 40, "{turns} tables");
}
