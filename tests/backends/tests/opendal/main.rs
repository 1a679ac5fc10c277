//! `plugins/opendal`, the loaded file, against real servers of its services.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod bucket;

use bucket::Bucket;
use holdall_backends::{Holdall, judged, plugin, server};
use holdall_e2e::kit::HostStage;
use serde_json::json;
use std::sync::Arc;

/// Ceph ignores a condition at the end of a multipart upload, and answers a right `If-Match` with 412.
mod radosgw {
    use super::*;

    fn bucket() -> Bucket {
        let more = json!({ "disable": ["create_only", "if_match_put"] });
        Bucket::s3(server("radosgw"), more)
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn kit() {
        let stage = HostStage::loaded(&plugin("opendal"), bucket());
        judged(Arc::new(stage), "opendal-s3-radosgw");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn two_gib_in_bounded_memory() {
        bounded(&bucket());
    }
}

mod s3s_fs {
    use super::*;

    #[test]
    #[ignore = "needs s3s-fs: scripts/test-backends opendal/s3s-fs"]
    fn two_gib_in_bounded_memory() {
        bounded(&Bucket::s3(server("s3s-fs"), json!({})));
    }
}

mod azurite {
    use super::*;

    fn bucket() -> Bucket {
        Bucket::azblob(server("azurite"), json!({}))
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends opendal/azurite"]
    fn kit() {
        let stage = HostStage::loaded(&plugin("opendal"), bucket());
        judged(Arc::new(stage), "opendal-azblob-azurite");
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends opendal/azurite"]
    fn two_gib_in_bounded_memory() {
        bounded(&bucket());
    }
}

/// As an operator has it who says nothing of sizes.
fn bounded(bucket: &Bucket) {
    let mut config = bucket.below("large/");
    config.as_object_mut().unwrap().remove("part_bytes");
    let (put, get) = Holdall::new("opendal", &config).both_ways(2048);
    println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
    assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
}

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}
