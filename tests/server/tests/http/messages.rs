//! What a message must have before anything is done.

use holdall::{Body, ErrorKind, Upload};
use holdall_server_tests::Served;
use holdall_server_tests::faults::ODD;

/// The status of each answer on one connection.
fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.split("HTTP/1.1 ").skip(1);
    lines.map(|line| line[..3].parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_without_length_and_body_empties_nothing() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "kept").await;
    let put = |more: &str| {
        format!("PUT /v1/memory/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n")
    };
    let answer = server.raw(put("").as_bytes()).await;
    assert_eq!(statuses(&answer), [411], "{answer}");
    assert_eq!(server.get("/v1/memory/a").await.text(), "kept");
    let answer = server.raw(put("content-length: 0\r\n").as_bytes()).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    assert_eq!(server.get("/v1/memory/a").await.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_judged_before_the_body_is_asked_for() {
    let server = Served::start().await;
    let put = |target: &str, condition: &str| {
        format!(
            "PUT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n{condition}content-length: 5\r\n\r\n"
        )
    };
    for backend in ["local", "memory"] {
        server.put(&format!("/v1/{backend}/a"), "there").await;
        for (condition, status) in [
            ("if-none-match: *\r\n", 412),
            ("if-match: \"other\"\r\n", 412),
            (
                "if-unmodified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                412,
            ),
        ] {
            let answer = server
                .raw(put(&format!("/v1/{backend}/a"), condition).as_bytes())
                .await;
            assert_eq!(
                statuses(&answer),
                [status],
                "{backend} {condition}: {answer}"
            );
        }
        let absent = put(&format!("/v1/{backend}/b"), "if-match: \"other\"\r\n");
        assert_eq!(statuses(&server.raw(absent.as_bytes()).await), [412]);
        let fresh = put(&format!("/v1/{backend}/b"), "if-none-match: *\r\n") + "hello";
        assert_eq!(statuses(&server.raw(fresh.as_bytes()).await), [100, 201]);
    }
    server.put("/v1/local/folder/c", "there").await;
    for target in [
        "/v1/local/a/below",
        "/v1/local/a/b/far/below",
        "/v1/local/folder",
    ] {
        let answer = server.raw(put(target, "").as_bytes()).await;
        assert_eq!(statuses(&answer), [409], "{target}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_needed_and_codings_are_not_stored() {
    let server = Served::start().await;
    let get = |hosts: &str| format!("GET /healthz HTTP/1.1\r\nconnection: close\r\n{hosts}\r\n");
    for hosts in [
        "",
        "host: x\r\nhost: x\r\n",
        "host: x\r\nhost: y\r\n",
        "host: a b\r\n",
        "host: u@a\r\n",
        "host:\r\n",
    ] {
        let answer = server.raw(get(hosts).as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{hosts:?}: {answer}");
    }
    let answer = server.raw(get("host: x\r\n").as_bytes()).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    let old = server.raw(b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
    for codings in [
        "gzip, chunked",
        "chunked, chunked",
        "gzip\r\ntransfer-encoding: chunked",
    ] {
        let put = format!(
            "PUT /v1/memory/coded HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: {codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let answer = server.raw(put.as_bytes()).await;
        assert_eq!(statuses(&answer), [501], "{codings}: {answer}");
        assert_eq!(
            server.get("/v1/memory/coded").await.code(),
            404,
            "{codings}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_is_bound_to_absence_too() {
    let server = Served::start().await;
    let absent = ("if-none-match", "*");
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/a");
        server.put(&path, "there").await;
        assert_eq!(
            server.send("DELETE", &path, &[absent], "").await.code(),
            412
        );
        assert_eq!(server.get(&path).await.text(), "there");
        let none = format!("/v1/{backend}/none");
        assert_eq!(
            server.send("DELETE", &none, &[absent], "").await.code(),
            204
        );
        let must = format!("{none}?must_exist=true");
        assert_eq!(
            server.send("DELETE", &must, &[absent], "").await.code(),
            404
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_times_and_headers_of_other_programs_end_no_answer() {
    let server = Served::start().await;
    let listing = server.get("/v1/faults?list&prefix=odd").await;
    assert_eq!(listing.code(), 200, "{listing:?}");
    let listing = listing.json();
    // Times cross the boundary in nanoseconds of 64 bits.
    let times: Vec<_> = listing["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["last_modified"].as_str())
        .collect();
    let expected = [
        Some("1968-01-02T00:00:00.000Z"),
        Some("2262-04-11T23:47:16.854Z"),
        Some("2262-04-11T23:47:16.854Z"),
    ];
    assert_eq!(times, expected);
    for key in ODD {
        for method in ["GET", "HEAD"] {
            let answer = server
                .send(method, &format!("/v1/faults/{key}"), &[], "")
                .await;
            assert_eq!(answer.code(), 200, "{method} {key}: {answer:?}");
            assert_eq!(
                answer.header("content-disposition"),
                "attachment; filename=\"_.html\""
            );
            assert_eq!(answer.header("cache-control"), "", "no text beyond ASCII");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_beyond_ascii_are_refused_at_every_door() {
    let server = Served::start().await;
    for name in ["cache-control", "content-disposition", "content-language"] {
        let answer = server
            .send("PUT", "/v1/memory/a", &[(name, "é")], "x")
            .await;
        assert_eq!(answer.code(), 400, "{name}: {answer:?}");
    }
    let memory = server.host.handle("memory").unwrap();
    let mut upload = Upload::new("a", "x");
    let options = upload.options_mut();
    options.headers.cache_control = Some("é");
    let refused = memory.upload(upload).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_holds_to_its_bound() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let backend = server.host.handle(backend).unwrap();
        let chunks = || futures_util::stream::iter((0..40).map(|_| Ok(vec![7_u8; 1 << 20].into())));
        let upload = Upload::new("big", Body::stream(chunks())).max_size(20 << 20);
        let refused = backend.upload(upload).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
        let refused = backend
            .upload(Upload::new("big", "0123456789").max_size(9))
            .await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
        assert!(!backend.exists("big").await.unwrap());
        let upload = Upload::new("big", Body::stream(chunks())).max_size(40 << 20);
        assert_eq!(backend.upload(upload).await.unwrap().size, 40 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_configuration_is_no_fault_of_a_request() {
    let server = Served::start().await;
    let file = server.folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let broken = holdall::Registration::new("local").config(serde_json::json!({ "root": file }));
    server.host.register("broken", broken).unwrap();
    for (method, body) in [("GET", ""), ("HEAD", ""), ("PUT", "x"), ("DELETE", "")] {
        let answer = server.send(method, "/v1/broken/k", &[], body).await;
        assert_eq!(answer.code(), 500, "{method}: {answer:?}");
        if method != "HEAD" {
            let code = answer.json()["code"].clone();
            assert!(
                code == "config_invalid" || code == "container_missing",
                "{method}: {code}"
            );
        }
    }
}
