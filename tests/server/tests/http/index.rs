//! Indexes of directories.

use holdall_server::{Rule, Scope, Settings, Token};
use holdall_server_tests::{Served, open};
use serde_json::Value;

async fn served() -> Served {
    let mut settings = open();
    settings
        .index
        .extend(["local".to_owned(), "memory".to_owned()]);
    Served::with(settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_links_in_html_and_escaped() {
    let server = served().await;
    for backend in ["local", "memory"] {
        for key in ["d/a%20b", "d/%3Cscript%3E&%22", "d/x:y", "d/sub/z", "top"] {
            server.put(&format!("/v1/{backend}/{key}"), "xyz").await;
        }
        let page = server.get(&format!("/v1/{backend}/d/")).await;
        assert_eq!(page.code(), 200, "{page:?}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("vary"), "accept");
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        let text = page.text();
        for link in [
            "<a href=\"../\">../</a>",
            "<a href=\"./a%20b\">a b</a> 3 bytes",
            "<a href=\"./%3Cscript%3E%26%22\">&lt;script&gt;&amp;&quot;</a>",
            "<a href=\"./x%3Ay\">x:y</a>",
            "<a href=\"./sub/\">sub/</a>",
        ] {
            assert!(text.contains(link), "{link}: {text}");
        }
        assert!(!text.contains("<script>"), "{text}");
        let root = server.get(&format!("/v1/{backend}/")).await;
        assert!(root.text().contains("<a href=\"./d/\">d/</a>"), "{root:?}");
        assert!(!root.text().contains("../"), "{root:?}");
        let head = server
            .send("HEAD", &format!("/v1/{backend}/d/"), &[], "")
            .await;
        assert_eq!((head.code(), head.text()), (200, ""));

        let bare = server.get(&format!("/v1/{backend}")).await;
        assert_eq!(bare.code(), 308, "{bare:?}");
        assert_eq!(bare.header("location"), format!("/v1/{backend}/"));
        for missing in ["nope/", "d/a%20b/"] {
            let answer = server.get(&format!("/v1/{backend}/{missing}")).await;
            assert_eq!(answer.code(), 404, "{answer:?}");
        }
        let listed = server.get(&format!("/v1/{backend}/?list")).await;
        assert_eq!(listed.header("content-type"), "application/json");
        assert_eq!(listed.json()["entries"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_every_page() {
    let server = served().await;
    let memory = server.host.handle("memory").unwrap();
    for at in 0..1_500 {
        let key = format!("d/{at:04}");
        memory.upload((&*key, "xy")).await.unwrap();
    }
    memory.upload(("d/sub/x", "xy")).await.unwrap();
    let page = server
        .send(
            "GET",
            "/v1/memory/d/",
            &[("accept", "application/json")],
            "",
        )
        .await;
    assert_eq!(page.header("content-type"), "application/json");
    let names = page.json();
    let names = names.as_array().unwrap();
    assert_eq!(names.len(), 1_501);
    let first = names.iter().find(|it| it["name"] == "0000").unwrap();
    assert_eq!(
        (&first["type"], &first["size"]),
        (&"file".into(), &2.into())
    );
    assert_eq!(
        first["etag"],
        server
            .send("HEAD", "/v1/memory/d/0000", &[], "")
            .await
            .header("etag")
    );
    let sub = names.iter().find(|it| it["type"] == "directory").unwrap();
    assert_eq!((&sub["name"], &sub["size"]), (&"sub/".into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_for_named_backends_and_those_who_may_list() {
    let server = Served::start().await;
    server.put("/v1/memory/d/k", "x").await;
    for path in ["/v1/memory/d/", "/v1/memory/", "/v1/memory"] {
        let answer = server.get(path).await;
        assert_eq!(answer.code(), 400, "{path}: {answer:?}");
    }
    let (text, token) = Token::create("reader", Rule::of([Scope::Read]), None).unwrap();
    let mut settings = Settings::default().token(token);
    settings.index.insert("memory".to_owned());
    let server = Served::with(settings).await;
    let token = format!("Bearer {text}");
    for (headers, code) in [(&[][..], 401), (&[("authorization", &*token)], 403)] {
        let answer = server.send("GET", "/v1/memory/", headers, "").await;
        assert_eq!(answer.code(), code, "{answer:?}");
    }
}
