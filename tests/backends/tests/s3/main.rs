//! `plugins/s3`, the loaded file, against S3 servers.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod as_object_store;
mod bucket;
mod encryption;
mod identity;
mod urls;

use bucket::Bucket;
use holdall_backends::{Holdall, judged, parts, plugin, server};
use holdall_e2e::kit::HostStage;
use serde_json::json;
use std::sync::Arc;

/// Ceph: everything but checksums, which it does not look at.
mod radosgw {
    use super::*;

    fn bucket() -> Bucket {
        Bucket::new(server("radosgw"), json!({"preset": "ceph"}))
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn kit() {
        let stage = HostStage::loaded(&plugin("s3"), bucket());
        judged(Arc::new(stage), "s3-radosgw");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn two_gib_in_bounded_memory() {
        let bucket = bucket();
        let mut config = bucket.below("large/");
        // As an operator has it who says nothing.
        for field in ["part_size_mib", "parts_at_once"] {
            config.as_object_mut().unwrap().remove(field);
        }
        let (put, get) = Holdall::new("s3", &config).both_ways(2048);
        println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
        assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn an_upload_of_a_killed_client_is_swept() {
        let (bucket, prefix) = (bucket(), "killed-client/");
        parts::client_killed("s3", bucket.below(prefix), || bucket.unfinished(prefix));
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn an_upload_to_a_killed_server_is_aborted_when_it_is_back() {
        let dir = server("radosgw")["dir"].as_str().unwrap().to_owned();
        let (bucket, prefix) = (bucket(), "killed-server/");
        let unfinished = || bucket.unfinished(prefix);
        parts::server_killed("s3", bucket.below(prefix), unfinished, "radosgw", &dir);
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn curl_uses_signed_urls() {
        urls::used_by_curl(&bucket());
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn every_source_of_keys_leads_to_requests_that_the_store_accepts() {
        let bucket = bucket();
        identity::of_a_session(&bucket);
        identity::of_a_profile(&bucket);
        identity::of_a_machine(&bucket);
        identity::of_a_container(&bucket);
        identity::of_the_web(&bucket);
        identity::of_nobody(&bucket);
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn encryption_is_asked_for_in_every_request() {
        encryption::with_a_key_of_the_customer(&bucket());
        encryption::with_a_managed_key(&bucket());
    }

    #[test]
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    fn who_asks_pays() {
        encryption::paid_by_who_asks(&bucket());
    }

    holdall_object_store_tests::integration! {
        #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
        mod integration {
            plugin: "s3",
            updates: false,
            open: as_object_store::Opened::in_an_empty_prefix(&bucket()).await,
        }
    }
}

/// s3s-fs: refuses wrong checksums, which Ceph does not look at. Its objects are files that change in
/// place, so the rest of the kit says nothing here.
mod s3s_fs {
    use super::*;
    use holdall_conformance::Status;

    const CASES: [&str; 8] = [
        "C-01", "D-01", "D-02", "D-03", "D-07", "H-01", "H-02", "M-01",
    ];

    fn with(checksum: &str) {
        let more = json!({"preset": "minio", "checksum": checksum});
        let stage = HostStage::loaded(&plugin("s3"), Bucket::new(server("s3s-fs"), more));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let wanted = |case: &holdall_conformance::Case| CASES.contains(&case.id);
        let report = runtime.block_on(holdall_conformance::run(Arc::new(stage), wanted));
        println!("s3-s3s-fs-{checksum}\n{report}");
        assert_eq!(report.count(Status::Passed), CASES.len());
    }

    #[test]
    #[ignore = "needs s3s-fs: scripts/test-backends s3/s3s-fs"]
    fn the_server_judges_checksums() {
        let bucket = Bucket::new(server("s3s-fs"), json!({}));
        // SHA-256 of these bytes, and of nothing that anybody knows.
        let right = "x-amz-checksum-sha256: JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=";
        let wrong = "x-amz-checksum-sha256: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert!(bucket.puts("/judged", b"right", Some(wrong)).is_none());
        assert!(bucket.puts("/judged", b"right", Some(right)).is_some());
    }

    #[test]
    #[ignore = "needs s3s-fs: scripts/test-backends s3/s3s-fs"]
    fn sha256_of_every_request_is_right() {
        with("sha256");
    }

    #[test]
    #[ignore = "needs s3s-fs: scripts/test-backends s3/s3s-fs"]
    fn crc64nvme_of_every_request_is_right() {
        with("crc64nvme");
    }
}

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}
