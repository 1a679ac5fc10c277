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
mod every_server;
mod identity;
mod slow;

// The servers.
mod garage;
mod radosgw;
mod s3s_fs;
mod seaweedfs;

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}

/// Half of an upload, in a process that is killed.
#[test]
fn begins_parts() {
    holdall_backends::resumed::begins_parts();
}
