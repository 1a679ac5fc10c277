//! `plugins/gcs`, the loaded file, against the strict stub of `tests/backends/gcs`.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod bucket;
mod identity;
mod urls;

use bucket::Bucket;
use holdall_backends::{Holdall, parts, plugin, resumed, run_kit, server};
use holdall_e2e::kit::loaded;
use std::sync::Arc;

mod gcs_stub {
    use super::*;

    fn bucket() -> Bucket {
        Bucket::new(server("gcs-stub"))
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn kit() {
        let stage = loaded(&plugin("gcs"), bucket());
        run_kit(Arc::new(stage), "gcs-stub");
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn two_gib_in_bounded_memory() {
        let mut config = bucket().below("large/");
        // As an operator has it who says nothing.
        for field in ["part_size_mib", "parts_at_once"] {
            config.as_object_mut().unwrap().remove(field);
        }
        let (put, get) = Holdall::new("gcs", &config).both_ways(2048);
        println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
        assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn an_upload_to_a_killed_server_leaves_the_old_object() {
        let dir = server("gcs-stub")["dir"].as_str().unwrap().to_owned();
        let (bucket, prefix) = (bucket(), "killed-server/");
        let mut config = bucket.below(prefix);
        config["retries"] = 1.into();
        let unfinished = || bucket.unfinished(prefix);
        parts::server_killed("gcs", config, unfinished, "gcs-stub", &dir);
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn an_upload_of_a_killed_client_is_swept() {
        let (bucket, prefix) = (bucket(), "killed-client/");
        parts::client_killed("gcs", bucket.below(prefix), || bucket.unfinished(prefix));
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn parts_of_a_killed_process_are_completed_by_another() {
        let (bucket, prefix) = (bucket(), "resumed/");
        let unfinished = || bucket.unfinished(prefix);
        resumed::by_another_process("gcs", &bucket.below(prefix), unfinished);
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn a_person_whose_refresh_token_is_in_a_file() {
        let bucket = bucket();
        identity::of_a_person(&bucket);
        identity::of_a_person_at_the_usual_place(&bucket);
        identity::of_an_unknown_person(&bucket);
        identity::of_a_person_without_an_issuer_of_tokens(&bucket);
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn a_service_account_in_the_file_of_googles_tools() {
        identity::of_a_service_account(&bucket());
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn the_account_of_a_machine() {
        let bucket = bucket();
        identity::of_a_machine(&bucket);
        identity::of_a_machine_without_an_account(&bucket);
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn a_file_that_is_none_is_reported_before_any_request() {
        identity::of_a_file_that_is_none(&bucket());
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn tokens_are_kept_while_they_live_and_renewed_when_they_end() {
        identity::kept_and_renewed(&bucket());
    }

    #[test]
    #[ignore = "needs the stub: scripts/test-backends gcs/gcs-stub"]
    fn curl_uses_signed_urls() {
        urls::used_by_curl(&bucket());
    }
}

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
