//! The examples of the server as programs, over the built plugin `local`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::workdir::{Workdir, plugins};
use serde_json::Value;

/// Builds an example with the features of a test of the whole workspace, which has it built already.
fn built(name: &str) -> PathBuf {
    let build = holdall_e2e::cargo()
        .args(["build", "--locked", "--quiet", "--message-format=json"])
        .args(["--workspace", "--exclude=holdall-plugin-opendal"])
        .args(["--all-features", "--example", name])
        .output()
        .unwrap();
    assert!(build.status.success(), "{build:?}");
    let lines = String::from_utf8(build.stdout).unwrap();
    let mut messages = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let program = messages.find(|it| it["target"]["name"] == name && it["executable"].is_string());
    PathBuf::from(program.unwrap()["executable"].as_str().unwrap())
}

/// An example that runs; it is ended when dropped.
struct Example {
    child: Child,
    address: String,
}

impl Example {
    fn start(name: &str, workdir: &Workdir) -> Self {
        let mut command = Command::new(built(name));
        command.arg(plugins()).arg("127.0.0.1:0");
        let mut child = command
            .current_dir(workdir.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap();
        Self {
            address: address.strip_suffix('/').unwrap().to_owned(),
            child,
        }
    }

    /// The answer, as text. What the server does not read of the body is lost.
    fn ask(&self, request: &str, body: &[&[u8]]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length: usize = body.iter().map(|part| part.len()).sum();
        let head = format!(
            "{request}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for part in body {
            if stream.write_all(part).is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_upload_form_stores_a_photograph_and_refuses_one_over_its_bound() {
    let workdir = Workdir::new();
    let example = Example::start("upload_form", &workdir);
    let upload = |size: usize| {
        let head = "--B\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.png\"\r\n\
                    content-type: image/png\r\n\r\n";
        let request = "POST / HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=B";
        let photo = vec![7; size];
        example.ask(request, &[head.as_bytes(), &photo, b"\r\n--B--\r\n"])
    };
    let refused = upload((20 << 20) + 1);
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    assert_eq!(workdir.files("data/objects"), [""; 0]);
    let stored = upload(20 << 20);
    assert!(stored.starts_with("HTTP/1.1 303 "), "{stored}");
    let files = workdir.files("data/objects");
    assert_eq!(files.len(), 1, "{files:?}");
    let page = example.ask("GET / HTTP/1.1", &[]);
    let (_, link) = page.split_once("<img src=\"").unwrap();
    let (link, _) = link.split_once('"').unwrap();
    let path = link
        .split_once(&example.address)
        .unwrap()
        .1
        .replace("&amp;", "&");
    let photo = example.ask(&format!("GET {path} HTTP/1.1"), &[]);
    assert!(photo.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(photo.len() > 20 << 20);
}

#[test]
fn the_embedded_server_stores_what_its_page_says() {
    let workdir = Workdir::new();
    let example = Example::start("embed", &workdir);
    let put = "PUT /files/v1/local/photo.jpg HTTP/1.1";
    let refused = example.ask(put, &[b"x"]);
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let member = format!("{put}\r\nauthorization: Basic OnNlc2FtZQ==");
    let stored = example.ask(&member, &[b"x"]);
    assert!(stored.starts_with("HTTP/1.1 200 "), "{stored}");
    assert_eq!(workdir.read("data/objects/photo.jpg"), b"x");
}
