//! `plugins/azblob`, the loaded file, against Azurite.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod container;
mod ended;
mod identity;
mod urls;

use container::Container;
use holdall_backends::{Holdall, plugin, run_kit, server};
use holdall_e2e::kit::loaded;
use std::sync::Arc;

mod azurite {
    use super::*;

    fn container() -> Container {
        Container::new(server("azurite"))
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn kit() {
        let stage = loaded(&plugin("azblob"), container());
        run_kit(Arc::new(stage), "azblob-azurite");
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn every_credential_that_azurite_knows() {
        let container = container();
        for (prefix, config) in [
            ("key/", container.below("key/")),
            ("sas/", container.below_with_sas("sas/")),
            ("string/", container.below_with_connection_string("string/")),
        ] {
            let holdall = Holdall::new("azblob", &config);
            // More than one block, so that the block list is signed too.
            let bytes = vec![7; 3 << 20];
            holdall.put("b:an object", &bytes);
            assert_eq!(holdall.get("b:an object"), Some(bytes), "{prefix}");
            assert_eq!(holdall.remove("b:an object"), Some(0), "{prefix}");
            assert!(container.blobs(prefix, true).is_empty(), "{prefix}");
        }
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn every_identity_and_the_servers_own() {
        let container = container();
        identity::of_the_account(&container);
        identity::of_an_anonymous_client(&container);
        identity::of_an_application(&container);
        identity::of_a_pod(&container);
        identity::of_a_machine(&container);
        identity::of_the_server(&container);
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn two_gib_in_bounded_memory() {
        let mut config = container().below("large/");
        // As an operator has it who says nothing.
        for field in ["block_size_mib", "blocks_at_once"] {
            config.as_object_mut().unwrap().remove(field);
        }
        let (put, get) = Holdall::new("azblob", &config).both_ways(2048);
        println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
        assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn blocks_of_an_upload_that_ended_are_nowhere_to_be_seen() {
        ended::client_killed(&container());
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn an_upload_to_a_killed_server_leaves_the_old_object() {
        let dir = server("azurite")["dir"].as_str().unwrap().to_owned();
        ended::server_killed(&container(), "azurite", &dir);
    }

    #[test]
    #[ignore = "needs azurite: scripts/test-backends azblob/azurite"]
    fn curl_uses_signed_urls() {
        urls::used_by_curl(&container());
    }
}

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}
