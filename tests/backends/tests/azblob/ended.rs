//! Uploads that end before their end. Blocks cannot be taken back: the service drops them after a
//! week, or when the same name is written. Until then they are not visible.

use crate::container::Container;
use holdall_backends::{Holdall, eventually, feed, script};
use std::io::Write;

/// Some blocks, and the pipe stays open.
const MIB: u64 = 6;

/// SIGKILL leaves blocks: no object, nothing in any listing, gone with the next upload of the name.
pub(crate) fn client_killed(container: &Container) {
    let prefix = "killed-client/";
    let holdall = Holdall::new("azblob", &container.below(prefix));
    let mut victim = holdall.start(&["put", "-", "b:victim"]);
    let mut input = victim.stdin.take().unwrap();
    feed(&mut input, MIB);
    eventually(60, "the upload is under way", || {
        container.blobs(prefix, true).len() == 1
    });
    assert!(container.blobs(prefix, false).is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(container.blobs(prefix, false).is_empty());
    assert_eq!(holdall.get("b:victim"), None);
    holdall.put("b:victim", b"whole");
    assert_eq!(holdall.get("b:victim").as_deref(), Some(&b"whole"[..]));
    assert_eq!(holdall.remove("b:victim"), Some(0));
    assert!(
        container.blobs(prefix, true).is_empty(),
        "the blocks are gone"
    );
}

/// The upload ends in an error that says that the store is down, and the old object stays.
pub(crate) fn server_killed(container: &Container, server: &str, dir: &str) {
    let prefix = "killed-server/";
    let holdall = Holdall::new("azblob", &container.below(prefix));
    holdall.put("b:victim", b"old");
    let mut victim = holdall.start(&["put", "-", "b:victim"]);
    let mut input = victim.stdin.take().unwrap();
    feed(&mut input, MIB);
    script(server, &["kill", dir]);
    // It may find out while it is fed, or at the end.
    let _ = input.write_all(&vec![0; 4 << 20]);
    drop(input);
    let code = victim.wait().unwrap().code();
    assert_eq!(code, Some(7), "unavailable");
    script(server, &["again", dir]);
    assert_eq!(holdall.get("b:victim").as_deref(), Some(&b"old"[..]));
    assert_eq!(container.blobs(prefix, false), ["killed-server/victim"]);
}
