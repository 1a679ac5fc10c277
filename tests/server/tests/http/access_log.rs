//! The access log: a line for every request.

use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use crate::http2::{ask, connect, halted, uploading, whole};
use axum::Router;
use holdall_server_tests::{Served, open};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Appending;

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Begins to keep the log of this process.
fn keep_log() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let subscriber = tracing_subscriber::fmt().json().with_writer(|| Appending);
        subscriber.init();
    });
}

/// The fields of the access log's first line that fits, once it is written.
async fn line(fits: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut fields = lines
            .filter(|line| line["target"] == "holdall::access")
            .map(|line| line["fields"].clone());
        if let Some(found) = fields.find(&fits) {
            return found;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "no such line in {log}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_ends_before_its_answer_has_a_line() {
    keep_log();
    let server = Served::start().await;
    let mut upload = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v1/local/cut-upload HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n";
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![b'x'; 3_000_000]).await.unwrap();
    let port = upload.local_addr().unwrap();
    assert!(port.ip().is_loopback());
    // A reset, so that no answer can be written.
    drop(upload);
    let line = line(|line| line["path"] == "/v1/local/cut-upload").await;
    assert_eq!(line["method"], "PUT");
    assert_eq!(
        (&line["status"], &line["end"]),
        (&499.into(), &"no_answer".into())
    );
    assert_eq!(line["client"], "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_http2_that_is_reset_while_it_uploads_has_a_line() {
    keep_log();
    let server = Served::start().await;
    let client = connect(&server).await;
    let request = http::Request::put("http://x/v1/local/cut-stream").body(halted());
    let answer = tokio::spawn(client.clone().send_request(request.unwrap()));
    uploading(&server, "local").await;
    // The connection goes on; this stream is reset.
    answer.abort();
    let line = line(|line| line["path"] == "/v1/local/cut-stream").await;
    assert_eq!(line["method"], "PUT");
    assert_eq!(
        (&line["status"], &line["end"]),
        (&499.into(), &"no_answer".into())
    );
    assert_eq!(
        ask(&client, "GET", "/v1/local/cut-stream", whole(""))
            .await
            .status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_say_how_the_answer_ended() {
    keep_log();
    let server = Served::start().await;
    server
        .put("/v1/memory/log-whole", vec![b'x'; 32 << 20])
        .await;
    assert_eq!(
        server
            .get("/v1/memory/log-whole?download=a")
            .await
            .body
            .len(),
        32 << 20
    );
    let whole =
        line(|line| line["path"] == "/v1/memory/log-whole" && line["method"] == "GET").await;
    assert_eq!(
        (&whole["end"], &whole["status"]),
        (&"complete".into(), &200.into())
    );
    assert_eq!(whole["bytes"], 32 << 20);

    server.put("/v1/memory/log-cut", vec![b'x'; 32 << 20]).await;
    let mut reader = TcpStream::connect(server.address).await.unwrap();
    let head = "GET /v1/memory/log-cut HTTP/1.1\r\nhost: x\r\n\r\n";
    reader.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    reader.read_exact(&mut start).await.unwrap();
    drop(reader);
    let cut = line(|line| line["path"] == "/v1/memory/log-cut" && line["method"] == "GET").await;
    assert_eq!((&cut["end"], &cut["status"]), (&"cut".into(), &200.into()));
    assert!(cut["bytes"].as_u64().unwrap() < 32 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_parsed_has_a_line() {
    keep_log();
    let server = Served::start().await;
    let answer = server.raw(b"nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let line = line(|line| line["end"] == "malformed").await;
    assert_eq!(
        (&line["status"], &line["client"]),
        (&400.into(), &"127.0.0.1".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_behind_a_trusted_proxy_is_in_the_line() {
    keep_log();
    let mut settings = open();
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server = Served::with(settings).await;
    let forwarded = [("forwarded", "for=198.51.100.7, for=203.0.113.9")];
    server
        .send("GET", "/v1/memory/log-proxied", &forwarded, "")
        .await;
    let line = line(|line| line["path"] == "/v1/memory/log-proxied").await;
    assert_eq!(line["client"], "203.0.113.9");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_a_nested_router_is_whole() {
    keep_log();
    let server = Served::start().await;
    let routes = Router::new().nest("/files", holdall_server::router(server.host.clone()));
    let request = http::Request::get("/files/v1/memory/log-nested")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(routes, request).await.unwrap();
    assert_eq!(answer.status(), 404);
    drop(answer);
    line(|line| line["path"] == "/files/v1/memory/log-nested").await;
}
