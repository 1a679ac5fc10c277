//! Uploads that end before their end: what is left is looked for from outside.

use crate::bucket::Bucket;
use futures_util::stream;
use holdall::{Body, ErrorKind, Host, PluginRef, Registration, Upload};
use holdall_backends::{Holdall, eventually, feed, plugin, script};
use std::time::Duration;

/// Three parts of the least size, and the pipe stays open.
const MIB: u64 = 18;

/// SIGKILL leaves the parts in the store; the next upload in parts, of any process, removes them.
pub(crate) fn client_killed(bucket: &Bucket) {
    let prefix = "killed-client/";
    let mut config = bucket.below(prefix);
    config["abandoned_after_seconds"] = 8.into();
    let holdall = Holdall::new("s3", &config);
    let mut put = holdall.start(&["put", "-", "b:victim"]);
    let mut input = put.stdin.take().unwrap();
    feed(&mut input, MIB);
    eventually(60, "the upload is under way", || {
        bucket.unfinished(prefix).len() == 1
    });
    put.kill().unwrap();
    put.wait().unwrap();
    let left = bucket.unfinished(prefix);
    assert_eq!(left.len(), 1, "SIGKILL leaves no time to clean up");
    std::thread::sleep(Duration::from_secs(10));
    let mut next = holdall.start(&["put", "-", "b:next"]);
    let mut input = next.stdin.take().unwrap();
    feed(&mut input, MIB);
    eventually(60, "the old upload is gone", || {
        !bucket.unfinished(prefix).contains(&left[0])
    });
    drop(input);
    assert!(next.wait().unwrap().success(), "the living upload lives");
    assert_eq!(bucket.unfinished(prefix), Vec::<String>::new());
}

/// The upload ends in an error; the parts are taken back when the server is there again.
pub(crate) fn server_killed(bucket: &Bucket, server: &str, dir: &str) {
    let prefix = "killed-server/";
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(plugin("s3"), folder.path().join("plugin.so")).unwrap();
    let mut host_config = holdall::config::Config::default();
    host_config.gateway = None;
    let host = Host::builder()
        .config(host_config)
        .plugin_dir(folder.path())
        .build()
        .unwrap();
    let mut config = bucket.below(prefix);
    config["retries"] = 1.into();
    host.register("b", Registration::new(PluginRef::from("s3")).config(config))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let error = runtime.block_on(async {
        let backend = host.backend("b").await.unwrap();
        let mut sent = 0;
        // Endless, slowly: it ends when the server does.
        let chunks = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(vec![7u8; 1 << 20].into()), ()))
        });
        let mut upload = Upload::new("victim", Body::stream(chunks));
        upload.length = None;
        let uploading = backend.upload(upload);
        tokio::pin!(uploading);
        loop {
            tokio::select! {
                ended = &mut uploading => break ended.unwrap_err(),
                () = tokio::time::sleep(Duration::from_millis(500)), if sent == 0 => {
                    let (at, below) = (bucket.clone(), prefix.to_owned());
                    let found = tokio::task::spawn_blocking(move || at.unfinished(&below).len());
                    if found.await.unwrap() == 1 {
                        sent = 1;
                        script(server, &["kill", dir]);
                    }
                }
            }
        }
    });
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    script(server, &["again", dir]);
    assert_eq!(
        bucket.unfinished(prefix).len(),
        1,
        "the server kept the parts"
    );
    // The host is alive and its plugin goes on trying.
    eventually(120, "the upload is aborted", || {
        bucket.unfinished(prefix).is_empty()
    });
    drop(host);
}
