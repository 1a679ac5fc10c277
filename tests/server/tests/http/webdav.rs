//! WebDAV: what libraries ask for to list, copy and rename.

use holdall_server::{Rule, Scope, Settings, Token};
use holdall_server_tests::{Answer, Served, open};

/// Every path of the answer, in order.
fn paths(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.code(), 207, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        "application/xml; charset=utf-8"
    );
    let text = answer.text();
    assert!(text.ends_with("</D:multistatus>\n"), "{text}");
    let parts = text.split("<D:href>").skip(1);
    parts
        .map(|part| part.split("</D:href>").next().unwrap())
        .collect()
}

async fn find(server: &Served, path: &str, depth: &str) -> Answer {
    server.send("PROPFIND", path, &[("depth", depth)], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_listed_level_by_level() {
    let mut settings = open();
    settings.infinite_depth.insert("local".to_owned());
    let server = Served::with(settings).await;
    for backend in ["local", "memory"] {
        let path = |key: &str| format!("/v1/{backend}/{key}");
        for key in ["a/1", "a/b%20b/2", "c%25%26"] {
            server.put(&path(key), "xyz").await;
        }
        let root = find(&server, &format!("/v1/{backend}"), "1").await;
        assert_eq!(paths(&root), [path(""), path("a/"), path("c%25%26")]);
        for of in [path("a"), path("a/")] {
            let listed = find(&server, &of, "1").await;
            assert_eq!(
                paths(&listed),
                [path("a/"), path("a/b%20b/"), path("a/1")],
                "{of}"
            );
            assert_eq!(paths(&find(&server, &of, "0").await), [path("a/")], "{of}");
        }
        let object = find(&server, &path("c%25%26"), "1").await;
        assert_eq!(paths(&object), [path("c%25%26")]);
        let head = server.send("HEAD", &path("c%25%26"), &[], "").await;
        for fact in [
            "<D:getcontentlength>3</D:getcontentlength>".to_owned(),
            format!(
                "<D:getlastmodified>{}</D:getlastmodified>",
                head.header("last-modified")
            ),
            format!(
                "<D:getetag>{}</D:getetag>",
                head.header("etag").replace('"', "&quot;")
            ),
            "<D:resourcetype></D:resourcetype>".to_owned(),
        ] {
            assert!(object.text().contains(&fact), "{fact}: {object:?}");
        }
        for missing in ["nope", "nope/", "a/1/"] {
            let answer = find(&server, &path(missing), "1").await;
            assert_eq!(answer.code(), 404, "{answer:?}");
        }
        for depth in ["infinity", "Infinity"] {
            let all = find(&server, &path("a"), depth).await;
            match backend {
                "local" => assert_eq!(paths(&all), [path("a/"), path("a/1"), path("a/b%20b/2")]),
                _ => {
                    assert_eq!(all.code(), 403, "{all:?}");
                    assert_eq!(all.json()["code"], "propfind_finite_depth");
                }
            }
        }
    }
    let absent = server.send("PROPFIND", "/v1/memory/", &[], "").await;
    assert_eq!(
        absent.code(),
        403,
        "no Depth is an infinite one: {absent:?}"
    );
    let depth = find(&server, "/v1/memory/", "2").await;
    assert_eq!(depth.code(), 400, "{depth:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_several_pages_is_one_answer() {
    let server = Served::start().await;
    let memory = server.host.handle("memory").unwrap();
    for at in 0..2_001 {
        let key = format!("many/{at:04}");
        memory.upload((&*key, "x")).await.unwrap();
    }
    let listed = find(&server, "/v1/memory/many/", "1").await;
    let paths = paths(&listed);
    assert_eq!(paths.len(), 2_002);
    assert_eq!(paths[2_001], "/v1/memory/many/2000");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_names_properties_and_is_small_xml_without_entities() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "xyz").await;
    let ask = async |body: String| {
        server
            .send("PROPFIND", "/v1/memory/a", &[("depth", "0")], body)
            .await
    };
    // As OpenDAL asks.
    let all = ask("<?xml version=\"1.0\" encoding=\"utf-8\" ?><D:propfind xmlns:D=\"DAV:\"><D:allprop/></D:propfind>".to_owned()).await;
    assert_eq!(paths(&all), ["/v1/memory/a"]);
    assert!(all.text().contains("<D:getetag>"), "{all:?}");
    let some = ask(
        "<propfind xmlns=\"DAV:\"><prop><getcontentlength/><quota/></prop></propfind>".to_owned(),
    )
    .await;
    let text = some.text();
    assert!(!text.contains("getetag"), "{text}");
    let (found, missing) = text.split_once("200 OK").unwrap();
    assert!(found.contains("<D:getcontentlength>3</"), "{text}");
    assert!(missing.contains("<quota xmlns=\"DAV:\"/>"), "{text}");
    assert!(missing.contains("404 Not Found"), "{text}");
    let all = "<propfind xmlns=\"DAV:\"><allprop/></propfind>";
    for (body, code) in [
        (
            format!("<!DOCTYPE p [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{all}"),
            400,
        ),
        (all.replace("<allprop/>", "<prop>&e;</prop>"), 400),
        ("{}".to_owned(), 400),
        (format!("{all}{}", " ".repeat(64 << 10)), 413),
    ] {
        let answer = ask(body.clone()).await;
        assert_eq!(
            answer.code(),
            code,
            "{}: {answer:?}",
            &body[..30.min(body.len())]
        );
        assert!(!answer.text().contains("root:"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_copied_and_moved() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = |key: &str| format!("/v1/{backend}/{key}");
        let url = |key: &str| format!("http://{}{}", server.address, path(key));
        let send = async |method: &str, from: &str, headers: &[(&str, &str)]| {
            server.send(method, &path(from), headers, "").await.code()
        };
        server.put(&path("a"), "one").await;
        let to = url("d/b%20b");
        assert_eq!(send("COPY", "a", &[("destination", &to)]).await, 201);
        assert_eq!(send("COPY", "a", &[("destination", &to)]).await, 204);
        assert_eq!(server.get(&path("d/b%20b")).await.text(), "one");
        // A path is enough.
        let to = path("c");
        assert_eq!(send("MOVE", "d/b%20b", &[("destination", &to)]).await, 201);
        assert_eq!(server.get(&path("d/b%20b")).await.code(), 404);
        assert_eq!(server.get(&path("c")).await.text(), "one");

        server.put(&path("other"), "two").await;
        for method in ["COPY", "MOVE"] {
            let to = url("c");
            let headers = [("destination", &*to), ("overwrite", "F")];
            let answer = server.send(method, &path("other"), &headers, "").await;
            assert_eq!(answer.code(), 412, "{answer:?}");
            assert_eq!(server.get(&path("c")).await.text(), "one");
            assert_eq!(server.get(&path("other")).await.text(), "two");
            let to = url(&format!("new-{method}"));
            let headers = [("destination", &*to), ("overwrite", "F")];
            server.put(&path("other"), "two").await;
            assert_eq!(send(method, "other", &headers).await, 201);
        }
        assert_eq!(server.get(&path("other")).await.code(), 404, "moved");
        assert_eq!(server.get(&path("new-MOVE")).await.text(), "two");

        let elsewhere = format!("http://example.org{}", path("x"));
        let unknown = format!("http://{}/v1/nope/x", server.address);
        let another = format!("http://{}/v1/faults/x", server.address);
        let etag = server.send("HEAD", &path("a"), &[], "").await;
        let etag = etag.header("etag").to_owned();
        let x = url("x");
        for method in ["COPY", "MOVE"] {
            for (headers, code, named) in [
                (&[][..], 400, "invalid_argument"),
                (
                    &[("destination", &*elsewhere)],
                    502,
                    "destination_elsewhere",
                ),
                (&[("destination", &*unknown)], 404, "backend_not_registered"),
                (&[("destination", &*another)], 502, "destination_elsewhere"),
                (
                    &[("destination", &*x), ("overwrite", "X")],
                    400,
                    "invalid_argument",
                ),
                (
                    &[("destination", &*x), ("if-match", &*etag)],
                    400,
                    "invalid_argument",
                ),
                (
                    &[("destination", &*x), ("if", "(<opaquelocktoken:1>)")],
                    400,
                    "invalid_argument",
                ),
            ] {
                let answer = server.send(method, &path("a"), headers, "").await;
                assert_eq!(answer.code(), code, "{method} {headers:?}: {answer:?}");
                assert_eq!(answer.json()["code"], named, "{headers:?}");
            }
            let missing = server
                .send(method, &path("nope"), &[("destination", &x)], "")
                .await;
            assert_eq!(missing.code(), 404, "{missing:?}");
            let body = server
                .send(method, &path("a"), &[("destination", &x)], "body")
                .await;
            assert_eq!(body.code(), 415, "{body:?}");
        }
        assert_eq!(server.get(&path("x")).await.code(), 404);
        assert_eq!(server.get(&path("a")).await.text(), "one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_can_be_made_where_nothing_is() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = |key: &str| format!("/v1/{backend}/{key}");
        server.put(&path("a/k"), "x").await;
        for (key, code) in [
            ("new/", 201),
            ("new", 201),
            ("a", 405),
            ("a/", 405),
            ("a/k", 405),
            ("", 405),
            ("a/../b/", 400),
        ] {
            let answer = server.send("MKCOL", &path(key), &[], "").await;
            assert_eq!(answer.code(), code, "{key}: {answer:?}");
            if code == 405 {
                let allow = answer.header("allow");
                assert!(
                    allow.contains("GET,HEAD") && allow.contains("PROPFIND"),
                    "{allow}"
                );
            }
        }
        let body = server.send("MKCOL", &path("new/"), &[], "<x/>").await;
        assert_eq!(body.code(), 415, "{body:?}");
        let listed = server.get(&format!("/v1/{backend}?list")).await;
        assert_eq!(listed.json()["entries"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_needs_its_rights() {
    use Scope::{Delete, List, Read, Write};
    for (scopes, allowed) in [
        (&[][..], &[][..]),
        (&[Read, Write, Delete], &["COPY", "MOVE", "MKCOL"]),
        (&[List], &["PROPFIND"]),
        (&[Read, Write], &["COPY", "MKCOL"]),
        (&[Read, Delete], &[]),
        (&[Write, Delete], &["MKCOL"]),
    ] {
        let (text, token) = Token::create("t", Rule::of(scopes.iter().copied()), None).unwrap();
        let server = Served::with(Settings::default().token(token)).await;
        let memory = server.host.handle("memory").unwrap();
        let token = format!("Bearer {text}");
        for method in ["PROPFIND", "COPY", "MOVE", "MKCOL"] {
            memory.upload(("a", "x")).await.unwrap();
            let path = if method == "MKCOL" { "new/" } else { "a" };
            let headers = [
                ("authorization", &*token),
                ("depth", "1"),
                ("destination", "/v1/memory/b"),
            ];
            let path = format!("/v1/memory/{path}");
            let answer = server.send(method, &path, &headers, "").await;
            match allowed.contains(&method) {
                true => assert!(answer.status.is_success(), "{scopes:?}: {answer:?}"),
                false => assert_eq!(answer.code(), 403, "{scopes:?} {method}: {answer:?}"),
            }
            let without = server.send(method, &path, &headers[1..], "").await;
            assert_eq!(without.code(), 401, "{without:?}");
        }
    }
}
