//! Conditional requests: RFC 9110, 13.

use holdall_server_tests::Served;

const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

#[tokio::test(flavor = "multi_thread")]
async fn reads() {
    let server = Served::start().await;
    // `faults` claims no condition: every backend answers them all the same.
    for backend in ["local", "memory", "faults"] {
        let path = format!("/v1/{backend}/a");
        server.send("PUT", &path, &[], "0123456789").await;
        let head = server.send("HEAD", &path, &[], "").await;
        let (etag, date) = (head.header("etag"), head.header("last-modified"));
        let both = format!("\"other\", W/{etag}");
        let table: &[(&str, &str, u16)] = &[
            ("if-match", etag, 200),
            ("if-match", "*", 200),
            ("if-match", "\"other\"", 412),
            ("if-match", &both, 412),
            ("if-none-match", etag, 304),
            ("if-none-match", &both, 304),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"other\"", 200),
            ("if-modified-since", date, 304),
            (
                "if-modified-since",
                OLD,
                if backend == "faults" { 304 } else { 200 },
            ),
            ("if-modified-since", "not a date", 200),
            ("if-unmodified-since", date, 200),
            ("if-unmodified-since", FUTURE, 200),
            ("if-match", "no quotes", 400),
        ];
        for (name, value, status) in table {
            for method in ["GET", "HEAD"] {
                let answer = server.send(method, &path, &[(name, value)], "").await;
                let what = format!("{method} {name}: {value} of {backend}: {answer:?}");
                assert_eq!(answer.code(), *status, "{what}");
                if *status == 304 {
                    assert_eq!(answer.header("etag"), etag, "{what}");
                    assert!(answer.body.is_empty(), "{what}");
                    assert_eq!(answer.header("content-type"), "", "{what}");
                }
            }
        }
        if backend != "faults" {
            let answer = server
                .send("GET", &path, &[("if-unmodified-since", OLD)], "")
                .await;
            assert_eq!(answer.code(), 412, "{answer:?}");
        }
    }
    let not_modified = server.host.status();
    let memory = not_modified
        .backends
        .iter()
        .find(|it| it.name == "memory")
        .unwrap();
    assert!(
        memory.counters.errors.is_empty(),
        "an answer is no error: {memory:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_deletes() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        let path = format!("/v1/{backend}/a");
        let path = path.as_str();
        let put = async |headers: &[(&str, &str)], body: &'static str| {
            server.send("PUT", path, headers, body).await
        };
        assert_eq!(
            put(&[("if-match", "*")], "x").await.code(),
            412,
            "there is none"
        );
        let created = put(&[("if-none-match", "*")], "one").await;
        assert_eq!(created.code(), 201, "{created:?}");
        let lost = put(&[("if-none-match", "*")], "x").await;
        assert_eq!(lost.code(), 412);
        assert_eq!(lost.json()["code"], "precondition_failed");
        let one = created.header("etag").to_owned();

        assert_eq!(put(&[("if-match", "\"other\"")], "x").await.code(), 412);
        assert_eq!(
            put(&[("if-match", &format!("W/{one}"))], "x").await.code(),
            412
        );
        assert_eq!(put(&[("if-none-match", &one)], "x").await.code(), 412);
        assert_eq!(put(&[("if-unmodified-since", OLD)], "x").await.code(), 412);
        assert_eq!(
            server.get(path).await.text(),
            "one",
            "what was refused changed nothing"
        );

        let two = put(&[("if-match", &one)], "two").await;
        assert_eq!(two.code(), 200);
        assert_eq!(
            put(&[("if-match", &one)], "x").await.code(),
            412,
            "it was replaced"
        );
        let two = two.header("etag").to_owned();
        let list = format!("{one}, {two}");
        assert_eq!(put(&[("if-match", &list)], "three").await.code(), 200);
        assert_eq!(put(&[("if-match", "*")], "four").await.code(), 200);
        assert_eq!(
            put(&[("if-none-match", "\"other\"")], "five").await.code(),
            200
        );
        assert_eq!(
            put(&[("if-unmodified-since", FUTURE)], "six").await.code(),
            200
        );
        assert_eq!(server.get(path).await.text(), "six");

        let delete =
            async |headers: &[(&str, &str)]| server.send("DELETE", path, headers, "").await;
        assert_eq!(delete(&[("if-match", &one)]).await.code(), 412);
        assert_eq!(server.get(path).await.code(), 200);
        assert_eq!(delete(&[("if-match", "*")]).await.code(), 204);
        assert_eq!(
            delete(&[("if-match", "*")]).await.code(),
            412,
            "there is none"
        );
        assert_eq!(server.get(path).await.code(), 404);
    }
    // `faults` cannot bind a write, and says so instead of dropping the condition.
    let answer = server
        .send("PUT", "/v1/faults/a", &[("if-none-match", "*")], "x")
        .await;
    assert_eq!(answer.code(), 501, "{answer:?}");
    assert_eq!(answer.json()["capability"], "create_only");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_one_wins() {
    let server = std::sync::Arc::new(Served::start().await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let server = server.clone();
        tasks.spawn(async move {
            let headers = [("if-none-match", "*")];
            server
                .send("PUT", "/v1/local/race", &headers, number.to_string())
                .await
                .code()
        });
    }
    let mut codes = tasks.join_all().await;
    codes.sort_unstable();
    assert_eq!(codes[0], 201);
    assert!(codes[1..].iter().all(|code| *code == 412), "{codes:?}");
}
