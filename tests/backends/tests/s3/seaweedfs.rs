//! SeaweedFS: with its own preset, and as a store that does everything that the preset `aws` promises.

use crate::bucket::Bucket;
use crate::{as_object_store, every_server};
use holdall_backends::{plugin, run_kit_except, server};
use holdall_e2e::kit::loaded;
use serde_json::json;
use std::sync::Arc;

/// Where the last object of a folder went, the folder is listed until the server has cleaned up.
const EMPTY_FOLDERS: [&str; 2] = ["I-05", "J-16"];

fn bucket() -> Bucket {
    Bucket::new(server("seaweedfs"), json!({"preset": "seaweedfs"}))
}

#[test]
#[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
fn kit() {
    let stage = loaded(&plugin("s3"), bucket());
    run_kit_except(Arc::new(stage), "s3-seaweedfs", &EMPTY_FOLDERS);
}

#[test]
#[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
fn two_gib_in_bounded_memory() {
    every_server::two_gib_in_bounded_memory(&bucket());
}

#[test]
#[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
fn an_upload_of_a_killed_client_is_swept() {
    every_server::client_killed(&bucket());
}

#[test]
#[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
fn an_upload_to_a_killed_server_is_aborted_when_it_is_back() {
    every_server::server_killed(&bucket(), "seaweedfs");
}

#[test]
#[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
fn curl_uses_signed_urls() {
    every_server::signed_urls(&bucket(), "403");
}

/// What `aws` promises and other servers here do not keep: conditions at the completion of parts and of
/// deletes.
#[test]
#[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
fn conditions_of_the_preset_aws() {
    let cases = [
        "D-07", "G-01", "G-02", "G-03", "G-05", "G-06", "G-07", "G-08", "P-16", "P-17", "K-11",
        "K-12", "K-13",
    ];
    let as_amazon = Bucket::new(server("seaweedfs"), json!({"preset": "aws"}));
    every_server::updated(&as_amazon, true);
    every_server::cases(as_amazon, "s3-seaweedfs-as-aws", &cases);
}

holdall_object_store::integration! {
    #[ignore = "needs seaweedfs: scripts/test-backends s3/seaweedfs"]
    mod integration {
        plugin: "s3",
        updates: true,
        open: as_object_store::Opened::in_an_empty_prefix(&bucket()).await,
    }
}
