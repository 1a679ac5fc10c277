//! s3s-fs: refuses wrong checksums, which Ceph does not look at. Its objects are files that change in
//! place, so the rest of the kit says nothing here.

use crate::bucket::Bucket;
use crate::every_server;
use holdall_backends::server;
use serde_json::json;

const CASES: [&str; 8] = [
    "C-01", "D-01", "D-02", "D-03", "D-07", "H-01", "H-02", "M-01",
];

fn with(checksum: &str) {
    let more = json!({"preset": "minio", "checksum": checksum});
    let bucket = Bucket::new(server("s3s-fs"), more);
    every_server::cases(bucket, &format!("s3-s3s-fs-{checksum}"), &CASES);
}

#[test]
#[ignore = "needs s3s-fs: scripts/test-backends s3/s3s-fs"]
fn the_server_judges_checksums() {
    let bucket = Bucket::new(server("s3s-fs"), json!({}));
    // SHA-256 of these bytes, and of nothing that anybody knows.
    let right = "x-amz-checksum-sha256: JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=";
    let wrong = "x-amz-checksum-sha256: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert!(bucket.s3().puts("/judged", b"right", Some(wrong)).is_none());
    assert!(bucket.s3().puts("/judged", b"right", Some(right)).is_some());
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
