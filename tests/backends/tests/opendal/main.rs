//! `plugins/opendal`, the loaded file, against real servers of its services.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod bucket;
mod large;

use bucket::Bucket;
use holdall_backends::{judged, plugin, server};
use holdall_e2e::kit::HostStage;
use serde_json::json;
use std::sync::Arc;

fn kit(bucket: Bucket, name: &str) {
    let stage = HostStage::loaded(&plugin("opendal"), bucket);
    judged(Arc::new(stage), &format!("opendal-{name}"));
}

mod radosgw {
    use super::*;

    /// Ceph ignores a condition at the end of a multipart upload, and answers a right `If-Match` with
    /// 412.
    fn s3() -> Bucket {
        let more = json!({ "disable": ["create_only", "if_match_put"] });
        Bucket::s3(&server("radosgw"), more)
    }

    fn swift() -> Bucket {
        Bucket::swift(&server("radosgw")["swift"])
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn kit_over_s3() {
        kit(s3(), "s3-radosgw");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn kit_over_swift() {
        kit(swift(), "swift-radosgw");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn two_gib_over_s3_in_bounded_memory() {
        large::in_parts(&s3());
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn the_largest_object_over_swift_in_bounded_memory() {
        large::in_one_piece(&swift(), &server("radosgw")["swift"]["token"]);
    }
}

mod s3s_fs {
    use super::*;

    #[test]
    #[ignore = "needs s3s-fs: scripts/test-backends opendal/s3s-fs"]
    fn two_gib_in_bounded_memory() {
        large::in_parts(&Bucket::s3(&server("s3s-fs"), json!({})));
    }
}

mod azurite {
    use super::*;

    #[test]
    #[ignore = "needs azurite: scripts/test-backends opendal/azurite"]
    fn kit_over_azblob() {
        kit(Bucket::azblob(&server("azurite")), "azblob-azurite");
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends opendal/azurite"]
    fn two_gib_in_bounded_memory() {
        large::in_parts(&Bucket::azblob(&server("azurite")));
    }
}

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}
