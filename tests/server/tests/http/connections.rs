//! How connections end, and who gets one when they are scarce.

use std::time::Duration;

use holdall_server::{Rule, Scope, Settings, Token};
use holdall_server_tests::{Served, open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far longer than anything here takes.
const AMPLE: Duration = Duration::from_secs(60);

async fn connect(server: &Served, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Everything up to the end of the connection.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(AMPLE, stream.read_to_end(&mut bytes))
        .await
        .expect("an end");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_closed_its_side_is_answered() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        for at in 0..20 {
            let key = format!("/v1/{backend}/{at}");
            let mut put = connect(
                &server,
                format!("PUT {key} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").as_bytes(),
            )
            .await;
            put.shutdown().await.unwrap();
            let answer = read(&mut put).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n"),
                "{at}: {answer:?}"
            );
            let mut get = connect(
                &server,
                format!("GET {key} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes(),
            )
            .await;
            get.shutdown().await.unwrap();
            let answer = read(&mut get).await;
            assert!(answer.ends_with("hello"), "{at}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_before_the_end_of_a_side_stores_nothing() {
    let server = Served::start().await;
    for headers in [
        "content-length: 10\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let head = format!("PUT /v1/local/half HTTP/1.1\r\nhost: x\r\n{headers}");
        let mut put = connect(&server, head.as_bytes()).await;
        put.shutdown().await.unwrap();
        let answer = read(&mut put).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(server.get("/v1/local/half").await.code(), 404);
    }
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_when_all_places_are_taken() {
    let mut settings = open();
    settings.max_connections = 2;
    let server = Served::with(settings).await;
    let head = b"PUT /v1/local/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
    let _held = [connect(&server, head).await, connect(&server, head).await];
    let answer = read(&mut connect(&server, HEALTH).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let other = b"GET /v1/local?list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = read(&mut connect(&server, other).await).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_below_the_least_rate_makes_room_for_another_client() {
    let mut settings = open();
    settings.max_connections = 2;
    settings.min_body_rate = 1 << 20;
    settings.body_rate_window = Duration::from_millis(300);
    let server = Served::with(settings).await;
    let form = "content-type: multipart/form-data; boundary=B\r\ncontent-length: 1000";
    for head in [
        "PUT /v1/local/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 10".to_owned(),
        "POST /v1/local?delete HTTP/1.1\r\nhost: x\r\ncontent-length: 10".to_owned(),
        format!("POST /v1/local HTTP/1.1\r\nhost: x\r\n{form}"),
    ] {
        let head = format!("{head}\r\n\r\nx");
        let mut slow = [
            connect(&server, head.as_bytes()).await,
            connect(&server, head.as_bytes()).await,
        ];
        let other = b"GET /v1/local?list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = read(&mut connect(&server, other).await).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{head}: {answer}"
        );
        for slow in &mut slow {
            let _ = slow.write_all(b"123456789").await;
        }
    }
    assert!(
        !server
            .host
            .handle("local")
            .unwrap()
            .exists("slow")
            .await
            .unwrap_or(true)
            || server.get("/v1/local/slow").await.text() == "x123456789"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_read_of_a_client_without_rights() {
    let (text, token) = Token::create("reader", Rule::of([Scope::Read]), None).unwrap();
    let server = Served::with(Settings::default().token(token)).await;
    for (credentials, status) in [
        (String::new(), 401),
        (format!("authorization: Bearer {text}\r\n"), 403),
    ] {
        for target in [
            "/v1/nope?delete",
            "/v1/local?delete",
            "/v1/nope",
            "/v1/local",
        ] {
            // Not a byte of the body comes.
            let head = format!(
                "POST {target} HTTP/1.1\r\nhost: x\r\n{credentials}content-type: multipart/form-data; boundary=B\r\ncontent-length: 8000000\r\n\r\n"
            );
            let mut stream = connect(&server, head.as_bytes()).await;
            let mut start = [0; 12];
            let got = timeout(AMPLE, stream.read_exact(&mut start)).await;
            got.expect("an answer before the body").unwrap();
            assert_eq!(start, *format!("HTTP/1.1 {status}").as_bytes(), "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_throttled_and_good_ones_are_not() {
    let (text, token) = Token::create("good", Rule::everything(), None).unwrap();
    let mut settings = Settings::default().token(token);
    settings.max_auth_failures = 3;
    let server = Served::with(settings).await;
    let good = format!("Bearer {text}");
    for (target, credentials) in [
        ("/v1/local?list", None),
        ("/v1/local?list", Some("Bearer hd_good_wrong")),
        ("/v1/local/a?hd-sig=wrong", None),
    ] {
        let headers: Vec<_> = credentials
            .iter()
            .map(|value| ("authorization", *value))
            .collect();
        let answer = server.send("GET", target, &headers, "").await;
        assert!(matches!(answer.code(), 401 | 403), "{answer:?}");
    }
    let answer = server.get("/v1/local?list").await;
    assert_eq!(answer.code(), 429, "{answer:?}");
    assert_eq!(answer.json()["code"], "too_many_failures");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(answer.header("connection"), "close");
    let answer = server
        .send("GET", "/v1/local?list", &[("authorization", &good)], "")
        .await;
    assert_eq!(answer.code(), 200, "{answer:?}");
}
