//! How `serve` ends: at once in the middle of uploads, and told to under load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::running::Running;
use crate::workdir::{Workdir, bytes, until};

const OPEN: &str = "\n[server.anonymous]\nallow = [\"read\", \"write\", \"list\"]\n";

fn workdir() -> Workdir {
    let workdir = Workdir::new();
    let config = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    workdir.write("holdall.toml", config + OPEN);
    workdir
}

/// Bytes of uploads that are staged in the store.
fn staged(workdir: &Workdir) -> u64 {
    let names = workdir.files("data/staging");
    let sizes = names.iter().map(|name| {
        let path = workdir.path(&format!("data/staging/{name}"));
        std::fs::metadata(path).map_or(0, |it| it.len())
    });
    sizes.sum()
}

/// Begins a request and sends `part` of its body.
fn begin(server: &Running, head: &str, part: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(stream, "{head}\r\nhost: x\r\n").unwrap();
    stream.write_all(part).unwrap();
    stream
}

#[test]
fn kill_in_mid_upload_leaves_no_partial_object_and_nothing_after_a_restart() {
    const HALF: usize = 3 << 20;
    let workdir = workdir();
    let old = bytes(1 << 20, 1);
    workdir.write("old", &old);
    workdir.ok("put old local:old -m which=old");
    let half = bytes(HALF, 2);

    // With a length over an object, chunked under a new key, and as a form: each stands in the middle.
    let server = Running::start(&workdir, "--log off");
    let sized = [
        format!("content-length: {}\r\n\r\n", 2 * HALF).as_bytes(),
        &half,
    ]
    .concat();
    let chunked = [
        format!("transfer-encoding: chunked\r\n\r\n{HALF:x}\r\n").as_bytes(),
        &half,
        b"\r\n",
    ]
    .concat();
    let form = [
        b"content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
            .as_slice(),
        format!("{:x}\r\n", HALF + 72).as_bytes(),
        b"--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"form\"\r\n\r\n1234",
        &half,
        b"\r\n",
    ]
    .concat();
    let uploads = [
        begin(&server, "PUT /v1/local/old HTTP/1.1", &sized),
        begin(&server, "PUT /v1/local/new HTTP/1.1", &chunked),
        begin(&server, "POST /v1/local HTTP/1.1", &form),
    ];
    // The most that a backend keeps to itself before it writes is far less than half of a half.
    until("all three are being written", || {
        staged(&workdir) > (2 * HALF + HALF / 2) as u64
    });
    server.kill();
    for mut upload in uploads {
        let mut answer = String::new();
        // A reset, or an end: no answer either way.
        let _ = upload.read_to_string(&mut answer);
        assert_eq!(answer, "");
    }
    assert_eq!(workdir.files("data/objects"), ["old"]);
    assert_eq!(workdir.read("data/objects/old"), old);
    assert!(staged(&workdir) > 0, "what the killed process has left");

    let server = Running::start(&workdir, "--log off");
    let (status, listing) = server.ask("GET", "/v1/local?list", None, "");
    assert_eq!(status, 200, "{listing}");
    let listing: serde_json::Value = serde_json::from_str(&listing).unwrap();
    let entries = listing["entries"].as_array().unwrap();
    let keys: Vec<_> = entries.iter().map(|entry| &entry["key"]).collect();
    assert_eq!(keys, ["old"], "no partial object");
    assert_eq!(server.ask("GET", "/v1/local/new", None, "").0, 404);
    assert_eq!(server.ask("GET", "/v1/local/form", None, "").0, 404);
    assert_eq!(staged(&workdir), 0, "swept when the store was opened again");
    assert_eq!(server.ask("PUT", "/v1/local/new", None, "whole").0, 200);
    assert_eq!(workdir.read("data/objects/new"), b"whole");
    assert_eq!(server.stop().0, Some(0));
    let head = workdir.json("head local:old");
    assert_eq!(head["metadata"]["which"], "old");
    assert_eq!(workdir.files("data/staging"), [""; 0]);
}

#[test]
fn kill_at_any_moment_of_a_put_leaves_the_whole_old_or_the_whole_new_object() {
    const ROUNDS: usize = 12;
    let workdir = workdir();
    let contents = [bytes(6 << 20, 1), bytes((6 << 20) + 12_345, 2)];
    let put = |server: &Running, which: usize| -> Option<u16> {
        let mut stream = TcpStream::connect(&server.address).ok()?;
        let content = &contents[which];
        let head = format!(
            "PUT /v1/local/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\nholdall-meta-which: {which}\r\ncontent-length: {}\r\n\r\n",
            content.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(content).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    };
    let server = Running::start(&workdir, "--log off");
    assert_eq!(put(&server, 0), Some(200));
    let started = Instant::now();
    assert_eq!(put(&server, 0), Some(200));
    let usual = started.elapsed();
    drop(server);

    let mut random = u64::from(std::process::id()) | 1;
    let (mut is, mut unanswered) = (0, 0);
    for round in 0..ROUNDS {
        let next = 1 - is;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let wait = usual.mul_f64((random >> 33) as f64 / (1_u64 << 31) as f64 * 1.2);
        let server = Running::start(&workdir, "--log off");
        let answer = std::thread::scope(|threads| {
            let answer = threads.spawn(|| put(&server, next));
            std::thread::sleep(wait);
            server.kill_now();
            answer.join().unwrap()
        });
        drop(server);
        unanswered += usize::from(answer.is_none());
        let found = workdir.read("data/objects/a");
        let which = contents.iter().position(|content| *content == found);
        let which =
            which.unwrap_or_else(|| panic!("round {round}: neither whole: {} bytes", found.len()));
        assert!(
            answer.is_none() || (answer, which) == (Some(200), next),
            "round {round}: {answer:?} was told of {next}, and {which} is there"
        );
        let head = workdir.json("head local:a");
        assert_eq!(
            head["metadata"]["which"],
            which.to_string(),
            "round {round}"
        );
        assert_eq!(workdir.files("data/staging"), [""; 0], "round {round}");
        is = which;
    }
    assert!(unanswered > 0, "no kill came before an answer");
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    answered: u64,
    /// Begun before the server was told to stop, and not answered whole.
    lost: Vec<String>,
}

/// One request after the other over one connection, until the server says that it ends.
fn client(server: &Running, number: u64, told: &OnceLock<Instant>, begun: &AtomicU64) -> Seen {
    let mut seen = Seen::default();
    let Ok(stream) = TcpStream::connect(&server.address) else {
        return seen;
    };
    let mut stream = BufReader::new(stream);
    let content = bytes(100_000, number + 1);
    loop {
        // An upload follows a download; what is read is what was stored.
        let upload = seen.answered.is_multiple_of(2);
        let request = match upload {
            true => {
                let head = format!(
                    "PUT /v1/local/{number} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                    content.len()
                );
                [head.as_bytes(), &content].concat()
            }
            false => format!("GET /v1/local/{number} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
        };
        let early = told.get().is_none();
        begun.fetch_add(1, Ordering::Relaxed);
        let answer = stream
            .get_mut()
            .write_all(&request)
            .and_then(|()| answer(&mut stream));
        match answer {
            Ok((status, body, close)) => {
                let good = status == 200 && (upload || body == content);
                if !good {
                    seen.lost
                        .push(format!("answered {status} with {} bytes", body.len()));
                }
                seen.answered += 1;
                if close {
                    return seen;
                }
            }
            // After that moment a connection between two requests may end: nothing of the next one
            // has reached the server, and a client sends it again elsewhere (RFC 9110, 9.2.2).
            Err(error) if early || error.kind() == std::io::ErrorKind::InvalidData => {
                seen.lost.push(error.to_string());
                return seen;
            }
            Err(_) => return seen,
        }
    }
}

/// Status and body of a whole answer, and whether it is the last one. `InvalidData`: it begins, and
/// does not end.
fn answer(stream: &mut BufReader<TcpStream>) -> std::io::Result<(u16, Vec<u8>, bool)> {
    let partial = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let (mut status, mut length, mut close) = (None, 0, false);
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line);
        if status.is_none() && !matches!(read, Ok(1..)) {
            read?;
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.to_lowercase();
        if line == "\r\n" {
            break;
        }
        if !line.ends_with("\r\n") {
            return Err(partial("an answer ends within its headers"));
        }
        if status.is_none() {
            status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        close |= line == "connection: close\r\n";
    }
    let mut body = vec![0; length];
    let read = stream.read_exact(&mut body);
    read.map_err(|_| partial("an answer ends within its body"))?;
    Ok((status.ok_or_else(|| partial("no status"))?, body, close))
}

#[test]
fn term_under_load_loses_no_request_that_has_begun() {
    const CLIENTS: u64 = 16;
    const ENOUGH: u64 = 1000;
    let workdir = workdir();
    let mut server = Running::start(&workdir, "--log off");
    // One upload stands in the middle all the time: it has begun too.
    let mut slow = begin(
        &server,
        "PUT /v1/local/slow HTTP/1.1",
        b"content-length: 6\r\n\r\nabc",
    );
    let (told, begun) = (OnceLock::new(), AtomicU64::new(0));
    let seen: Vec<Seen> = std::thread::scope(|threads| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                threads.spawn({
                    let (server, told, begun) = (&server, &told, &begun);
                    move || client(server, number, told, begun)
                })
            })
            .collect();
        until("the load is on", || begun.load(Ordering::Relaxed) >= ENOUGH);
        told.set(Instant::now()).unwrap();
        server.signal(rustix::process::Signal::TERM);
        // Well after the server has begun to stop.
        std::thread::sleep(Duration::from_millis(800));
        slow.write_all(b"def").unwrap();
        clients.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let lost: Vec<_> = seen.iter().flat_map(|seen| &seen.lost).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(seen.iter().map(|seen| seen.answered).sum::<u64>() >= ENOUGH - CLIENTS);
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (code, said) = server.wait();
    assert_eq!((code, &*said), (Some(0), ""), "nothing was cut off");
    assert_eq!(workdir.read("data/objects/slow"), b"abcdef");
    for number in 0..CLIENTS {
        let stored = workdir.read(&format!("data/objects/{number}"));
        assert!(stored == bytes(100_000, number + 1), "{number}");
    }
    assert_eq!(workdir.files("data/staging"), [""; 0]);
}
