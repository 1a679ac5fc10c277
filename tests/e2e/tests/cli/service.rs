//! `serve` under a service manager: its socket, and the states that it reports.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::running::Running;
use crate::workdir::{Workdir, until};
use serde_json::Value;

const OPEN: &str = "\n[server.anonymous]\nallow = [\"read\", \"write\", \"admin\"]\n";
/// systemd's way: the socket is descriptor 3. `$$` is the number of the process that `exec` keeps.
const ACTIVATE: &str =
    "exec 3<&0 0</dev/null; LISTEN_FDS=$FDS LISTEN_PID=$$ exec \"$HOLDALL\" serve --json \"$@\"";

/// The part of a service manager.
struct Manager {
    workdir: Workdir,
    socket: TcpListener,
    states: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let workdir = Workdir::new();
        let config = String::from_utf8(workdir.read("holdall.toml")).unwrap();
        workdir.write("holdall.toml", config + OPEN);
        let states = UnixDatagram::bind(workdir.path("notify")).unwrap();
        states
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self {
            socket: TcpListener::bind("127.0.0.1:0").unwrap(),
            states,
            workdir,
        }
    }

    fn command(&self, count: u32) -> Command {
        let ours = self.workdir.command();
        let mut command = Command::new("sh");
        command.args(["-c", ACTIVATE, "sh"]);
        command.current_dir(ours.get_current_dir().unwrap());
        for (name, value) in ours.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let socket: OwnedFd = self.socket.try_clone().unwrap().into();
        command
            .env("HOLDALL", ours.get_program())
            .env("FDS", count.to_string())
            .env("NOTIFY_SOCKET", self.workdir.path("notify"))
            .stdin(Stdio::from(socket));
        command
    }

    /// Starts a server on the socket and waits until it is ready.
    fn start(&self) -> Running {
        let running = Running::of(self.command(1));
        assert_eq!(running.address, self.address());
        assert_eq!(self.state(), ["READY=1"]);
        running
    }

    fn address(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    /// The next message, line by line.
    fn state(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.states.recv(&mut message).expect("a state");
        let text = std::str::from_utf8(&message[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn start_reload_and_stop_are_reported_as_systemd_expects() {
    let manager = Manager::new();
    let server = manager.start();
    let reload = |expected: &str| {
        server.signal(Signal::HUP);
        let begun = manager.state();
        assert_eq!((begun.len(), &*begun[0]), (2, "RELOADING=1"));
        let at = begun[1].strip_prefix("MONOTONIC_USEC=").unwrap();
        assert!(at.parse::<u64>().unwrap() > 0, "{begun:?}");
        let ended = manager.state();
        assert_eq!((ended.len(), &*ended[0]), (2, "READY=1"));
        assert!(ended[1].starts_with(expected), "{ended:?}");
    };
    let last = || -> Value {
        let (code, status) = server.ask("GET", "/v1/status", None, "");
        assert_eq!(code, 200, "{status}");
        serde_json::from_str::<Value>(&status).unwrap()["last_reload"].take()
    };
    reload("STATUS=configuration reloaded");
    assert_eq!(
        (&last()["successful"], &last()["error"]),
        (&true.into(), &Value::Null)
    );
    let succeeded_at = last()["succeeded_at"].as_u64().unwrap();
    assert!(succeeded_at > 1_700_000_000, "{}", last());

    let good = manager.workdir.read("holdall.toml");
    manager.workdir.write("holdall.toml", "[sever]\n");
    reload("STATUS=configuration not reloaded: ");
    let failed = last();
    assert_eq!(failed["successful"], false);
    assert!(
        failed["error"].as_str().unwrap().contains("sever"),
        "{failed}"
    );
    assert!(failed["succeeded_at"].as_u64().unwrap() >= succeeded_at);
    manager.workdir.write("holdall.toml", good);
    let (code, said) = server.stop();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(manager.state(), ["STOPPING=1"]);
}

#[test]
fn an_upgrade_by_socket_activation_fails_no_request() {
    const ENOUGH: u64 = 400;
    let manager = Manager::new();
    let mut old = manager.start();
    assert_eq!(old.ask("PUT", "/v1/local/a", None, "stored").0, 200);
    let (answered, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let ask = || {
        let mut stream = TcpStream::connect(manager.address()).map_err(|it| it.to_string())?;
        write!(
            stream,
            "GET /v1/local/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .map_err(|it| it.to_string())?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .map_err(|it| it.to_string())?;
        match answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nstored") {
            true => Ok(answered.fetch_add(1, Ordering::Relaxed)),
            false => Err(format!("{answer:?}")),
        }
    };
    let failed: Vec<String> = std::thread::scope(|threads| {
        let client = || {
            let mut failed = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                failed.extend(ask().err());
            }
            failed
        };
        let clients: Vec<_> = (0..4).map(|_| threads.spawn(client)).collect();
        let mut more = 0;
        let mut load = || {
            more += ENOUGH;
            until("the load goes on", || {
                answered.load(Ordering::Relaxed) >= more
            });
        };
        load();
        // The new one takes over before the old one ends.
        let mut new = manager.start();
        load();
        old.signal(Signal::TERM);
        assert_eq!(old.wait().0, Some(0));
        load();
        // As `systemctl restart` does: requests wait in the queue of the socket meanwhile.
        new.signal(Signal::TERM);
        assert_eq!(new.wait().0, Some(0));
        assert_eq!(manager.state(), ["STOPPING=1"]);
        assert_eq!(manager.state(), ["STOPPING=1"]);
        let newest = manager.start();
        load();
        ended.store(true, Ordering::Relaxed);
        let failed = clients
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect();
        assert_eq!(newest.stop().0, Some(0));
        failed
    });
    assert_eq!(failed, [""; 0]);
    assert!(answered.load(Ordering::Relaxed) >= 4 * ENOUGH);
}

#[test]
fn sockets_that_cannot_be_served_are_refused_by_name() {
    let manager = Manager::new();
    let refused = |mut command: Command| {
        let ran = command.stdout(Stdio::null()).output().unwrap();
        assert_eq!(ran.status.code(), Some(8));
        String::from_utf8(ran.stderr).unwrap()
    };
    let two = refused(manager.command(2));
    assert!(two.contains("LISTEN_FDS is 2"), "{two}");
    let mut command = manager.command(1);
    command.args(["--listen", "127.0.0.1:1"]);
    let both = refused(command);
    assert!(both.contains("--listen names another address"), "{both}");
    let mut command = manager.command(1);
    command.stdin(std::fs::File::open(manager.workdir.path("holdall.toml")).unwrap());
    let file = refused(command);
    assert!(file.contains("not a socket"), "{file}");
    // Sockets of another process are not ours.
    let mut command = manager.workdir.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let server = Running::of(command);
    assert_ne!(server.address, manager.address());
    assert_eq!(server.stop().0, Some(0));
}
