//! Pages in a browser.

use std::collections::BTreeSet;
use std::time::Duration;

use holdall_server::{Cors, Rule, Scope, Settings, Token};
use holdall_server_tests::{Served, open};

#[tokio::test]
async fn a_page_may_use_the_backend_that_admits_it_and_no_other() {
    let mut settings = open();
    let mut memory = Cors::new(["https://app.example.org".to_owned()]);
    memory.max_age = Duration::from_secs(77);
    settings.cors.insert("memory".to_owned(), memory);
    settings
        .cors
        .insert("local".to_owned(), Cors::new(["*".to_owned()]));
    let server = Served::with(settings).await;
    server.put("/v1/memory/a", "x").await;
    let preflight = async |target: &str, origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            (
                "access-control-request-headers",
                "authorization, content-type",
            ),
        ];
        server.send("OPTIONS", target, &headers, "").await
    };
    let answer = preflight("/v1/memory/a", "https://app.example.org").await;
    assert_eq!(answer.code(), 200, "{answer:?}");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "authorization, content-type"
    );
    assert_eq!(answer.header("access-control-max-age"), "77");
    let methods: BTreeSet<_> = answer
        .header("access-control-allow-methods")
        .split(',')
        .collect();
    assert_eq!(
        methods,
        BTreeSet::from(["DELETE", "GET", "HEAD", "POST", "PUT"])
    );
    assert_eq!(answer.header("access-control-allow-credentials"), "");

    for (target, origin) in [
        ("/v1/memory/a", "https://evil.example.org"),
        ("/v1/memory/a", "http://app.example.org"),
        ("/v1/faults/a", "https://app.example.org"),
    ] {
        let answer = preflight(target, origin).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "",
            "{target} {origin}"
        );
    }
    let answer = preflight("/v1/local/a", "https://anybody.example").await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        "https://anybody.example"
    );

    let headers = [("origin", "https://app.example.org")];
    let got = server.send("GET", "/v1/memory/a", &headers, "").await;
    assert_eq!((got.code(), got.text()), (200, "x"));
    assert_eq!(
        got.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    assert!(
        got.header("access-control-expose-headers").contains("etag"),
        "{got:?}"
    );
    let vary: Vec<_> = got.headers.get_all("vary").iter().collect();
    assert!(
        vary.iter()
            .any(|value| value.to_str().unwrap().contains("origin")),
        "{vary:?}"
    );
    assert!(
        got.header("access-control-expose-headers")
            .starts_with("*,"),
        "the user's metadata too: {got:?}"
    );
    // Where there are no pages, no header says so.
    let plain = server.send("GET", "/v1/faults/a", &headers, "").await;
    for name in ["vary", "access-control-expose-headers"] {
        assert_eq!(plain.header(name), "", "{plain:?}");
    }
    // An error is readable for the page too.
    let missing = server.send("GET", "/v1/memory/missing", &headers, "").await;
    assert_eq!(missing.code(), 404);
    assert_eq!(
        missing.header("access-control-allow-origin"),
        "https://app.example.org"
    );
}

#[tokio::test]
async fn a_page_sees_why_it_is_refused() {
    let (_, token) = Token::create("ci", Rule::of([Scope::Read]), None).unwrap();
    let mut settings = Settings::default().token(token);
    let origin = "https://app.example.org";
    let pages = Cors::new([origin.to_owned()]);
    settings.cors.insert("memory".to_owned(), pages);
    let server = Served::with(settings).await;
    let headers = [("origin", origin), ("authorization", "Bearer hd_ci_wrong")];
    let refused = server.send("GET", "/v1/memory/a", &headers, "").await;
    assert_eq!(refused.code(), 401);
    assert_eq!(refused.header("access-control-allow-origin"), origin);
}
