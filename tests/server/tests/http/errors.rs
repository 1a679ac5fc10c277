//! Errors: problem details, both profiles, and nothing that a client must not see.

use holdall::ErrorKind;
use holdall_server::Profile;
use holdall_server_tests::faults::{FOREVER, LEAK};
use holdall_server_tests::{Served, open};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_has_its_status_and_tells_nothing_else() {
    for profile in [Profile::Contract, Profile::Refined] {
        let mut settings = open();
        settings.errors = profile;
        let server = Served::with(settings).await;
        for kind in ErrorKind::ALL {
            let status = match (kind, profile) {
                // A quota, as this backend says it.
                (ErrorKind::QuotaExceeded, _) | (_, Profile::Contract) => kind.status(),
                _ => kind.refined_status(),
            };
            let path = format!("/v1/faults/{}", kind.code());
            // Some kinds end the instance, and the next one would be opened after a while only.
            for method in ["GET", "HEAD", "PUT", "DELETE"] {
                server.host.reset_instances();
                let answer = server.send(method, &path, &[], "").await;
                let what = format!("{method} {kind:?} {answer:?}");
                assert_eq!(answer.code(), status, "{what}");
                assert!(!what.contains(LEAK), "{what}");
                assert!(!answer.header("x-request-id").is_empty());
                if method == "HEAD" || status == 304 {
                    assert!(answer.body.is_empty(), "{what}");
                    continue;
                }
                let problem = answer.json();
                assert_eq!(answer.header("content-type"), "application/problem+json");
                assert_eq!(problem["code"], kind.code(), "{what}");
                assert_eq!(problem["status"], status, "{what}");
                assert_eq!(problem["family"], kind.family().name());
                assert_eq!(problem["key"], kind.code());
                assert_eq!(problem["request_id"], answer.header("x-request-id"));
                let told = problem.get("detail").is_some();
                assert_eq!(told, ![416, 500, 503, 504].contains(&status), "{what}");
            }
        }
        server.host.reset_instances();
        let limited = server.get("/v1/faults/rate_limited").await;
        assert_eq!(limited.header("retry-after"), "1");
        let forever = server.get(&format!("/v1/faults/{FOREVER}")).await;
        assert_eq!(forever.header("retry-after"), "86400", "at most a day");
        let other = server.get("/v1/faults/unavailable").await;
        assert_eq!(other.header("retry-after"), "", "the time is not known");
    }
}

/// A quota is the client's matter, a full store the operator's.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_is_not_a_quota() {
    for (profile, full) in [(Profile::Contract, 500), (Profile::Refined, 507)] {
        let mut settings = open();
        settings.errors = profile;
        let server = Served::with(settings).await;
        for (key, status) in [("storage_full", full), ("quota_exceeded", 403)] {
            let answer = server
                .send("PUT", &format!("/v1/faults/{key}"), &[], "x")
                .await;
            assert_eq!(answer.code(), status, "{profile:?} {key} {answer:?}");
            assert_eq!(answer.json()["code"], "quota_exceeded");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_texts_of_requests_that_lead_nowhere() {
    let server = Served::start().await;
    let mut page = String::new();
    for (method, target, status, code) in [
        ("GET", "/", 404, "no_route"),
        ("GET", "/v1", 404, "no_route"),
        ("GET", "/v1/", 404, "no_route"),
        ("GET", "/v2/local/a", 404, "no_route"),
        ("GET", "/v1/nowhere/a", 404, "backend_not_registered"),
        ("GET", "/v1/nowhere?list", 404, "backend_not_registered"),
        ("PUT", "/v1/nowhere/a", 404, "backend_not_registered"),
        ("PATCH", "/v1/local/a", 405, "method_not_allowed"),
        ("PUT", "/v1/local", 405, "method_not_allowed"),
        ("DELETE", "/v1/local/", 405, "method_not_allowed"),
        ("POST", "/v1/local/a", 400, "invalid_argument"),
        ("GET", "/v1/local/a?x=y", 400, "invalid_argument"),
        ("DELETE", "/v1/local/a?must_exists", 400, "invalid_argument"),
    ] {
        let answer = server.send(method, target, &[], "").await;
        assert_eq!(answer.code(), status, "{method} {target}: {answer:?}");
        assert_eq!(answer.json()["code"], code, "{method} {target}");
        let problem = answer.json();
        let [title, detail] = ["title", "detail"].map(|name| problem[name].as_str().unwrap());
        page += &format!("{method} {target}\n  {title}: {detail}\n");
    }
    insta::assert_snapshot!("requests_that_lead_nowhere", page);
    let wrong = server.send("PATCH", "/v1/local/a", &[], "").await;
    assert_eq!(
        wrong.header("allow"),
        "GET,HEAD,PUT,DELETE,POST,PROPFIND,COPY,MOVE,MKCOL"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_name_that_its_client_gave_it() {
    let server = Served::start().await;
    let named = server
        .send("GET", "/v1/local/a", &[("x-request-id", "mine-7")], "")
        .await;
    assert_eq!(
        (
            named.header("x-request-id"),
            named.json()["request_id"].as_str()
        ),
        ("mine-7", Some("mine-7"))
    );
    let long = "a".repeat(129);
    for odd in ["", "a b", "<script>", long.as_str()] {
        let answer = server
            .send("GET", "/v1/local/a", &[("x-request-id", odd)], "")
            .await;
        assert_ne!(answer.header("x-request-id"), odd, "no name for a log");
    }
}
