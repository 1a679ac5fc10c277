//! Garage: a store of another kind, with the region and the missing conditions of its preset.

use crate::bucket::Bucket;
use crate::every_server;
use holdall_backends::server;
use serde_json::json;

fn bucket() -> Bucket {
    Bucket::new(server("garage"), json!({"preset": "garage"}))
}

#[test]
#[ignore = "needs garage: scripts/test-backends s3/garage"]
fn kit() {
    every_server::kit(bucket(), "s3-garage");
}

#[test]
#[ignore = "needs garage: scripts/test-backends s3/garage"]
fn two_gib_in_bounded_memory() {
    every_server::two_gib_in_bounded_memory(&bucket());
}

#[test]
#[ignore = "needs garage: scripts/test-backends s3/garage"]
fn an_upload_of_a_killed_client_is_swept() {
    every_server::client_killed(&bucket());
}

#[test]
#[ignore = "needs garage: scripts/test-backends s3/garage"]
fn an_upload_to_a_killed_server_is_aborted_when_it_is_back() {
    every_server::server_killed(&bucket(), "garage");
}

#[test]
#[ignore = "needs garage: scripts/test-backends s3/garage"]
fn curl_uses_signed_urls() {
    every_server::signed_urls(&bucket(), "400");
}

/// Why the preset takes conditions away. When this fails, Garage has learned them.
#[test]
#[ignore = "needs garage: scripts/test-backends s3/garage"]
fn the_server_takes_a_conditional_put_as_a_plain_one() {
    let bucket = bucket();
    assert!(bucket.s3().puts("/conditional", b"one", None).is_some());
    for condition in [
        "If-None-Match: *",
        "If-Match: \"00000000000000000000000000000000\"",
    ] {
        let put = bucket
            .s3()
            .puts("/conditional", condition.as_bytes(), Some(condition));
        assert!(put.is_some(), "{condition}");
        assert_eq!(bucket.s3().get("/conditional").as_deref(), Some(condition));
    }
}
