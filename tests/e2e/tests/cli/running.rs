//! `holdall serve` as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::workdir::Workdir;
use serde_json::Value;

/// A server that runs; it is ended when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
    /// The token of this run, when there is one.
    pub(crate) token: Option<String>,
}

impl Running {
    pub(crate) fn start(workdir: &Workdir, line: &str) -> Self {
        let mut command = workdir.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
        command.args(line.split_whitespace());
        Self::of(command)
    }

    pub(crate) fn of(mut command: std::process::Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|why| {
            let mut told = String::new();
            let _ = child.stderr.take().unwrap().read_to_string(&mut told);
            panic!("{why}: {line:?}: {told}")
        });
        let url = ready["listening"].as_str().unwrap();
        Self {
            child,
            address: url.split_once("://").unwrap().1.to_owned(),
            token: ready["token"].as_str().map(str::to_owned),
        }
    }

    /// Status and body.
    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        token: Option<&str>,
        body: &str,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let authorization = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Status of an answer to a request with this id; `None` when the server ends meanwhile.
    pub(crate) fn try_ask(&self, id: &str, method: &str, target: &str, body: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let token = self.token.as_deref().unwrap_or_default();
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: {id}\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines of standard error, as they come.
    pub(crate) fn lines(&mut self) -> std::sync::mpsc::Receiver<String> {
        let (send, receive) = std::sync::mpsc::channel();
        let log = BufReader::new(self.child.stderr.take().unwrap());
        std::thread::spawn(move || {
            log.lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        receive
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let child = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(child, signal).unwrap();
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill_now(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// As [`Running::kill_now`], and waits for the end.
    pub(crate) fn kill(mut self) {
        self.kill_now();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator does; its exit code and what it told.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for its end; its exit code and what it told, unless [`Running::lines`] has that.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let mut told = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            err.read_to_string(&mut told).unwrap();
        }
        (self.child.wait().unwrap().code(), told)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
