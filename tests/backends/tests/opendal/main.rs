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
use holdall_backends::{Holdall, S3, parts, plugin, run_kit, s3, server};
use holdall_e2e::kit::loaded;
use serde_json::json;
use std::sync::Arc;

fn kit(bucket: Bucket, name: &str) {
    let stage = loaded(&plugin("opendal"), bucket);
    run_kit(Arc::new(stage), &format!("opendal-{name}"));
}

mod radosgw {
    use super::*;

    /// Ceph ignores a condition at the end of a multipart upload, and answers a right `If-Match` with
    /// 412.
    fn over_s3() -> Bucket {
        let more = json!({ "disable": ["create_only", "if_match_put"] });
        Bucket::s3(&server("radosgw"), more)
    }

    fn over_swift() -> Bucket {
        Bucket::swift(&server("radosgw")["swift"])
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn kit_over_s3() {
        kit(over_s3(), "s3-radosgw");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn kit_over_swift() {
        kit(over_swift(), "swift-radosgw");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn two_gib_over_s3_in_bounded_memory() {
        large::in_parts(&over_s3());
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn curl_uses_signed_urls_of_s3() {
        let holdall = Holdall::new("opendal", &over_s3().below("signed/"));
        s3::signed_urls(&holdall, "403");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn an_upload_to_a_killed_server_is_aborted_when_it_is_back() {
        let server = server("radosgw");
        let prefix = "killed-server/";
        let unfinished = || S3::of(&server).unfinished(prefix);
        let dir = server["dir"].as_str().unwrap();
        parts::server_killed(
            "opendal",
            over_s3().below(prefix),
            unfinished,
            "radosgw",
            dir,
        );
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends opendal/radosgw"]
    fn the_largest_object_over_swift_in_bounded_memory() {
        large::in_one_piece(&over_swift(), &server("radosgw")["swift"]["token"]);
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
