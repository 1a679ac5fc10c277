//! What a call costs, in requests: the table of the plugin's page, counted on the way to the server.

use crate::share::Share;
use holdall::{CopyObject, Delete, Download, Head, Key, List, Rename, Upload};
use holdall_backends::HostedPlugin;
use holdall_conformance::wire::{Endpoint, Reply};
use std::time::Duration;

/// Counts the requests of each call and compares them all at once.
macro_rules! counted {
    ($endpoint:expr, $($call:literal: $expected:expr, $work:expr;)+) => {{
        let mut found = Vec::new();
        $(
            $endpoint.take_seen();
            $work.await.unwrap();
            let seen = $endpoint.take_seen();
            let methods: Vec<_> = seen.iter().map(|one| one.method.to_string()).collect();
            found.push(($call, $expected, methods));
        )+
        for (call, _, methods) in &found {
            println!("{call}: {} {}", methods.len(), methods.join(" "));
        }
        let wrong: Vec<_> = found
            .iter()
            .filter(|(_, expected, methods)| *expected != methods.len())
            .collect();
        assert!(wrong.is_empty(), "not what the page says: {wrong:?}");
    }};
}

/// On a server with properties and locks.
pub(crate) fn with_properties(share: &Share) {
    let hosted = HostedPlugin::new("webdav");
    hosted.run(async {
        let endpoint = Endpoint::always(Reply::forwarded(share.address())).await;
        let mut config = share.below("costs");
        config["url"] = endpoint.url().into();
        let backend = hosted.open(config).await.unwrap();
        settled(&endpoint).await;
        println!("open: {}", endpoint.seen().len());
        let etag = async || backend.head(Head::new("a")).await.unwrap().etag.unwrap();
        counted!(endpoint,
            "upload, new key": 3, backend.upload(Upload::new("a", "1"));
            "upload, in a new folder": 5, backend.upload(Upload::new("f/a", "1"));
            "upload, one level more": 7, backend.upload(Upload::new("g/h/a", "1"));
            "upload, over an object": 5, backend.upload(Upload::new("a", "2"));
            "download": 2, backend.download(Download::new("a"));
            "head": 1, backend.head(Head::new("a"));
            "exists": 1, backend.exists(Key::new("a"));
            "list, one folder": 1, backend.list(List::new("f/"));
            // `f/` holds an object, `g/` a folder that does.
            "list, with a delimiter": 4, backend.list(List::new("").delimiter("/"));
            "copy": 6, backend.copy(CopyObject::new("a", "b"));
            "rename": 2, backend.rename(Rename::new("b", "c"));
            "delete": 2, backend.delete(Delete::new("c"));
            "health": 1, backend.health();
            "usage": 1, backend.usage();
        );
        let known = etag().await;
        counted!(endpoint,
            "upload over an object, with a condition": 9, backend.upload(Upload::new("a", "3").if_match(&known));
            "upload, new key, create-only": 7, backend.upload(Upload::new("d", "3").create_only());
        );
        let known = etag().await;
        counted!(endpoint,
            "delete, with a condition": 5, backend.delete(Delete::new("a").if_match(&known));
        );
    });
}

/// The opening looks for stale files beside its caller.
async fn settled(endpoint: &Endpoint) {
    let mut before = 0;
    while endpoint.seen().len() != before {
        before = endpoint.seen().len();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
