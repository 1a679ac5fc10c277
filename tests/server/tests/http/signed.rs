//! Signed URLs over HTTP: made by a request, used without anything else.

use std::time::Duration;

use holdall_server::{Rule, Scope, Settings, Token};
use holdall_server_tests::{Answer, Served};
use serde_json::{Value, json};

async fn sign(server: &Served, path: &str, asked: Value) -> Answer {
    server
        .send("POST", &format!("{path}?sign"), &[], asked.to_string())
        .await
}

/// What follows the host.
fn target(signed: &Answer) -> String {
    let url = signed.json()["url"].as_str().unwrap().to_owned();
    let path = url.find("/v1/").unwrap();
    url[path..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_does_what_it_says_until_its_end() {
    let server = Served::start().await;
    for backend in ["local", "memory", "faults"] {
        let path = format!("/v1/{backend}/a%20b");
        server.send("PUT", &path, &[], "0123456789").await;
        let signed = sign(&server, &path, json!({ "expires_in": "5m" })).await;
        assert_eq!(signed.code(), 200, "{signed:?}");
        assert_eq!(signed.header("cache-control"), "no-store");
        let url = target(&signed);
        assert!(
            url.starts_with(&format!("{path}?hd-v=1&hd-m=GET&hd-exp=")),
            "{url}"
        );
        let got = server.get(&url).await;
        assert_eq!((got.code(), got.text()), (200, "0123456789"));
        let part = server.send("GET", &url, &[("range", "bytes=-2")], "").await;
        assert_eq!((part.code(), part.text()), (206, "89"));

        let refused = server.send("PUT", &url, &[], "x").await;
        assert_eq!(refused.code(), 403, "{refused:?}");
        let mut told = refused.json();
        told["request_id"] = json!("");
        let mut same = vec![];
        let (head, last) = url.split_at(url.len() - 1);
        for other in [
            url.replace("a%20b", "a%20c"),
            url.replace("a%20b", "a b").replace(' ', "+"),
            url.replace("hd-m=GET", "hd-m=PUT"),
            url.replace("hd-kid=1", "hd-kid=2"),
            url.replace("hd-exp=", "hd-exp=1"),
            format!("{url}&x=y"),
            format!("{head}{}", if last == "A" { "Q" } else { "A" }),
            head.to_owned(),
            url.split("&hd-sig=").next().unwrap().to_owned(),
            format!("{path}?hd-v=1"),
        ] {
            assert_ne!(other, url);
            same.push(server.get(&other).await);
        }
        let short = target(&sign(&server, &path, json!({ "expires_in": 1 })).await);
        assert_ne!(short, url);
        let ended = async {
            loop {
                let answer = server.get(&short).await;
                if answer.code() != 200 {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
        same.push(ended.expect("an end"));
        for answer in same {
            assert_eq!(answer.code(), 403, "{answer:?}");
            let mut problem = answer.json();
            problem["request_id"] = json!("");
            assert_eq!(
                problem, told,
                "one answer for all, so that nothing can be probed"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_by_a_url_for_get_and_by_no_other() {
    let server = Served::start().await;
    for backend in ["local", "memory", "faults"] {
        let path = format!("/v1/{backend}/a%20b.txt");
        server.put(&path, "0123456789").await;
        let signed = async |method| {
            let asked = json!({ "method": method, "expires_in": "5m" });
            target(&sign(&server, &path, asked).await)
        };
        let url = signed("GET").await;
        let head = server.send("HEAD", &url, &[], "").await;
        assert_eq!((head.code(), head.text()), (200, ""), "{head:?}");
        let got = server.get(&url).await;
        for name in ["content-length", "content-type", "etag", "last-modified"] {
            assert_eq!(head.header(name), got.header(name), "{name}");
        }
        assert_eq!(head.header("content-length"), "10");
        let range = [("range", "bytes=0-3")];
        let part = server.send("HEAD", &url, &range, "").await;
        assert!(matches!(part.code(), 200 | 206), "{part:?}");
        let fresh = [("if-none-match", got.header("etag"))];
        assert_eq!(server.send("HEAD", &url, &fresh, "").await.code(), 304);

        let other = url.replace("b.txt", "c.txt");
        assert_ne!(other, url);
        for (method, url) in [
            ("HEAD", other),
            ("HEAD", signed("PUT").await),
            ("GET", signed("HEAD").await),
            ("DELETE", url),
        ] {
            let refused = server.send(method, &url, &[], "").await;
            assert_eq!(refused.code(), 403, "{method} {url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_url_holds_to_what_it_binds() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/a");
        let signed = sign(
            &server,
            &path,
            json!({
                "method": "PUT", "expires_in": "5m", "content_type": "image/png", "max_size": 10,
            }),
        )
        .await;
        assert_eq!(
            signed.json()["headers"]["content-type"],
            "image/png",
            "{signed:?}"
        );
        let url = target(&signed);
        let png = ("content-type", "image/png");
        for (what, answer, code) in [
            (
                "another type",
                server
                    .send("PUT", &url, &[("content-type", "image/gif")], "x")
                    .await,
                403,
            ),
            ("no type", server.send("PUT", &url, &[], "x").await, 403),
            (
                "too much",
                server.send("PUT", &url, &[png], "0123456789x").await,
                403,
            ),
        ] {
            assert_eq!(answer.code(), code, "{what}: {answer:?}");
        }
        let chunked = |body: &str| {
            format!(
                "PUT {url} HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )
        };
        let answer = server.raw(chunked("0123456789x").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert_eq!(server.get(&path).await.code(), 404, "nothing was stored");
        let answer = server.raw(chunked("0123456789").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let stored = server.get(&path).await;
        assert_eq!(
            (stored.text(), stored.header("content-type")),
            ("0123456789", "image/png")
        );

        // CRC-32C of 0123456789 is 280c069e.
        let signed = sign(
            &server,
            &path,
            json!({ "method": "PUT", "checksums": { "crc32c": "280c069e" } }),
        )
        .await;
        let url = target(&signed);
        let wrong = server.send("PUT", &url, &[], "0123456788").await;
        assert_eq!(
            (wrong.code(), wrong.json()["code"].as_str()),
            (400, Some("checksum_mismatch"))
        );
        assert_eq!(
            server.send("PUT", &url, &[], "0123456789").await.code(),
            200
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_looks_as_the_url_says() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "x").await;
    let signed = sign(
        &server,
        "/v1/memory/a",
        json!({
            "download_name": "na\"ïve.txt", "response_content_type": "text/plain",
        }),
    )
    .await;
    let got = server.get(&target(&signed)).await;
    assert_eq!(got.header("content-type"), "text/plain");
    assert_eq!(
        got.header("content-disposition"),
        "attachment; filename=\"na__ve.txt\"; filename*=UTF-8''na%22%C3%AFve.txt"
    );
    for (method, code) in [("HEAD", 200), ("DELETE", 204)] {
        let signed = sign(&server, "/v1/memory/a", json!({ "method": method })).await;
        assert_eq!(server.get(&target(&signed)).await.code(), 403);
        assert_eq!(
            server.send(method, &target(&signed), &[], "").await.code(),
            code
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_signed_is_reported() {
    let server = Served::start().await;
    for (asked, code) in [
        (json!({}), 200),
        (json!({ "expires_in": 0 }), 400),
        (json!({ "expires_in": 604_801 }), 400),
        (json!({ "expires_in": 604_800 }), 200),
        (json!({ "expires_in": "soon" }), 400),
        (json!({ "expires_in": -1 }), 400),
        (json!({ "method": "POST" }), 400),
        (json!({ "methd": "GET" }), 400),
        (json!({ "max_size": 1 }), 400),
        (json!({ "method": "PUT", "download_name": "a" }), 400),
        (json!({ "method": "PUT", "content_type": "nonsense" }), 400),
        (
            json!({ "method": "PUT", "checksums": { "md5": "00" } }),
            400,
        ),
        (json!({ "must_exist": true }), 404),
        (json!([]), 400),
    ] {
        let answer = sign(&server, "/v1/memory/a", asked.clone()).await;
        assert_eq!(answer.code(), code, "{asked}: {answer:?}");
    }
    let plain = server.send("POST", "/v1/memory/a?sign", &[], "").await;
    assert_eq!(
        (plain.code(), plain.json()["method"].as_str()),
        (200, Some("GET"))
    );
    assert_eq!(
        server.get(&target(&plain)).await.code(),
        404,
        "signed, and not there"
    );
    assert_eq!(
        sign(&server, "/v1/memory/..%2Fa", json!({})).await.code(),
        400
    );
}

#[tokio::test]
async fn a_url_charges_the_owner_of_the_token_that_asked_for_it() {
    let rule = Rule::of([Scope::Write, Scope::Sign]);
    let (text, token) = Token::create("ann", rule, None).unwrap();
    let token = token.charge(Some("ann & co".to_owned()), Some("lab".to_owned()));
    let server = Served::with(Settings::default().token(token)).await;
    let headers = [("authorization", &*format!("Bearer {text}"))];
    let asked = json!({ "method": "PUT" }).to_string();
    let signed = server
        .send("POST", "/v1/memory/a?sign", &headers, asked)
        .await;
    let url = target(&signed);
    assert!(
        url.contains("&hd-own=ann%20%26%20co&hd-grp=lab&hd-sig="),
        "{url}"
    );
    let none: [(&str, &str); 0] = [];
    let grant = server.host.gateway().verify("PUT", &url, none).unwrap();
    assert_eq!(
        (grant.owner.as_deref(), grant.group.as_deref()),
        (Some("ann & co"), Some("lab"))
    );
    assert_eq!(server.send("PUT", &url, &[], "x").await.code(), 200);
    let moved = url.replace("hd-own=ann", "hd-own=bob");
    assert_eq!(server.send("PUT", &moved, &[], "x").await.code(), 403);
}
