//! Uploads: digests, unknown lengths, metadata, forms, copies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdall_server_tests::Served;

/// Of "0123456789".
const MD5: &str = "eB5eJF1ptWaXm4bijSPyxw==";
const SHA256: &str = "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:";

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_verified_before_anything_is_visible() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/a");
        for (name, value) in [
            ("content-md5", MD5),
            ("repr-digest", SHA256),
            ("content-digest", SHA256),
        ] {
            let right = server
                .send("PUT", &path, &[(name, value)], "0123456789")
                .await;
            assert_eq!(right.code(), 200, "{name}: {right:?}");
            let wrong = server
                .send("PUT", &path, &[(name, value)], "0123456788")
                .await;
            assert_eq!(wrong.code(), 400, "{name}: {wrong:?}");
            assert_eq!(wrong.json()["code"], "checksum_mismatch");
            assert_eq!(server.get(&path).await.text(), "0123456789");
        }
        for (name, value) in [
            ("content-md5", "short"),
            ("repr-digest", "sha-512=:AAAA:"),
            ("repr-digest", "nonsense nonsense"),
        ] {
            let answer = server.send("PUT", &path, &[(name, value)], "x").await;
            assert_eq!(answer.code(), 400, "{name}: {answer:?}");
            assert_eq!(answer.json()["code"], "invalid_argument");
        }
        let got = server.get(&path).await;
        let digest = got.header("repr-digest");
        assert_eq!(
            digest, "crc32c=:KAwGng==:",
            "CRC-32C of 0123456789 is 280c069e"
        );
        assert_eq!(
            STANDARD.decode("KAwGng==").unwrap(),
            [0x28, 0x0c, 0x06, 0x9e]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_stated_length_is_stored_whole() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let chunks = "5\r\nhello\r\n6;extension=1\r\n world\r\n0\r\ntrailer: x\r\n\r\n";
        let answer = server
            .raw(format!(
                "PUT /v1/{backend}/chunked HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
            ).as_bytes())
            .await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let got = server.get(&format!("/v1/{backend}/chunked")).await;
        assert_eq!(got.text(), "hello world");
        assert_eq!(got.header("content-length"), "11");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_comes_back() {
    let server = Served::start().await;
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/large");
        server.put(&path, bytes.clone()).await;
        let got = server.get(&path).await;
        assert!(got.body == bytes, "other bytes");
        let range = [("range", "bytes=4999990-")];
        let end = server.send("GET", &path, &range, "").await;
        assert_eq!((end.code(), &end.body[..]), (206, &bytes[4_999_990..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_object_are_kept_or_refused() {
    let server = Served::start().await;
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "max-age=60"),
        ("content-disposition", "inline; filename=\"a.html\""),
        ("content-encoding", "br"),
        ("content-language", "de"),
        ("holdall-meta-owner", "J%C3%B6rg, 50%25"),
    ];
    let put = server.send("PUT", "/v1/memory/a", &headers, "x").await;
    assert_eq!(put.code(), 200, "{put:?}");
    let got = server.get("/v1/memory/a").await;
    for (name, value) in headers {
        assert_eq!(got.header(name), value);
    }
    let named = server.get("/v1/memory/a?download=na%C3%AFve.txt").await;
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"
    );
    let named = server.get("/v1/memory/a?download").await;
    assert_eq!(
        named.header("content-disposition"),
        "attachment; filename=\"a\""
    );

    let again = server.put("/v1/memory/a", "x").await;
    assert_eq!(again.code(), 200);
    let got = server.get("/v1/memory/a").await;
    assert_eq!(
        got.header("holdall-meta-owner"),
        "",
        "replaced with the object"
    );
    assert_eq!(got.header("content-type"), "application/octet-stream");

    // What a backend does not keep is refused, and nothing is stored.
    let refused = server
        .send("PUT", "/v1/faults/a", &[("holdall-meta-a", "b")], "x")
        .await;
    assert_eq!(refused.code(), 501, "{refused:?}");
    assert_eq!(refused.json()["capability"], "user_metadata");
    for (name, value) in [
        ("content-type", "no type"),
        ("holdall-meta-a", "%zz"),
        ("holdall-meta-a_b", "x"),
        ("content-range", "bytes 0-0/10"),
    ] {
        let answer = server
            .send("PUT", "/v1/memory/b", &[(name, value)], "x")
            .await;
        assert_eq!(answer.code(), 400, "{name}: {answer:?}");
    }
    assert_eq!(server.get("/v1/memory/b").await.code(), 404);
}

fn form(parts: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (disposition, content) in parts {
        body += &format!(
            "--BOUND\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n"
        );
    }
    body + "--BOUND--\r\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_uploads_a_form() {
    let server = Served::start().await;
    let multipart = [("content-type", "multipart/form-data; boundary=BOUND")];
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}");
        let body = form(&[
            ("name=\"key\"", "u/7/"),
            (
                "name=\"file\"; filename=\"a b.txt\"\r\nContent-Type: text/plain",
                "first",
            ),
            (
                "name=\"file\"; filename=\"C:\\\\dir\\\\c.png\"\r\nContent-Type: image/png",
                "second",
            ),
        ]);
        let stored = server.send("POST", &path, &multipart, body).await;
        assert_eq!(stored.code(), 200, "{stored:?}");
        let keys: Vec<_> = stored.json()["stored"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["key"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(keys, ["u/7/a b.txt", "u/7/c.png"]);
        let got = server.get(&format!("{path}/u/7/a%20b.txt")).await;
        assert_eq!(
            (got.text(), got.header("content-type")),
            ("first", "text/plain")
        );
        assert_eq!(
            server.get(&format!("{path}/u/7/c.png")).await.text(),
            "second"
        );

        let body = form(&[
            ("name=\"key\"", "one/name"),
            ("name=\"f\"; filename=\"x\"", "third"),
        ]);
        assert_eq!(
            server.send("POST", &path, &multipart, body).await.code(),
            200
        );
        assert_eq!(
            server.get(&format!("{path}/one/name")).await.text(),
            "third"
        );
    }
    for (what, body) in [
        ("no file", form(&[("name=\"key\"", "a")])),
        (
            "a key of tricks",
            form(&[
                ("name=\"key\"", "../a"),
                ("name=\"f\"; filename=\"x\"", "x"),
            ]),
        ),
        (
            "a name of tricks",
            form(&[("name=\"f\"; filename=\"..\"", "x")]),
        ),
        (
            "a key after the file",
            form(&[("name=\"f\"; filename=\"x\"", "x"), ("name=\"key\"", "a")]),
        ),
        (
            "an unknown field",
            form(&[("name=\"kee\"", "a"), ("name=\"f\"; filename=\"x\"", "x")]),
        ),
        (
            "two files, one key",
            form(&[
                ("name=\"key\"", "a"),
                ("name=\"f\"; filename=\"x\"", "x"),
                ("name=\"f\"; filename=\"y\"", "y"),
            ]),
        ),
        (
            "cut off",
            "--BOUND\r\nContent-Disposition: form-data; name=\"f\"; filename=\"cut\"\r\n\r\nhalf"
                .to_owned(),
        ),
        ("no form", "nonsense".to_owned()),
    ] {
        let answer = server.send("POST", "/v1/memory", &multipart, body).await;
        assert_eq!(answer.code(), 400, "{what}: {answer:?}");
    }
    assert_eq!(
        server.get("/v1/memory/cut").await.code(),
        404,
        "half a file is none"
    );
    let answer = server
        .send("POST", "/v1/memory", &[("content-type", "text/plain")], "x")
        .await;
    assert_eq!(answer.code(), 400, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_everything_along() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}");
        let headers = [("content-type", "image/png"), ("holdall-meta-a", "b")];
        server
            .send("PUT", &format!("{path}/from%20here"), &headers, "bytes")
            .await;
        let target = format!("{path}/to?copy_from=from%20here");
        let copied = server.send("PUT", &target, &[], "").await;
        assert_eq!(copied.code(), 200, "{copied:?}");
        assert_eq!(copied.json()["key"], "to");
        let got = server.get(&format!("{path}/to")).await;
        assert_eq!(
            (
                got.text(),
                got.header("content-type"),
                got.header("holdall-meta-a")
            ),
            ("bytes", "image/png", "b")
        );
        assert_eq!(got.header("etag"), copied.header("etag"));

        let again = server
            .send("PUT", &target, &[("if-none-match", "*")], "")
            .await;
        assert_eq!(again.code(), 412, "{again:?}");
        let fresh = format!("{path}/fresh?copy_from=to");
        let created = server
            .send("PUT", &fresh, &[("if-none-match", "*")], "")
            .await;
        assert_eq!(created.code(), 201, "{created:?}");
        let missing = server
            .send("PUT", &format!("{path}/x?copy_from=nowhere"), &[], "")
            .await;
        assert_eq!(
            (missing.code(), missing.json()["key"].as_str()),
            (404, Some("nowhere"))
        );
        for (target, body) in [
            ("x?copy_from=", ""),
            ("x?copy_from=to", "a body"),
            ("x?copy_from=../a", ""),
        ] {
            let answer = server
                .send("PUT", &format!("{path}/{target}"), &[], body)
                .await;
            assert_eq!(answer.code(), 400, "{target}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_a_content_type_has_the_one_that_its_key_implies() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        for (key, implied) in [
            ("photo.jpg", "image/jpeg"),
            ("a/b.TXT", "text/plain"),
            ("a.jpg/none", "application/octet-stream"),
        ] {
            let path = format!("/v1/{backend}/{key}");
            assert_eq!(server.put(&path, "x").await.code(), 200);
            assert_eq!(
                server.get(&path).await.header("content-type"),
                implied,
                "{path}"
            );
        }
    }
    // A file that another program put there.
    std::fs::write(server.folder.path().join("store/objects/dropped.png"), "x").unwrap();
    let got = server.get("/v1/local/dropped.png").await;
    assert_eq!(got.header("content-type"), "image/png");
    // What a request says wins.
    let said = [("content-type", "text/html")];
    server.send("PUT", "/v1/local/said.jpg", &said, "x").await;
    let got = server.get("/v1/local/said.jpg").await;
    assert_eq!(got.header("content-type"), "text/html");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stated_length_spares_the_temporary_file() {
    let server = Served::start().await;
    let spooled = || {
        let status = server.host.status();
        let mut backends = status.backends.iter();
        backends
            .find(|it| it.name == "faults")
            .unwrap()
            .counters
            .spooled
    };
    // `faults` must know the length of an upload.
    for size in [1, 100 << 10, 3 << 20] {
        server.put("/v1/faults/k", vec![b'x'; size]).await;
        assert_eq!(spooled(), 0, "{size}");
    }
    let chunked = "PUT /v1/faults/k HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = server.raw(chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(spooled(), 1);
}

#[tokio::test]
async fn policies_of_the_backend_answer_with_their_status_and_facts() {
    let server = Served::start().await;
    let mut policy = holdall::policy::Policy::new();
    policy.max_size = Some(64);
    policy.types = Some(holdall::policy::FileTypes::new(["image/*"]));
    policy.breaker = Some(holdall::policy::Breaker::default());
    let registration = holdall::Registration::new("memory").policy(policy);
    server.host.register("memory", registration).unwrap();
    let png = [("content-type", "image/png")];
    let html = server
        .send(
            "PUT",
            "/v1/memory/a.png",
            &png,
            "<!DOCTYPE html>".to_owned(),
        )
        .await;
    assert_eq!(html.code(), 400, "{html:?}");
    let problem = html.json();
    assert_eq!(problem["code"], "invalid_file_type");
    let large = server
        .send("PUT", "/v1/memory/a.png", &png, "x".repeat(65))
        .await;
    assert_eq!(
        (large.code(), &large.json()["code"]),
        (413, &"too_large".into())
    );
    assert_eq!(server.get("/v1/memory/a.png").await.code(), 404);
    let metrics = server.get("/metrics").await;
    let metrics = metrics.text();
    for line in [
        r#"holdall_policy_refused_total{backend="memory",policy="types"} 1"#,
        r#"holdall_policy_refused_total{backend="memory",policy="max_size"} 1"#,
        r#"holdall_policy_retries_total{backend="memory"} 0"#,
        r#"holdall_policy_breaker_opened_total{backend="memory"} 0"#,
        r#"holdall_policy_breaker_open{backend="memory"} 0"#,
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
}
