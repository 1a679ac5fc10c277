//! `plugins/webdav`, the loaded file, against WebDAV servers.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod costs;
mod share;

use holdall_backends::{Holdall, ended, plugin, run_kit, server, urls};
use holdall_e2e::kit::loaded;
use share::Share;
use std::sync::Arc;

fn kit(name: &str) {
    let share = Share::new(server(name));
    let stage = loaded(&plugin("webdav"), share);
    run_kit(Arc::new(stage), &format!("webdav-{name}"));
}

fn two_gib(name: &str) {
    let config = Share::new(server(name)).below("large");
    let (put, get) = Holdall::new("webdav", &config).both_ways(2048);
    println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
    assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
}

/// Properties, locks, copies.
mod wsgidav {
    use super::*;

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn kit() {
        super::kit("wsgidav");
    }

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn two_gib_in_bounded_memory() {
        two_gib("wsgidav");
    }

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn an_upload_of_a_killed_client_is_swept() {
        let (config, folder) = Share::new(server("wsgidav")).store("killed-client");
        ended::client_killed("webdav", config, &folder);
    }

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn an_upload_to_a_killed_server_fails_and_is_swept() {
        let share = Share::new(server("wsgidav"));
        let (config, folder) = share.store("killed-server");
        let dir = share.server["dir"].as_str().unwrap();
        ended::server_killed("webdav", config, &folder, "wsgidav", dir);
    }

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn a_staged_file_is_removed_when_the_server_returns() {
        let share = Share::new(server("wsgidav"));
        let (config, folder) = share.store("server-returns");
        let dir = share.server["dir"].as_str().unwrap();
        ended::server_killed_under_a_host("webdav", config, &folder, "wsgidav", dir);
    }

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn a_call_costs_what_the_page_says() {
        costs::with_properties(&Share::new(server("wsgidav")));
    }

    #[test]
    #[ignore = "needs wsgidav: scripts/test-backends webdav/wsgidav"]
    fn signed_urls_are_used_by_curl() {
        let config = Share::new(server("wsgidav")).below("signed");
        urls::of_the_gateway(&Holdall::new("webdav", &config));
    }
}

/// None of these, and ranges and dots in its own way.
mod nginx_dav {
    use super::*;

    #[test]
    #[ignore = "needs nginx: scripts/test-backends webdav/nginx-dav"]
    fn kit() {
        super::kit("nginx-dav");
    }

    #[test]
    #[ignore = "needs nginx: scripts/test-backends webdav/nginx-dav"]
    fn two_gib_in_bounded_memory() {
        two_gib("nginx-dav");
    }

    #[test]
    #[ignore = "needs nginx: scripts/test-backends webdav/nginx-dav"]
    fn a_bearer_token_opens_and_a_wrong_one_does_not() {
        let share = Share::new(server("nginx-dav"));
        let listed = |token: &serde_json::Value| {
            let config = share.with_token("bearer", token);
            let holdall = Holdall::new("webdav", &config);
            holdall.start(&["ls", "b:"]).wait().unwrap().code()
        };
        assert_eq!(listed(&share.server["token"]), Some(0));
        assert_eq!(
            listed(&"wrong".into()),
            Some(8),
            "a fault of the configuration"
        );
    }
}

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}
