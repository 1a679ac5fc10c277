//! Objects over HTTP: what each request means.

use holdall_server_tests::Served;

#[tokio::test(flavor = "multi_thread")]
async fn an_object_comes_back_as_it_was() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/a/b%20c.png");
        let put = server
            .send(
                "PUT",
                &path,
                &[
                    ("content-type", "image/png"),
                    ("holdall-meta-who", "%C3%A9%25 x"),
                ],
                "0123456789",
            )
            .await;
        assert_eq!(put.code(), 200, "{put:?}");
        let stored = put.json();
        assert_eq!(stored["key"], "a/b c.png");
        assert_eq!(stored["size"], 10);
        assert_eq!(stored["etag"], put.header("etag"));
        let etag = put.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");

        for method in ["GET", "HEAD"] {
            let got = server.send(method, &path, &[], "").await;
            assert_eq!(got.code(), 200, "{got:?}");
            assert_eq!(got.header("content-length"), "10", "{method}");
            assert_eq!(got.header("content-type"), "image/png");
            assert_eq!(got.header("holdall-meta-who"), "%C3%A9%25 x");
            assert_eq!(got.header("etag"), etag);
            assert_eq!(got.header("accept-ranges"), "bytes");
            assert_eq!(got.header("x-content-type-options"), "nosniff");
            assert!(got.header("last-modified").ends_with(" GMT"));
            assert_eq!(got.text(), if method == "GET" { "0123456789" } else { "" });
        }

        let gone = server.send("DELETE", &path, &[], "").await;
        assert_eq!((gone.code(), gone.text()), (204, ""));
        let missing = server.get(&path).await;
        assert_eq!(missing.code(), 404);
        assert_eq!(missing.header("content-type"), "application/problem+json");
        assert_eq!(missing.json()["code"], "file_not_found");
        assert_eq!(missing.json()["request_id"], missing.header("x-request-id"));
        let again = server.send("DELETE", &path, &[], "").await;
        assert_eq!(
            again.code(),
            204,
            "a missing object is as gone as a deleted one"
        );
        let must = server
            .send("DELETE", &format!("{path}?must_exist=true"), &[], "")
            .await;
        assert_eq!(must.code(), 404);
    }
    assert_eq!(server.stop().await.cut_off, 0);
}
