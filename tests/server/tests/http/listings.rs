//! Listings and deletes of many.

use holdall_server_tests::Served;
use serde_json::{Value, json};

fn keys(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_to_each_other() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        for key in ["a/1", "a/2", "a/3", "b%20b/1", "c"] {
            server.put(&format!("/v1/{backend}/{key}"), "x").await;
        }
        let path = format!("/v1/{backend}?list");
        let all = server.get(&path).await;
        assert_eq!(all.header("content-type"), "application/json");
        assert_eq!(keys(&all.json()), ["a/1", "a/2", "a/3", "b b/1", "c"]);
        assert_eq!(all.json()["entries"][0]["size"], 1);
        assert_eq!(all.json()["entries"][0]["etag"], {
            let head = server
                .send("HEAD", &format!("/v1/{backend}/a/1"), &[], "")
                .await;
            head.header("etag").to_owned()
        });

        let first = server
            .get(&format!("{path}&prefix=a/&limit=2"))
            .await
            .json();
        assert_eq!(keys(&first), ["a/1", "a/2"]);
        let token = first["next_page_token"].as_str().unwrap();
        let second = server
            .get(&format!("{path}&prefix=a/&limit=2&page_token={token}"))
            .await
            .json();
        assert_eq!(
            (keys(&second), &second["next_page_token"]),
            (vec!["a/3".to_owned()], &Value::Null)
        );

        let folders = server
            .get(&format!("/v1/{backend}/?list&delimiter=%2F"))
            .await
            .json();
        assert_eq!(folders["common_prefixes"], json!(["a/", "b b/"]));
        assert_eq!(keys(&folders), ["c"]);
        let spaced = server.get(&format!("{path}&prefix=b+b/")).await.json();
        assert_eq!(keys(&spaced), ["b b/1"]);

        for (query, code) in [
            ("prefix=a/&limit=0", 400),
            ("limit=1001", 400),
            ("limit=many", 400),
            ("page_token=nonsense", 400),
            (&format!("page_token={token}"), 400),
            // A prefix is text and no path.
            ("prefix=../", 200),
            ("prefix=%ff", 400),
            ("prefx=a", 400),
            ("prefix=a&prefix=b", 400),
            ("prefix=zzz", 200),
        ] {
            let answer = server.get(&format!("{path}&{query}")).await;
            assert_eq!(answer.code(), code, "{query}: {answer:?}");
        }
        let plain = server.get(&format!("/v1/{backend}")).await;
        assert_eq!(plain.code(), 400, "{plain:?}");
    }
    let none = server.get("/v1/faults?list").await;
    assert_eq!(none.code(), 501, "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_deleted_at_once_and_each_has_its_answer() {
    let server = Served::start().await;
    for backend in ["local", "memory"] {
        server.put(&format!("/v1/{backend}/a"), "x").await;
        server
            .put(&format!("/v1/{backend}/%F0%9F%98%80%26"), "x")
            .await;
        let body = json!({ "keys": ["a", "😀&", "missing", "../bad", "a"] }).to_string();
        let answer = server
            .send("POST", &format!("/v1/{backend}?delete"), &[], body)
            .await;
        assert_eq!(answer.code(), 200, "{answer:?}");
        let results = answer.json()["results"].clone();
        let told: Vec<_> = results
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["key"].as_str().unwrap(), it["status"].as_u64().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("a", 204),
                ("😀&", 204),
                ("missing", 204),
                ("../bad", 400),
                ("a", 204)
            ]
        );
        // Deletes of one key run at the same time: one of them found it.
        let found = [&results[0], &results[4]].map(|it| it["existed"] == true);
        assert_eq!(found.iter().filter(|found| **found).count(), 1, "{results}");
        assert_eq!(results[3]["problem"]["code"], "invalid_key");
        assert_eq!(server.get(&format!("/v1/{backend}/a")).await.code(), 404);
    }
    for body in [
        String::new(),
        "nonsense".to_owned(),
        json!({ "keys": [] }).to_string(),
        json!({ "key": ["a"] }).to_string(),
        json!({ "keys": ["a"], "force": true }).to_string(),
        json!({ "keys": vec!["a"; 1001] }).to_string(),
    ] {
        let answer = server.send("POST", "/v1/memory?delete", &[], body).await;
        assert_eq!(answer.code(), 400, "{answer:?}");
    }
    let large = server
        .send("POST", "/v1/memory?delete", &[], vec![b' '; (8 << 20) + 1])
        .await;
    assert_eq!(large.code(), 413, "{large:?}");
}
