//! Uploads to a folder that end before their end: what is left is looked for from outside.

use crate::{Holdall, HostedPlugin, Serving, curl, eventually, feed, script, wait_for_staged};
use futures_util::stream;
use holdall::{Body, Upload};
use holdall_conformance::{DirectAccess, FolderStore};
use serde_json::Value;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// More than any buffer on the way.
const MIB: u64 = 24;

/// SIGKILL leaves the staged file; the next opening, of any process, removes it once it is stale, and
/// leaves alone what another writer is writing.
///
/// # Panics
///
/// When that is not so.
pub fn client_killed(plugin: &str, mut config: Value, folder: &FolderStore) {
    config["stale_after_seconds"] = 8.into();
    let holdall = Holdall::new(plugin, &config);
    let (mut victim, _) = half_put(&holdall, "b:victim", folder);
    ended(victim.kill());
    ended(victim.wait());
    let left = folder.leftovers();
    assert_eq!(left.len(), 1, "SIGKILL leaves no time to clean up");

    std::thread::sleep(Duration::from_secs(10));
    let (mut next, input) = half_put(&holdall, "b:next", folder);
    // The old one went, and the living one is there.
    assert_ne!(folder.leftovers(), left);
    drop(input);
    assert!(ended(next.wait()).success(), "the living upload lives");
    assert_eq!(folder.leftovers(), Vec::<String>::new());
    assert!(folder.object("next").exists());
    assert!(!folder.object("victim").exists());
}

/// The upload fails, the old object stays, and what the server kept of it is swept. `server` and
/// `dir`: its script and folder.
///
/// # Panics
///
/// When that is not so.
pub fn server_killed(
    plugin: &str,
    mut config: Value,
    folder: &FolderStore,
    server: &str,
    dir: &str,
) {
    config["stale_after_seconds"] = 1.into();
    let holdall = Holdall::new(plugin, &config);
    let put = |text: &[u8]| {
        let mut put = holdall.start(&["put", "-", "b:object"]);
        let taken = put.stdin.take().map(|mut input| input.write_all(text));
        matches!(taken, Some(Ok(()))) && ended(put.wait()).success()
    };
    let object = || ended(std::fs::read(folder.object("object")));
    assert!(put(b"old"));
    let (mut victim, input) = half_put(&holdall, "b:object", folder);
    script(server, &["kill", dir]);
    drop(input);
    let end = ended(victim.wait());
    script(server, &["again", dir]);
    assert_eq!(end.code(), Some(7), "unavailable, of the command");
    assert_eq!(object(), b"old");
    std::thread::sleep(Duration::from_secs(2));
    assert!(put(b"new"));
    wait_for_staged(folder, 0);
    assert_eq!(object(), b"new");
}

/// The upload of a host that lives on: its staged file is removed once the server is back, without
/// another opening. `server` and `dir`: its script and folder.
///
/// # Panics
///
/// When that is not so.
pub fn server_killed_under_a_host(
    plugin: &str,
    mut config: Value,
    folder: &FolderStore,
    server: &str,
    dir: &str,
) {
    // Nothing is swept: what goes is what this instance has left.
    config["stale_after_seconds"] = 0.into();
    let hosted = HostedPlugin::new(plugin);
    let backend = hosted.run(hosted.open(config));
    let backend = backend.unwrap_or_else(|error| panic!("{error:?}"));
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_staged(folder, 1);
            script(server, &["kill", dir]);
        });
        hosted.run(async {
            // Endless, slowly: it ends when the server does.
            let chunks = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok(vec![7u8; 1 << 20].into()), ()))
            });
            backend
                .upload(Upload::new("victim", Body::stream(chunks)))
                .await
        })
    });
    assert!(error.is_err(), "the server is gone");
    // Removals that are tried at once have failed by then.
    std::thread::sleep(Duration::from_secs(10));
    script(server, &["again", dir]);
    assert_eq!(folder.leftovers().len(), 1, "the server kept its part");
    eventually(60, "the staged file is removed", || {
        let _ = hosted.run(backend.health());
        folder.leftovers().is_empty()
    });
}

/// A PUT of a body without end to `holdall serve`, whose server is killed and comes back: the staged file is
/// removed by the same process, which gets nothing but probes of its readiness meanwhile. `server` and `dir`:
/// its script and folder.
///
/// # Panics
///
/// When that is not so.
pub fn server_killed_under_serve(
    plugin: &str,
    mut config: Value,
    folder: &FolderStore,
    server: &str,
    dir: &str,
) {
    // Nothing is swept: what goes is what this process has left.
    config["stale_after_seconds"] = 0.into();
    let holdall = Holdall::new(plugin, &config);
    let serving = Serving::start(&holdall);
    let mut put = Command::new("curl");
    put.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-T", "-"])
        .args(["-H", serving.authorization()])
        .arg(format!("{}/v1/b/victim", serving.url()));
    let mut put = ended(put.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn());
    let input = put.stdin.take();
    // Ends when curl does.
    std::thread::spawn(move || {
        if let Some(mut input) = input {
            while input.write_all(&[7; 1 << 16]).is_ok() {}
        }
    });
    let staged = || {
        let sizes = folder.leftovers().into_iter().map(std::fs::metadata);
        sizes.flatten().map(|file| file.len()).sum::<u64>()
    };
    eventually(60, "64 MiB are staged", || staged() >= 64 << 20);
    script(server, &["kill", dir]);
    let answer = ended(put.wait_with_output());
    let status = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert_eq!(status, "500", "the PUT fails");
    let ready = || curl(&[], &format!("{}/readyz", serving.url())).0;
    eventually(60, "not ready", || ready() == "503");
    let left = folder.leftovers();
    assert_eq!(left.len(), 1, "the server kept its part");
    println!("{} MiB were left by the PUT", staged() >> 20);
    script(server, &["again", dir]);
    eventually(60, "the staged file is removed", || {
        ready();
        folder.leftovers().is_empty()
    });
    assert_eq!(ready(), "200");
    assert!(!folder.object("victim").exists());
}

/// An upload in the middle, seen in the store. It goes on while its input is kept.
fn half_put(holdall: &Holdall, address: &str, folder: &FolderStore) -> (Child, impl Sized) {
    let mut put = holdall.start(&["put", "-", address]);
    let Some(mut input) = put.stdin.take() else {
        panic!("no pipe");
    };
    feed(&mut input, MIB);
    wait_for_staged(folder, 1);
    (put, input)
}

fn ended<T>(result: std::io::Result<T>) -> T {
    result.unwrap_or_else(|cause| panic!("{cause}"))
}
