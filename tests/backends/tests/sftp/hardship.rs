//! A server that is not there, does not answer, or is no SSH server. (What HTTP has of this, the kit asks.)

use crate::account::Account;
use holdall::{Download, Error, ErrorKind, Key, Retry, Upload};
use holdall_backends::{HostedPlugin, script, wait_for_staged};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

/// Far beyond the limits that the stores here have (two seconds each), for a busy machine.
const IN_TIME: Duration = Duration::from_secs(20);

/// The store in this folder, with limits of two seconds.
fn hurried(account: &Account, folder: &str, port: Option<u16>) -> Value {
    let mut config = account.below(folder);
    config["timeout_seconds"] = 2.into();
    config["connect_timeout_seconds"] = 2.into();
    if let Some(port) = port {
        config["port"] = port.into();
    }
    config
}

/// What a look at a store becomes, in time.
fn look(config: Value) -> Error {
    let hosted = HostedPlugin::new("sftp");
    let answer = hosted.run(async {
        let backend = hosted.open(config).await?;
        let looked = backend.exists(Key::new("object"));
        tokio::time::timeout(IN_TIME, looked).await.unwrap()
    });
    answer.expect_err("no server is there")
}

/// A port whose connections get these bytes and no more.
fn speaking(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.write_all(words);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

pub(crate) fn no_server(account: &Account) {
    // Bound and not listening, for the whole test.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let refused = listener.local_addr().unwrap().port();
    drop(listener);
    for (port, what, kinds) in [
        (refused, "a refused port", [ErrorKind::Unavailable; 2]),
        (speaking(b""), "a black hole", [ErrorKind::Timeout; 2]),
        (
            speaking(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
            "a web server",
            [ErrorKind::Unavailable, ErrorKind::Timeout],
        ),
        (
            speaking(b"SSH-2.0-deaf\r\n"),
            "an SSH server that falls silent",
            [ErrorKind::Timeout; 2],
        ),
    ] {
        let error = look(hurried(account, "nobody", Some(port)));
        assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
        assert_eq!(error.retry(), Retry::Safe, "{what}");
    }
    let mut config = hurried(account, "nobody", None);
    config["host"] = "no-such-host.invalid".into();
    let error = look(config);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let mut config = hurried(account, "nobody", None);
    config["root"] = "/no/such/directory".into();
    let error = look(config);
    assert_eq!(error.kind(), ErrorKind::ContainerMissing, "{error:?}");
}

/// Stopped in the middle, the server is late and not broken: nothing hangs, and what comes after it
/// has woken goes well.
pub(crate) fn falls_asleep(account: &Account) {
    let server = account.server["dir"].as_str().unwrap();
    let pid = std::fs::read_to_string(format!("{server}/pid")).unwrap();
    let config = hurried(account, "asleep", None);
    let hosted = HostedPlugin::new("sftp");
    let used = hosted.run(async {
        let backend = hosted.open(config).await?;
        backend.upload(Upload::new("object", "bytes")).await?;
        signal("STOP", pid.trim());
        let read = tokio::time::timeout(IN_TIME, backend.download(Download::new("object"))).await;
        let write = backend.upload(Upload::new("object", "others"));
        let write = tokio::time::timeout(IN_TIME, write).await;
        signal("CONT", pid.trim());
        let read = read.unwrap().map(drop).unwrap_err();
        let write = write.unwrap().map(drop).unwrap_err();
        assert_eq!(
            (read.kind(), read.retry()),
            (ErrorKind::Timeout, Retry::Safe),
            "{read:?}"
        );
        assert_eq!(write.kind(), ErrorKind::Timeout, "{write:?}");
        let found = backend.download(Download::new("object")).await?;
        assert_eq!(
            found.body.collect(100).await?,
            "bytes",
            "never half, and never the other"
        );
        backend.upload(Upload::new("object", "others")).await?;
        Ok::<_, Error>(())
    });
    used.unwrap();
    wait_for_staged(&account.folder("asleep"), 0);
}

/// Killed and started again, the server is found by the same process: the pool replaces what broke.
pub(crate) fn comes_back(account: &Account) {
    let dir = account.server["dir"].as_str().unwrap();
    let config = hurried(account, "comes-back", None);
    let hosted = HostedPlugin::new("sftp");
    let used = hosted.run(async {
        let backend = hosted.open(config).await?;
        backend.upload(Upload::new("object", "bytes")).await?;
        script("sshd", &["kill", dir]);
        let lost = backend.exists(Key::new("object")).await.unwrap_err();
        script("sshd", &["again", dir]);
        assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost:?}");
        assert_eq!(lost.retry(), Retry::Safe);
        assert!(backend.exists(Key::new("object")).await?, "connected again");
        Ok::<_, Error>(())
    });
    used.unwrap();
}

/// To a server and all that it has started.
fn signal(name: &str, pid: &str) {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for child in children.unwrap().split_whitespace() {
        signal(name, child);
    }
    let sent = Command::new("kill")
        .args([&format!("-{name}"), pid])
        .status();
    assert!(sent.unwrap().success());
}
