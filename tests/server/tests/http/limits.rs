//! What one client may take of the server.

use std::time::Duration;

use holdall_server_tests::{Served, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Ten times the server's own limit, for a busy machine.
const AMPLE: Duration = Duration::from_secs(20);

/// Everything up to the end of the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(AMPLE, stream.read_to_end(&mut bytes)).await;
    // A reset ends a connection as well as an end does.
    let _ = read.expect("the server ends the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_with_and_without_a_length() {
    let mut settings = open();
    settings.max_body = Some(100_000);
    let server = Served::with(settings).await;
    server.put("/v1/memory/a", vec![1; 100_000]).await;
    let answer = server
        .send("PUT", "/v1/memory/a", &[], vec![2; 100_001])
        .await;
    assert_eq!(answer.code(), 413, "{answer:?}");
    assert_eq!(answer.json()["code"], "too_large");
    assert_eq!(answer.json()["limit"], 100_000);
    let mut request = b"PUT /v1/memory/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..11 {
        request.extend(b"2710\r\n");
        request.extend(vec![3; 10_000]);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = server.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(server.get("/v1/memory/a").await.body, vec![1; 100_000]);
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_connection() {
    let mut settings = open();
    settings.header_timeout = Duration::from_millis(500);
    let server = Served::with(settings).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /v1/memory/a HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let answer = rest(&mut slow).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    // Between two requests the same patience holds.
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(&mut idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_stands_still_stores_nothing() {
    let mut settings = open();
    settings.stall_timeout = Duration::from_millis(500);
    let server = Served::with(settings).await;
    server.put("/v1/local/a", "old").await;
    let mut stalled = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v1/local/a HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n";
    stalled.write_all(head.as_bytes()).await.unwrap();
    stalled.write_all(&vec![b'x'; 100_000]).await.unwrap();
    let answer = rest(&mut stalled).await;
    assert!(answer.starts_with("HTTP/1.1 499 "), "{answer}");
    assert_eq!(server.get("/v1/local/a").await.text(), "old");
}

const LARGE: usize = 32 << 20;

/// A client that asks for 32 MiB and has taken the beginning of the answer.
async fn reader(server: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "GET /v1/memory/large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

#[tokio::test]
async fn a_reader_that_stands_still_goes_on_when_it_likes_while_there_is_room() {
    let mut settings = open();
    settings.stall_timeout = Duration::from_millis(200);
    let server = Served::with(settings).await;
    server.put("/v1/memory/large", vec![b'x'; LARGE]).await;
    let mut still = reader(&server).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Another client is served beside it.
    assert_eq!(server.get("/healthz").await.code(), 200);
    let got = rest(&mut still).await;
    assert!(got.len() > LARGE, "not the whole answer: {}", got.len());
}

#[tokio::test]
async fn a_reader_that_stands_still_makes_room_when_there_is_none() {
    let mut settings = open();
    settings.stall_timeout = Duration::from_millis(500);
    let server = Served::with(settings.clone()).await;
    server.put("/v1/memory/large", vec![b'x'; LARGE]).await;
    settings.max_connections = 3;
    server.control.apply(settings).unwrap();
    // The client of the test has one of the three.
    let mut first = reader(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut second = reader(&server).await;
    let mut new = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET /v1/memory?list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    new.write_all(request).await.unwrap();
    let answer = rest(&mut new).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let got = rest(&mut first).await;
    assert!(
        got.len() < LARGE,
        "who stood still the longest has gone: {}",
        got.len()
    );
    let got = rest(&mut second).await;
    assert!(got.len() > LARGE, "and no other: {}", got.len());
}

#[tokio::test]
async fn a_reader_that_stands_still_is_let_go_where_the_settings_say_so() {
    let mut settings = open();
    settings.send_timeout = Some(Duration::from_millis(500));
    let server = Served::with(settings).await;
    server.put("/v1/memory/large", vec![b'x'; LARGE]).await;
    let mut dead = reader(&server).await;
    // Nothing is read until the server has long given up; what the kernel holds by then is all
    // there is.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let got = rest(&mut dead).await;
    assert!(got.len() < LARGE, "the whole answer came: {}", got.len());
}

/// Bytes that the kernel holds for the other side of a connection, which is on this machine too.
fn held_for(client: &TcpStream) -> u64 {
    let port = |address: std::net::SocketAddr| format!("0100007F:{:04X}", address.port());
    let (own, other) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    let pair = format!("{} {} ", port(other), port(own));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().find(|line| line.contains(&pair)).unwrap();
    let (_, rest) = line.split_once(&pair).unwrap();
    let queue = rest.split([' ', ':']).nth(1).unwrap();
    u64::from_str_radix(queue, 16).unwrap()
}

#[tokio::test]
async fn a_reader_that_stands_still_costs_the_kernel_little() {
    let server = Served::start().await;
    server.put("/v1/memory/large", vec![b'x'; LARGE]).await;
    let still = reader(&server).await;
    // More than a megabyte without a bound.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let held = held_for(&still);
    assert!(held > 0, "it stands still");
    assert!(held < 512 << 10, "the kernel holds {held} bytes");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let mut settings = open();
    settings.max_connections = 2;
    let server = Served::with(settings).await;
    let held: Vec<_> = [0, 1].map(|_| TcpStream::connect(server.address)).into();
    let mut held = futures_util::future::join_all(held).await;
    for stream in &mut held {
        // Answered, so that it is one of the two.
        let stream = stream.as_mut().unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET /v1/memory?list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    third.write_all(request).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(500), third.read(&mut byte)).await;
    assert!(early.is_err(), "a third connection is served beside two");
    drop(held);
    let answer = rest(&mut third).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
