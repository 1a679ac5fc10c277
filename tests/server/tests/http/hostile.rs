//! Requests that no honest client makes, to the byte.

use holdall_server_tests::Served;

/// The status of each answer on one connection.
fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.split("HTTP/1.1 ").skip(1);
    lines.map(|line| line[..3].parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused() {
    let server = Served::start().await;
    server.put("/v1/memory/secret", "secret").await;
    let header =
        |header: &str| format!("GET /v1/memory/secret HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n");
    let put = |headers: &str, body: &str| {
        format!(
            "PUT /v1/memory/new HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n\r\n{body}"
        )
    };
    for (what, request, expected) in [
        ("no HTTP", "nonsense\r\n\r\n".to_owned(), 400),
        (
            "a version of tomorrow",
            "GET / HTTP/9.9\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a space in the target",
            "GET /v1/memory/a b HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            400,
        ),
        (
            "a control in the target",
            "GET /v1/memory/a\u{1} HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            400,
        ),
        ("a space before the colon", header("range : bytes=0-1"), 400),
        ("a folded header", header("range: bytes=0-1\r\n more"), 400),
        ("a NUL in a header", header("x: a\0b"), 400),
        ("a name of no token", header("x(y): z"), 400),
        (
            "a huge header",
            header(&format!("x: {}", "a".repeat(200_000))),
            431,
        ),
        ("many headers", header(&vec!["x: y"; 200].join("\r\n")), 431),
        (
            "a huge target",
            format!("GET /v1/memory/{} HTTP/1.1\r\n\r\n", "a".repeat(66_000)),
            414,
        ),
        ("a negative length", put("content-length: -1", ""), 400),
        (
            "a length of words",
            put("content-length: ten", "0123456789"),
            400,
        ),
        (
            "a signed length",
            put("content-length: +10", "0123456789"),
            400,
        ),
        (
            "a length over 64 bits",
            put("content-length: 99999999999999999999999", ""),
            400,
        ),
        (
            "two lengths",
            put("content-length: 10\r\ncontent-length: 11", "0123456789"),
            400,
        ),
        (
            "two lengths in one",
            put("content-length: 10, 11", "0123456789"),
            400,
        ),
        (
            "a coding that is not chunked",
            put("transfer-encoding: gzip", "x"),
            400,
        ),
        (
            "chunked, then another",
            put("transfer-encoding: chunked, gzip", "0\r\n\r\n"),
            400,
        ),
        (
            "chunked of yesterday",
            put("transfer-encoding: chunked", "0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
            400,
        ),
        (
            "a chunk size of words",
            put("transfer-encoding: chunked", "zz\r\nhello\r\n0\r\n\r\n"),
            400,
        ),
        (
            "a chunk size over 64 bits",
            put(
                "transfer-encoding: chunked",
                "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            ),
            400,
        ),
        (
            "a chunk longer than it says",
            put("transfer-encoding: chunked", "2\r\nhello\r\n0\r\n\r\n"),
            400,
        ),
    ] {
        let answers = server.raw(request.as_bytes()).await;
        assert_eq!(statuses(&answers), [expected], "{what}: {answers}");
        assert!(!answers.contains("secret"), "{what}");
        assert_eq!(
            server.get("/v1/memory/new").await.code(),
            404,
            "{what}: nothing is stored"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_are_refused_and_reach_nothing() {
    let server = Served::start().await;
    std::fs::write(server.folder.path().join("outside"), "secret").unwrap();
    for backend in ["local", "memory"] {
        for key in [
            "../outside",
            "..%2foutside",
            "%2e%2e/outside",
            "%2e%2e%2foutside",
            "a/../../outside",
            "./a",
            "a/./b",
            "/a",
            "//a",
            "a//b",
            "a/",
            "%2Fa",
            "a%00b",
            "a%0Ab",
            "a%5Cb",
            "..%5Coutside",
            "%",
            "%4",
            "%zz",
            "%ff",
            "%c0%ae%c0%ae/outside",
            "a%ED%A0%80",
            "%20a",
            "a%20",
            "%7F",
            "%C2%80",
        ] {
            for (method, status) in [("GET", 400), ("HEAD", 400), ("PUT", 400), ("DELETE", 400)] {
                let request = format!(
                    "{method} /v1/{backend}/{key} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let answer = server.raw(request.as_bytes()).await;
                assert_eq!(statuses(&answer), [status], "{method} {key}: {answer}");
                assert!(!answer.contains("secret"), "{answer}");
                if method != "HEAD" {
                    assert!(
                        answer.contains("\"code\":\"invalid_key\""),
                        "{method} {key}: {answer}"
                    );
                }
            }
        }
        let long = "a".repeat(1025);
        assert_eq!(
            server.get(&format!("/v1/{backend}/{long}")).await.code(),
            400
        );
        // Decoded once: these are names like any other.
        for key in [
            "a%252Fb",
            "%2525",
            "a%3Fb%23c",
            "%F0%9F%98%80",
            "a+b",
            "a%2Bb;c=d&e",
        ] {
            let path = format!("/v1/{backend}/{key}");
            server.put(&path, key).await;
            assert_eq!(server.get(&path).await.text(), key);
        }
        let listed = server.get(&format!("/v1/{backend}?list")).await.json();
        let listed: Vec<_> = listed["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["key"].as_str().unwrap())
            .collect();
        assert_eq!(listed, ["%25", "a%2Fb", "a+b", "a+b;c=d&e", "a?b#c", "😀"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lengths_of_one_request_hide_no_second_one() {
    let server = Served::start().await;
    server.put("/v1/memory/victim", "alive").await;
    let hidden = "DELETE /v1/memory/victim HTTP/1.1\r\nhost: x\r\n\r\n";
    // RFC 9112, 6.1: the coding counts, and the connection ends with the answer. What a proxy that
    // believed the length sends behind it is never read.
    for headers in [
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked",
            5 + hidden.len()
        ),
        format!(
            "transfer-encoding: chunked\r\ncontent-length: {}",
            5 + hidden.len()
        ),
    ] {
        let request =
            format!("PUT /v1/memory/new HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n0\r\n\r\n{hidden}");
        let answers = server.raw(request.as_bytes()).await;
        assert_eq!(statuses(&answers).len(), 1, "{answers}");
        assert!(
            answers.to_lowercase().contains("connection: close"),
            "{answers}"
        );
        assert_eq!(server.get("/v1/memory/victim").await.text(), "alive");
    }
    // A body that the server does not want is not read as the next request.
    let request = format!(
        "GET /v1/memory/victim HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{hidden}GET /v1/memory/victim HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        hidden.len()
    );
    let answers = server.raw(request.as_bytes()).await;
    assert!(
        statuses(&answers).iter().all(|status| *status == 200),
        "{answers}"
    );
    assert_eq!(server.get("/v1/memory/victim").await.text(), "alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_to_be_asked_is_not_asked_in_vain() {
    let server = Served::start().await;
    let put = |target: &str| {
        format!(
            "PUT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        )
    };
    for target in ["/v1/nowhere/a", "/v1/memory/a%2F", "/v1/memory/a?x=y"] {
        let answers = server.raw(put(target).as_bytes()).await;
        assert!(!answers.contains("100 Continue"), "{answers}");
        assert_eq!(statuses(&answers).len(), 1, "{answers}");
    }
    let answers = server.raw((put("/v1/memory/a") + "hello").as_bytes()).await;
    assert_eq!(statuses(&answers), [100, 200], "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Served::start().await;
    let body = vec![b'x'; 4 << 20];
    for target in [
        "/v1/nowhere/a",
        "/v1/memory/a%2F",
        "/v1/memory/a?x=y",
        "/v1/faults/too_large",
    ] {
        let answer = server.send("PUT", target, &[], body.clone()).await;
        assert!(answer.status.is_client_error(), "{target}: {answer:?}");
    }
}
