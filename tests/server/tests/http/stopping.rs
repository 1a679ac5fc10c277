//! How a server ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::http2::uploading;
use holdall_server_tests::{Served, open};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Requests over one connection until the server says that it ends; how many. Whatever else ends it
/// is a request that was lost.
async fn client(address: std::net::SocketAddr, begun: Arc<AtomicU64>) -> Result<u64, String> {
    let told = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let mut answered = 0;
    // Nothing of a connection that is refused has begun.
    let Ok(stream) = TcpStream::connect(address).await else {
        return Ok(0);
    };
    let mut stream = BufReader::new(stream);
    loop {
        let request = b"GET /v1/memory/a HTTP/1.1\r\nhost: x\r\n\r\n";
        stream
            .write_all(request)
            .await
            .map_err(|error| told("write", error))?;
        begun.fetch_add(1, Ordering::Relaxed);
        let (mut length, mut close) = (0, false);
        loop {
            let mut line = String::new();
            let read = stream
                .read_line(&mut line)
                .await
                .map_err(|error| told("read", error))?;
            if read == 0 {
                return Err(format!("closed without an answer, after {answered}"));
            }
            if line == "\r\n" {
                break;
            }
            let line = line.to_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            close |= line == "connection: close\r\n";
        }
        let mut body = vec![0; length];
        stream
            .read_exact(&mut body)
            .await
            .map_err(|error| told("body", error))?;
        answered += 1;
        if close {
            return Ok(answered);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_under_load_loses_no_request() {
    for _ in 0..3 {
        let mut server = Served::start().await;
        server.put("/v1/memory/a", vec![7; 2000]).await;
        let begun = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..32)
            .map(|_| tokio::spawn(client(server.address, begun.clone())))
            .collect();
        let started = Instant::now();
        while begun.load(Ordering::Relaxed) < 2_000 {
            assert!(started.elapsed() < Duration::from_secs(60), "no load");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.begin_to_stop();
        let mut answered = 0;
        for client in clients {
            answered += client.await.unwrap().unwrap();
        }
        assert!(answered >= 2_000, "{answered}");
        assert_eq!(server.stop().await.cut_off, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_begun_may_end() {
    let mut server = Served::start().await;
    let mut upload = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v1/local/late HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n";
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![b'x'; 50_000]).await.unwrap();
    let stopped = Arc::new(AtomicBool::new(false));
    uploading(&server, "local").await;
    let (address, host) = (server.address, server.host.clone());
    server.begin_to_stop();
    let ended = tokio::spawn({
        let stopped = stopped.clone();
        async move {
            let outcome = server.stop_and_keep_folder().await;
            stopped.store(true, Ordering::SeqCst);
            outcome
        }
    });
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(60), closed).await;
    closed.expect("nothing new is accepted");
    assert!(!stopped.load(Ordering::SeqCst), "it waits for the upload");
    upload.write_all(&vec![b'x'; 50_000]).await.unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (outcome, _folder) = ended.await.unwrap();
    assert_eq!(outcome.cut_off, 0);
    assert!(host.handle("local").unwrap().exists("late").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_cut_off_and_leaves_nothing() {
    let mut settings = open();
    settings.drain = Duration::from_secs(1);
    let server = Served::with(settings).await;
    let host = server.host.clone();
    let staging = server.folder.path().join("store/staging");
    let mut upload = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v1/local/never HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n";
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![b'x'; 5_000_000]).await.unwrap();
    // An idle connection does not keep the server.
    let _idle = TcpStream::connect(server.address).await.unwrap();
    uploading(&server, "local").await;
    let started = Instant::now();
    let (stopped, folder) = server.stop_and_keep_folder().await;
    assert_eq!(stopped.cut_off, 1);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert!(!host.handle("local").unwrap().exists("never").await.unwrap());
    let left = || {
        let own = std::fs::read_dir(&staging).into_iter().flatten().flatten();
        own.flat_map(|own| std::fs::read_dir(own.path()).into_iter().flatten())
            .count()
    };
    let started = Instant::now();
    while left() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "something is left behind"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_is_not_ready_and_still_accepts() {
    let mut settings = open();
    settings.shutdown_delay = Duration::from_secs(5);
    let mut server = Served::with(settings).await;
    server.put("/v1/memory/a", "x").await;
    assert_eq!(server.get("/readyz").await.code(), 200);
    let told = Instant::now();
    server.begin_to_stop();
    // Connections of their own, as load balancers and new clients have.
    let ask = async |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        server.raw(request.as_bytes()).await
    };
    while !ask("/readyz").await.starts_with("HTTP/1.1 503 ") {
        assert!(told.elapsed() < Duration::from_secs(4), "still ready");
    }
    let answer = ask("/v1/memory/a").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("x"),
        "{answer}"
    );
    assert_eq!(server.stop().await.cut_off, 0);
    assert!(told.elapsed() >= Duration::from_secs(5));
}
