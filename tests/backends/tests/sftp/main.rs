//! `plugins/sftp`, the loaded file, against OpenSSH.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod account;
mod costs;
mod crowd;
mod hardship;
mod identity;
mod links;
mod poor;

use account::Account;
use holdall_backends::{Holdall, ended, plugin, run_kit, server, urls};
use holdall_e2e::kit::loaded;
use std::sync::Arc;

mod sshd {
    use super::*;

    fn account() -> Account {
        Account::new(server("sshd"))
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn kit() {
        let stage = loaded(&plugin("sftp"), account());
        run_kit(Arc::new(stage), "sftp-sshd");
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn two_gib_in_bounded_memory() {
        let config = account().below("large");
        let (put, get) = Holdall::new("sftp", &config).both_ways(2048);
        println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
        assert!(put < 160 && get < 160, "put {put} MiB, get {get} MiB");
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn another_host_key_and_another_key_are_refused() {
        identity::refused(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn every_way_to_log_in() {
        identity::let_in(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn links_lead_nowhere() {
        links::lead_nowhere(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn an_upload_of_a_killed_client_is_swept() {
        let (config, folder) = account().store("killed-client");
        ended::client_killed("sftp", config, &folder);
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_killed_server_fails_the_upload_and_the_next_one_connects_again() {
        let account = account();
        let (config, folder) = account.store("killed-server");
        let dir = account.server["dir"].as_str().unwrap();
        ended::server_killed("sftp", config, &folder, "sshd", dir);
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_staged_file_is_removed_when_the_connection_returns() {
        let account = account();
        let (config, folder) = account.store("connection-returns");
        let dir = account.server["dir"].as_str().unwrap();
        ended::server_killed_under_a_host("sftp", config, &folder, "sshd", dir);
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_staged_file_of_a_put_is_removed_without_a_restart() {
        let account = account();
        let (config, folder) = account.store("put-under-serve");
        let dir = account.server["dir"].as_str().unwrap();
        ended::server_killed_under_serve("sftp", config, &folder, "sshd", dir);
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn signed_urls_are_used_by_curl() {
        urls::of_the_gateway(&Holdall::new("sftp", &account().below("signed")));
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_call_costs_what_the_page_says() {
        costs::as_the_page_says(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_server_without_extensions_does_what_it_can() {
        poor::does_what_it_can(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_crowd_on_one_connection_gets_its_turns() {
        crowd::on_one_connection(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_crowd_hears_of_a_dead_server_in_time() {
        crowd::before_a_dead_server(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_missing_server_is_reported_in_time() {
        hardship::no_server(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_server_that_comes_back_is_found_again() {
        hardship::comes_back(&account());
    }

    #[test]
    #[ignore = "needs sshd: scripts/test-backends sftp/sshd"]
    fn a_server_that_falls_asleep_is_late_and_not_broken() {
        hardship::falls_asleep(&account());
    }
}

/// Case A-10 starts it.
#[test]
fn child() {
    holdall_e2e::kit::child();
}
