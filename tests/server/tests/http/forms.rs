//! Forms of several files, and conditions on requests for several objects.

use holdall_server_tests::{Answer, Served};

const MULTIPART: (&str, &str) = ("content-type", "multipart/form-data; boundary=BOUND");

fn form(parts: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (disposition, content) in parts {
        body += &format!(
            "--BOUND\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n"
        );
    }
    body + "--BOUND--\r\n"
}

async fn post(server: &Served, parts: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = [MULTIPART]
        .into_iter()
        .chain(headers.iter().copied())
        .collect();
    server
        .send("POST", "/v1/memory", &headers, form(parts))
        .await
}

fn keys(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let stored = json["stored"].as_array().unwrap().iter();
    stored
        .map(|it| it["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_folder_keep_their_paths() {
    let server = Served::start().await;
    let parts = [
        ("name=\"key\"", "site/"),
        ("name=\"f\"; filename=\"a/index.html\"", "of a"),
        ("name=\"f\"; filename=\"b/index.html\"", "of b"),
    ];
    let answer = post(&server, &parts, &[]).await;
    assert_eq!(answer.code(), 200, "{answer:?}");
    assert_eq!(keys(&answer), ["site/a/index.html", "site/b/index.html"]);
    assert_eq!(
        server.get("/v1/memory/site/a/index.html").await.text(),
        "of a"
    );
    assert_eq!(
        server.get("/v1/memory/site/b/index.html").await.text(),
        "of b"
    );
    // No path leads out of the prefix.
    let parts = [
        ("name=\"key\"", "site/"),
        ("name=\"f\"; filename=\"../x\"", "x"),
    ];
    assert_eq!(post(&server, &parts, &[]).await.code(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_a_failure_is_named() {
    let server = Served::start().await;
    for (second, code) in [
        // The same key twice.
        ("name=\"f\"; filename=\"one\"", "invalid_argument"),
        ("name=\"f\"; filename=\"a//b\"", "invalid_key"),
    ] {
        let parts = [
            ("name=\"f\"; filename=\"one\"", "first"),
            (second, "second"),
            ("name=\"f\"; filename=\"three\"", "third"),
        ];
        let answer = post(&server, &parts, &[]).await;
        assert_eq!(answer.code(), 400, "{second}: {answer:?}");
        assert_eq!(answer.json()["code"], code, "{second}");
        assert_eq!(keys(&answer), ["one"], "{second}");
        assert_eq!(
            server.get("/v1/memory/one").await.text(),
            "first",
            "{second}"
        );
        assert_eq!(server.get("/v1/memory/three").await.code(), 404, "{second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_on_a_form_are_bound_or_refused() {
    let server = Served::start().await;
    let etag = server
        .put("/v1/memory/old", "old")
        .await
        .header("etag")
        .to_owned();
    let parts = [
        ("name=\"f\"; filename=\"new\"", "new"),
        ("name=\"f\"; filename=\"old\"", "replaced"),
    ];
    let answer = post(&server, &parts, &[("if-none-match", "*")]).await;
    assert_eq!(answer.code(), 412, "{answer:?}");
    assert_eq!(keys(&answer), ["new"]);
    for header in [
        ("if-match", &*etag),
        ("if-match", "*"),
        ("if-none-match", "\"x\""),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let answer = post(&server, &parts, &[header]).await;
        assert_eq!(answer.code(), 400, "{header:?}: {answer:?}");
    }
    assert_eq!(server.get("/v1/memory/old").await.text(), "old");
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_on_a_delete_of_several_keys_are_refused() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "a").await;
    for header in [
        ("if-match", "\"x\""),
        ("if-none-match", "*"),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ] {
        let answer = server
            .send("POST", "/v1/memory?delete", &[header], "{\"keys\":[\"a\"]}")
            .await;
        assert_eq!(answer.code(), 400, "{header:?}: {answer:?}");
        assert_eq!(server.get("/v1/memory/a").await.text(), "a");
    }
}
