//! What is asked of every server that can be had.

use crate::bucket::Bucket;
use holdall::{Download, ErrorKind, Update, Upload};
use holdall_backends::{Holdall, HostedPlugin, parts, plugin, resumed, run_kit, s3, server};
use holdall_conformance::{Case, Status};
use holdall_e2e::kit::loaded;
use std::sync::Arc;

pub(crate) fn kit(bucket: Bucket, name: &str) {
    let stage = loaded(&plugin("s3"), bucket);
    run_kit(Arc::new(stage), name);
}

/// Only these cases, each of which passes.
pub(crate) fn cases(bucket: Bucket, name: &str, cases: &[&str]) {
    let stage = loaded(&plugin("s3"), bucket);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let wanted = |case: &Case| cases.contains(&case.id);
    let report = runtime.block_on(holdall_conformance::run(Arc::new(stage), wanted));
    println!("{name}\n{report}");
    assert_eq!(report.count(Status::Passed), cases.len());
}

pub(crate) fn two_gib_in_bounded_memory(bucket: &Bucket) {
    let mut config = bucket.below("large/");
    // As an operator has it who says nothing.
    for field in ["part_size_mib", "parts_at_once"] {
        config.as_object_mut().unwrap().remove(field);
    }
    let (put, get) = Holdall::new("s3", &config).both_ways(2048);
    println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
    assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
}

pub(crate) fn client_killed(bucket: &Bucket) {
    let prefix = "killed-client/";
    parts::client_killed("s3", bucket.below(prefix), || {
        bucket.s3().unfinished(prefix)
    });
}

pub(crate) fn resumed_by_another_process(bucket: &Bucket) {
    let prefix = "resumed/";
    let unfinished = || bucket.s3().unfinished(prefix);
    resumed::by_another_process("s3", &bucket.below(prefix), unfinished);
}

/// The host composes an update of a copy under a condition on its source. `conditional`: the store claims
/// `if_match_put`.
pub(crate) fn updated(bucket: &Bucket, conditional: bool) {
    let hosted = HostedPlugin::new("s3");
    let config = bucket.below("updated/");
    let changed = hosted.run(async {
        let backend = hosted.open(config).await?;
        let put = Upload::new("k", "bytes").metadata("old", "1");
        let etag = backend.upload(put).await?.etag.unwrap_or_default();
        let mut update = Update::new("k").content_type("text/x-new");
        if conditional {
            let stale = update.clone().if_match("\"other\"");
            let lost = backend.update(stale).await.expect_err("another etag");
            assert_eq!(lost.kind(), ErrorKind::PreconditionFailed, "{lost}");
            update = update.if_match(&etag);
        }
        backend
            .update(update.metadata([("new", "caf\u{e9}")]))
            .await?;
        let read = backend.download(Download::new("k")).await?;
        assert_eq!(read.info.content_type.as_deref(), Some("text/x-new"));
        let metadata = [("new".to_owned(), "caf\u{e9}".to_owned())];
        assert_eq!(read.info.metadata, metadata);
        read.body.collect(100).await
    });
    assert_eq!(changed.expect("it is updated"), "bytes");
}

pub(crate) fn server_killed(bucket: &Bucket, name: &str) {
    let dir = server(name)["dir"].as_str().unwrap().to_owned();
    let prefix = "killed-server/";
    let mut config = bucket.below(prefix);
    config["retries"] = 1.into();
    let unfinished = || bucket.s3().unfinished(prefix);
    parts::server_killed("s3", config, unfinished, name, &dir);
}

/// `expired`: the status of a URL whose time is over.
pub(crate) fn signed_urls(bucket: &Bucket, expired: &str) {
    let holdall = Holdall::new("s3", &bucket.below("signed/"));
    s3::signed_urls(&holdall, expired);
}
