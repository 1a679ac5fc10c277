//! An upload whose server dies: what is left is looked for from outside.

use crate::bucket::Bucket;
use futures_util::stream;
use holdall::{Body, ErrorKind, Host, PluginRef, Registration, Upload};
use holdall_backends::{eventually, plugin, script};
use std::time::Duration;

/// The upload ends in an error; the parts are taken back when the server is there again, and the old
/// object is what it was.
pub(crate) fn server_killed(bucket: &Bucket, server: &str, dir: &str) {
    let prefix = "killed-server/";
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(plugin("gcs"), folder.path().join("plugin.so")).unwrap();
    let host = Host::builder().config(holdall::config::Config::default());
    let host = host.plugin_dir(folder.path()).build().unwrap();
    let mut config = bucket.below(prefix);
    config["retries"] = 1.into();
    let registration = Registration::new(PluginRef::from("gcs")).config(config);
    host.register("b", registration).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let backend = runtime.block_on(host.backend("b")).unwrap();
    let old = runtime.block_on(backend.upload(Upload::new("victim", "old")));
    old.unwrap();
    let (at, stopped) = (bucket.clone(), dir.to_owned());
    let name = server.to_owned();
    let killer = std::thread::spawn(move || {
        eventually(60, "the upload is under way", || {
            at.unfinished(prefix).len() == 1
        });
        script(&name, &["kill", &stopped]);
    });
    let error = runtime.block_on(async {
        // Endless, slowly: it ends when the server does.
        let chunks = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(vec![7u8; 1 << 20].into()), ()))
        });
        let upload = Upload::new("victim", Body::stream(chunks));
        backend.upload(upload).await.unwrap_err()
    });
    killer.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    script(server, &["again", dir]);
    // The host is alive and its plugin goes on trying.
    eventually(120, "the upload is aborted", || {
        bucket.unfinished(prefix).is_empty()
    });
    let read = runtime.block_on(async {
        let download = holdall::Download::new("victim");
        let downloaded = backend.download(download).await.unwrap();
        downloaded.body.collect(1 << 20).await.unwrap()
    });
    assert_eq!(read, "old");
}
