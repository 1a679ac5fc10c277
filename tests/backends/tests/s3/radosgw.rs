//! Ceph: everything but checksums, which it does not look at.

use crate::bucket::Bucket;
use crate::{as_object_store, encryption, every_server, identity};
use holdall_backends::server;
use serde_json::json;

fn bucket() -> Bucket {
    Bucket::new(server("radosgw"), json!({"preset": "ceph"}))
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn kit() {
    every_server::kit(bucket(), "s3-radosgw");
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn two_gib_in_bounded_memory() {
    every_server::two_gib_in_bounded_memory(&bucket());
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn an_upload_of_a_killed_client_is_swept() {
    every_server::client_killed(&bucket());
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn parts_of_a_killed_process_are_completed_by_another() {
    every_server::resumed_by_another_process(&bucket());
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn an_upload_to_a_killed_server_is_aborted_when_it_is_back() {
    every_server::server_killed(&bucket(), "radosgw");
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn curl_uses_signed_urls() {
    every_server::signed_urls(&bucket(), "403");
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
    identity::of_an_anonymous_client(&bucket);
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn encryption_is_asked_for_in_every_request() {
    encryption::with_a_key_of_the_customer(&bucket());
    encryption::with_a_managed_key(&bucket());
    encryption::with_digests_of_parts(&bucket());
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn who_asks_pays() {
    encryption::paid_by_who_asks(&bucket());
}

#[test]
#[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
fn what_is_kept_beside_the_bytes_changes_by_a_copy_onto_itself() {
    every_server::updated(&bucket(), false);
}

holdall_object_store::integration! {
    #[ignore = "needs radosgw: scripts/test-backends s3/radosgw"]
    mod integration {
        plugin: "s3",
        updates: false,
        open: as_object_store::Opened::in_an_empty_prefix(&bucket()).await,
    }
}
