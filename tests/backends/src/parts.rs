//! Uploads in parts that end before their end: what the store keeps of them is looked for from outside.

use crate::{Holdall, HostedPlugin, eventually, feed, script};
use futures_util::stream;
use holdall::{Body, Download, ErrorKind, Upload};
use serde_json::Value;
use std::time::Duration;

/// Three parts of the least size, and the pipe stays open.
const MIB: u64 = 18;

/// SIGKILL leaves the parts in the store; the next upload in parts, of any process, removes them.
/// `unfinished`: the ids of unfinished uploads below the prefix of this configuration.
///
/// # Panics
///
/// When that is not so.
pub fn client_killed(plugin: &str, mut config: Value, unfinished: impl Fn() -> Vec<String>) {
    config["abandoned_after_seconds"] = 8.into();
    let holdall = Holdall::new(plugin, &config);
    let mut put = holdall.start(&["put", "-", "b:victim"]);
    let mut input = put.stdin.take().expect("a pipe");
    feed(&mut input, MIB);
    eventually(60, "the upload is under way", || unfinished().len() == 1);
    put.kill().expect("it runs");
    put.wait().expect("it ran");
    let left = unfinished();
    assert_eq!(left.len(), 1, "SIGKILL leaves no time to clean up");
    std::thread::sleep(Duration::from_secs(10));
    let mut next = holdall.start(&["put", "-", "b:next"]);
    let mut input = next.stdin.take().expect("a pipe");
    feed(&mut input, MIB);
    eventually(60, "the old upload is gone", || {
        !unfinished().contains(&left[0])
    });
    drop(input);
    let lives = next.wait().expect("it ran").success();
    assert!(lives, "the living upload lives");
    assert_eq!(unfinished(), Vec::<String>::new());
    assert_eq!(holdall.get("b:victim"), None);
}

/// The upload ends in an error and the old object is what it was; the parts are taken back when the
/// server is there again. `server` and `dir`: its script and folder.
///
/// # Panics
///
/// When that is not so.
pub fn server_killed(
    plugin: &str,
    config: Value,
    unfinished: impl Fn() -> Vec<String> + Sync,
    server: &str,
    dir: &str,
) {
    let hosted = HostedPlugin::new(plugin);
    let backend = hosted.run(hosted.open(config)).expect("it opens");
    let old = hosted.run(backend.upload(Upload::new("victim", "old")));
    old.expect("the server is up");
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually(60, "the upload is under way", || unfinished().len() == 1);
            script(server, &["kill", dir]);
        });
        hosted.run(async {
            // Endless, slowly: it ends when the server does.
            let chunks = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok(vec![7u8; 1 << 20].into()), ()))
            });
            let upload = Upload::new("victim", Body::stream(chunks));
            backend
                .upload(upload)
                .await
                .expect_err("the server is gone")
        })
    });
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    script(server, &["again", dir]);
    // The host is alive and its plugin goes on trying.
    eventually(120, "the upload is aborted", || unfinished().is_empty());
    let read = hosted.run(async {
        let downloaded = backend.download(Download::new("victim")).await?;
        downloaded.body.collect(1 << 20).await
    });
    assert_eq!(read.expect("the old object is there"), "old");
}
