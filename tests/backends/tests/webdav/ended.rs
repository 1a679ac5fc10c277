//! Uploads that end before their end: what is left is looked for from outside.

use crate::share::Share;
use holdall_backends::{Holdall, feed, script};
use holdall_conformance::Outside;

/// More than any buffer on the way.
const MIB: u64 = 24;

/// SIGKILL leaves the staged file; the next opening, of any process, removes it once it is stale, and
/// leaves alone what somebody else is writing.
pub(crate) fn client_killed(share: &Share) {
    let (mut config, folder) = (share.below("killed-client"), share.folder("killed-client"));
    config["stale_after_seconds"] = 8.into();
    let holdall = Holdall::new("webdav", &config);
    let mut put = holdall.start(&["put", "-", "b:victim"]);
    let mut input = put.stdin.take().unwrap();
    feed(&mut input, MIB);
    folder.wait_for_staged(1);
    put.kill().unwrap();
    put.wait().unwrap();
    let left = folder.leftovers();
    assert_eq!(left.len(), 1, "SIGKILL leaves no time to clean up");

    std::thread::sleep(std::time::Duration::from_secs(10));
    let mut next = holdall.start(&["put", "-", "b:next"]);
    let mut input = next.stdin.take().unwrap();
    feed(&mut input, MIB);
    // The old one went, and the living one is there.
    folder.wait_for_staged(1);
    assert_ne!(folder.leftovers(), left);
    drop(input);
    assert!(next.wait().unwrap().success(), "the living upload lives");
    assert_eq!(folder.leftovers(), Vec::<String>::new());
    assert!(folder.root.join("objects/next").exists());
    assert!(!folder.root.join("objects/victim").exists());
}

/// The upload fails, the old object stays, and what the server kept of it is swept.
pub(crate) fn server_killed(share: &Share, server: &str) {
    let (mut config, folder) = (share.below("killed-server"), share.folder("killed-server"));
    config["stale_after_seconds"] = 1.into();
    let dir = share.server["dir"].as_str().unwrap();
    let holdall = Holdall::new("webdav", &config);
    let put = |text: &[u8]| {
        let mut put = holdall.start(&["put", "-", "b:object"]);
        std::io::Write::write_all(&mut put.stdin.take().unwrap(), text).unwrap();
        put.wait().unwrap().success()
    };
    assert!(put(b"old"));
    let mut victim = holdall.start(&["put", "-", "b:object"]);
    let mut input = victim.stdin.take().unwrap();
    feed(&mut input, MIB);
    folder.wait_for_staged(1);
    script(server, &["kill", dir]);
    drop(input);
    let ended = victim.wait().unwrap();
    script(server, &["again", dir]);
    assert_eq!(ended.code(), Some(7), "unavailable, of the command");
    assert_eq!(
        std::fs::read(folder.root.join("objects/object")).unwrap(),
        b"old"
    );
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(put(b"new"));
    folder.wait_for_staged(0);
    assert_eq!(
        std::fs::read(folder.root.join("objects/object")).unwrap(),
        b"new"
    );
}
