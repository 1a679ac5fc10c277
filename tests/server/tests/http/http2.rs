//! HTTP/2: by the handshake of TLS, and in clear text by prior knowledge.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::tls::secured;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use holdall_server_tests::{Served, open};
use http::{Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Far longer than anything here takes.
const AMPLE: Duration = Duration::from_secs(60);

pub(crate) type Sent = BoxBody<Bytes, Infallible>;
pub(crate) type Client = SendRequest<Sent>;

async fn over<S>(stream: S) -> Client
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (client, connection) = shaken.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) async fn connect(server: &Served) -> Client {
    over(TcpStream::connect(server.address).await.unwrap()).await
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Sent {
    Full::new(bytes.into()).boxed()
}

/// A body that begins and never goes on.
pub(crate) fn halted() -> Sent {
    let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]);
    BodyExt::boxed(StreamBody::new(begun.chain(stream::pending())))
}

pub(crate) async fn ask(
    client: &Client,
    method: &str,
    path: &str,
    body: Sent,
) -> Response<Incoming> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://x{path}"))
        .body(body)
        .unwrap();
    let answer = client.clone().send_request(request);
    timeout(AMPLE, answer).await.expect("an answer").unwrap()
}

async fn text(answer: Response<Incoming>) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits until an upload is going on.
pub(crate) async fn uploading(server: &Served, backend: &str) {
    let begun = async {
        loop {
            let status = server.host.status();
            let of = status.backends.iter().find(|it| it.name == backend);
            if of.is_some_and(|it| it.counters.in_flight > 0) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(AMPLE, begun).await.expect("an upload");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_go_over_one_connection() {
    let server = Served::start().await;
    let client = connect(&server).await;
    for backend in ["local", "memory"] {
        let large = Bytes::from(vec![b'l'; 1 << 20]);
        let put = ask(
            &client,
            "PUT",
            &format!("/v1/{backend}/large"),
            whole(large),
        )
        .await;
        assert_eq!(
            (put.status().as_u16(), put.version()),
            (200, Version::HTTP_2)
        );
        let each = (0..300).map(|at| {
            let client = client.clone();
            async move {
                let path = format!("/v1/{backend}/{at}");
                let put = ask(&client, "PUT", &path, whole(format!("object {at}"))).await;
                assert_eq!(put.status().as_u16(), 200);
                let got = ask(&client, "GET", &path, whole("")).await;
                assert_eq!(text(got).await, format!("object {at}"));
                if at % 15 == 0 {
                    let large = format!("/v1/{backend}/large");
                    let large = ask(&client, "GET", &large, whole("")).await;
                    let large = large.into_body().collect().await.unwrap();
                    assert_eq!(large.to_bytes().len(), 1 << 20);
                }
            }
        });
        join_all(each).await;
    }
    let missing = ask(&client, "GET", "/v1/memory/nope", whole("")).await;
    assert_eq!(missing.status().as_u16(), 404);
    let listed = ask(&client, "PROPFIND", "/v1/memory/nope", whole("")).await;
    assert_eq!(listed.status().as_u16(), 403);
    let request = Request::get("/v1/memory/0").body(whole("")).unwrap();
    let nameless = client.clone().send_request(request).await;
    assert!(
        nameless.is_err() || nameless.unwrap().status().as_u16() == 400,
        "a request names its host"
    );
    assert_eq!(
        server.get("/v1/memory/0").await.text(),
        "object 0",
        "HTTP/1.1 too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_of_tls_chooses_the_protocol() {
    let (settings, config) = secured();
    let server = Served::with(settings).await;
    for (offered, chosen) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let mut config = config.clone();
        config.alpn_protocols = offered.iter().map(|it| it.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, Some(chosen.as_bytes()), "{offered:?}");
        if chosen == "h2" {
            let client = over(stream).await;
            let put = ask(&client, "PUT", "/v1/memory/a", whole("secure")).await;
            assert_eq!(put.status().as_u16(), 200);
            let hsts = put.headers().get("strict-transport-security");
            assert!(hsts.is_some(), "{put:?}");
            let got = ask(&client, "GET", "/v1/memory/a", whole("")).await;
            assert_eq!(text(got).await, "secure");
        } else {
            let request = b"GET /v1/memory/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_takes_a_place_as_a_connection_does() {
    let mut settings = open();
    settings.max_connections = 2;
    let server = Served::with(settings).await;
    let client = connect(&server).await;
    let held = [1, 2].map(|at| {
        let client = client.clone();
        tokio::spawn(async move { ask(&client, "PUT", &format!("/v1/local/{at}"), halted()).await })
    });
    // Both have their places when a third request is answered that there is none.
    let busy = loop {
        let answer = ask(&client, "GET", "/v1/memory?list", whole("")).await;
        if answer.status().as_u16() == 503 {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert!(busy.headers().contains_key("retry-after"), "{busy:?}");
    let health = ask(&client, "GET", "/healthz", whole("")).await;
    assert_eq!(health.status().as_u16(), 200);
    held.iter().for_each(|it| it.abort());
    for task in held {
        assert!(task.await.is_err());
    }
    let free = ask(&client, "GET", "/v1/memory?list", whole("")).await;
    assert_eq!(free.status().as_u16(), 200, "the places are free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_body_hold_for_each_stream() {
    let mut settings = open();
    settings.max_body = Some(1 << 20);
    settings.stall_timeout = Duration::from_millis(300);
    let server = Served::with(settings).await;
    let client = connect(&server).await;
    let stalled = ask(&client, "PUT", "/v1/memory/stalled", halted());
    let others = async {
        for _ in 0..20 {
            let put = ask(&client, "PUT", "/v1/memory/other", whole("fine")).await;
            assert_eq!(put.status().as_u16(), 200);
        }
        let large = whole(vec![b'x'; (1 << 20) + 1]);
        let large = ask(&client, "PUT", "/v1/memory/large", large).await;
        assert_eq!(large.status().as_u16(), 413);
    };
    let (stalled, ()) = tokio::join!(stalled, others);
    assert_eq!(stalled.status().as_u16(), 499, "{stalled:?}");
    let got = ask(&client, "GET", "/v1/memory/other", whole("")).await;
    assert_eq!(text(got).await, "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_sender_on_a_stream_makes_room() {
    let mut settings = open();
    settings.max_connections = 1;
    settings.min_body_rate = 1 << 20;
    settings.body_rate_window = Duration::from_millis(300);
    let server = Served::with(settings).await;
    let client = connect(&server).await;
    let slow = Request::put("http://x/v1/local/slow")
        .body(halted())
        .unwrap();
    let slow = tokio::spawn(client.clone().send_request(slow));
    uploading(&server, "local").await;
    // Answered as soon as the place of the slow one is free.
    let answer = server.get("/v1/local?list").await;
    assert_eq!(answer.code(), 200, "{answer:?}");
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_ends() {
    let mut settings = open();
    settings.header_timeout = Duration::from_millis(300);
    let server = Served::with(settings).await;
    for begin in [&b""[..], b"PRI * HT", PREFACE] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let mut rest = Vec::new();
        let end = timeout(AMPLE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{begin:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_has_begun_is_answered_before_the_end() {
    let mut server = Served::start().await;
    let client = connect(&server).await;
    let (gate, opener) = futures_util::future::abortable(std::future::pending::<()>());
    let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"be")))]);
    let end = stream::once(async {
        let _ = gate.await;
        Ok(Frame::data(Bytes::from_static(b"gun")))
    });
    let body: Sent = BodyExt::boxed(StreamBody::new(begun.chain(end)));
    let put = tokio::spawn(async move { ask(&client, "PUT", "/v1/memory/a", body).await });
    uploading(&server, "memory").await;
    server.begin_to_stop();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    opener.abort();
    assert_eq!(put.await.unwrap().status().as_u16(), 200);
    assert_eq!(server.stop().await.cut_off, 0);
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `GET` of this path, in HPACK without Huffman codes.
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![
        0x82,
        0x86,
        0x01,
        1,
        b'x',
        0x04,
        u8::try_from(path.len()).unwrap(),
    ];
    block.extend(path.as_bytes());
    block
}

/// Sends frames for as long as the server takes them; how many it took.
async fn flood(server: &Served, mut next: impl FnMut(u32) -> Vec<u8>) -> u32 {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut sent = 0;
    let send = async {
        while writer.write_all(&next(sent)).await.is_ok() {
            sent += 1;
            if sent.is_multiple_of(1000) {
                tokio::task::yield_now().await;
            }
        }
    };
    let read = async {
        let mut answers = Vec::new();
        let _ = reader.read_to_end(&mut answers).await;
    };
    // The server has to end the connection: nothing here does.
    let ended = async {
        tokio::select! { () = send => {}, () = read => {} }
    };
    timeout(AMPLE, ended).await.expect("the connection ends");
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_end_their_connection_and_no_other() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "still here").await;
    let client = connect(&server).await;
    let block = get("/v1/memory/a");
    // Rapid reset: each request is taken back at once.
    let resets = flood(&server, |at| {
        let stream = 2 * at + 1;
        let mut bytes = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
        bytes.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
        bytes
    })
    .await;
    assert!(resets < 1_000_000, "{resets}");
    // Headers without an end.
    let continued = flood(&server, |at| match at {
        0 => frame(HEADERS, END_STREAM, 1, &block),
        _ => frame(CONTINUATION, 0, 1, &[0_u8, 1, b'a', 1, b'b'].repeat(3000)),
    })
    .await;
    assert!(continued < 10_000, "{continued}");
    let got = ask(&client, "GET", "/v1/memory/a", whole("")).await;
    assert_eq!(text(got).await, "still here");
}

/// The slowest of a hundred requests in milliseconds, over so many requests one after another.
async fn p99(client: &Client, requests: usize) -> f64 {
    let mut times = Vec::with_capacity(requests);
    for _ in 0..requests {
        let begun = std::time::Instant::now();
        let got = ask(client, "GET", "/v1/memory/a", whole("")).await;
        assert_eq!(text(got).await, "still here");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times[requests * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/http-floods: a measurement"]
async fn an_honest_client_is_served_while_others_flood() {
    let server = Arc::new(Served::start().await);
    server.put("/v1/memory/a", "still here").await;
    let client = connect(&server).await;
    p99(&client, 200).await;
    let alone = p99(&client, 2000).await;
    for name in ["resets", "continuations"] {
        // In a thread of its own, which gives way to those that serve: a flood comes from another machine.
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let flooding = {
            let server = server.clone();
            let floods = async move {
                let mut ended = 0;
                let block = get("/v1/memory/a");
                loop {
                    flood(&server, |at| match (name, at) {
                        ("resets", _) => {
                            let stream = 2 * at + 1;
                            let flags = END_STREAM | END_HEADERS;
                            let mut bytes = frame(HEADERS, flags, stream, &block);
                            bytes.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
                            bytes
                        }
                        (_, 0) => frame(HEADERS, END_STREAM, 1, &block),
                        _ => frame(CONTINUATION, 0, 1, &[0_u8, 1, b'a', 1, b'b'].repeat(3000)),
                    })
                    .await;
                    ended += 1;
                    println!("{name}: {ended} connections ended");
                }
            };
            let until_stopped = async move {
                tokio::select! { () = floods => {}, _ = stopped => {} }
            };
            std::thread::spawn(move || {
                rustix::process::nice(19).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(until_stopped);
            })
        };
        let meanwhile = p99(&client, 2000).await;
        drop(stop);
        flooding.join().unwrap();
        println!("{name}: p99 {meanwhile:.2} ms, alone {alone:.2} ms");
        assert!(
            meanwhile <= 5.0 * alone,
            "{name}: {meanwhile} ms, alone {alone} ms"
        );
    }
}
