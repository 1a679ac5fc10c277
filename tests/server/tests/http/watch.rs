//! What operators and their tools see.

use holdall::Registration;
use holdall::config::{BackendConfig, Config};
use holdall_server::{Rule, Scope, Settings, Token};
use holdall_server_tests::{Served, open};
use serde_json::json;

#[tokio::test]
async fn alive_says_nothing_of_storage_and_ready_does() {
    let (text, token) = Token::create("ops", Rule::of([Scope::Admin]), None).unwrap();
    let server = Served::with(Settings::default().token(token)).await;
    assert_eq!(
        server.get("/healthz").await.json(),
        json!({"status": "alive"})
    );
    let ready = server.get("/readyz").await;
    assert_eq!(ready.code(), 200, "{ready:?}");
    assert_eq!(ready.json()["status"], "ready");
    assert!(
        ready.json().get("backends").is_none(),
        "which backends there are is not for strangers: {ready:?}"
    );

    let broken = json!({ "root": "/proc/no/such/place" });
    let registration = Registration::new("local").config(broken);
    server.host.register("broken", registration).unwrap();
    assert_eq!(server.get("/healthz").await.code(), 200);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.code(), 503, "{ready:?}");
    assert_eq!(ready.json(), json!({"status": "not_ready"}));
    // One backend by its name, as a load balancer of that backend asks.
    for (target, code) in [
        ("/readyz?backend=local", 200),
        ("/readyz?backend=broken", 503),
        ("/readyz?backend=nope", 404),
        ("/readyz?backnd=local", 400),
    ] {
        let answer = server.get(target).await;
        assert_eq!(answer.code(), code, "{target}: {answer:?}");
        assert!(!answer.text().contains("/proc"), "{}", answer.text());
    }
    let bearer = format!("Bearer {text}");
    let ready = server
        .send("GET", "/readyz", &[("authorization", &bearer)], "")
        .await;
    let backends = &ready.json()["backends"];
    assert_eq!(backends["local"], json!({"ready": true}));
    let broken = &backends["broken"];
    assert_eq!(broken["ready"], false);
    assert!(
        broken["code"].is_string() && broken["reason"].is_string(),
        "{broken}"
    );
}

/// A backend that the node can do without.
#[tokio::test]
async fn a_backend_that_is_not_required_does_not_end_readiness() {
    let server = Served::start().await;
    let mut config = Config::clone(&server.host.config());
    let root = json!({ "root": "/proc/no/such/place" });
    let mut broken = BackendConfig::new("broken", "local", root).unwrap();
    broken.required = false;
    config.backends.insert("broken".to_owned(), broken.clone());
    server.host.reconfigure(config.clone()).unwrap();
    assert_eq!(server.get("/readyz").await.code(), 200);
    assert_eq!(server.get("/readyz?backend=broken").await.code(), 503);
    broken.required = true;
    config.backends.insert("broken".to_owned(), broken);
    server.host.reconfigure(config).unwrap();
    let not_ready = async || server.get("/readyz").await.code() == 503;
    // A verdict on the backends holds for a moment; which of them are needed does not.
    assert!(not_ready().await);
}

/// Everybody may probe; what a probe asks a provider is not multiplied by that.
#[tokio::test(flavor = "multi_thread")]
async fn many_probes_are_one_question_for_a_backend() {
    let server = Served::start().await;
    let probes = (0..50).map(|_| server.get("/readyz"));
    for answer in futures_util::future::join_all(probes).await {
        assert_eq!(answer.code(), 200, "{answer:?}");
    }
    let status = server.get("/v1/status").await.json();
    let backends = status["backends"].as_array().unwrap();
    let local = backends.iter().find(|it| it["name"] == "local").unwrap();
    let asked = local["counters"]["operations"]["health"]["calls"].as_u64();
    // One, and one more for each two seconds that a busy machine takes over fifty probes.
    assert!((1..25).contains(&asked.unwrap()), "{local}");
}

#[tokio::test]
async fn status_has_every_plugin_and_backend() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "12345").await;
    server.get("/v1/memory/a").await;
    let status = server.get("/v1/status").await;
    assert_eq!(status.code(), 200);
    let status = status.json();
    let backends = status["backends"].as_array().unwrap();
    let memory = backends.iter().find(|it| it["name"] == "memory").unwrap();
    assert_eq!(memory["state"], "open");
    assert_eq!(memory["generation"], 1);
    assert_eq!(memory["counters"]["bytes_in"], 5);
    assert_eq!(memory["counters"]["operations"]["upload"]["calls"], 1);
    assert!(status["plugins"].as_array().unwrap().len() >= 2);
    assert!(status["scan"].is_object());
}

#[tokio::test]
async fn a_backend_called_status_is_listed_all_the_same() {
    let server = Served::start().await;
    server
        .host
        .register("status", Registration::new("memory"))
        .unwrap();
    server.put("/v1/status/a", "x").await;
    let listing = server.get("/v1/status?list").await;
    assert_eq!(listing.code(), 200, "{listing:?}");
    assert_eq!(listing.json()["entries"][0]["key"], "a");
}

/// The value of a sample, by its name and labels as they are written.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    let Some(line) = line else {
        panic!("no sample {name} in\n{text}")
    };
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn metrics_say_what_happened() {
    let server = Served::start().await;
    server.put("/v1/memory/a", "12345").await;
    for _ in 0..3 {
        assert_eq!(server.get("/v1/memory/a").await.text(), "12345");
    }
    assert_eq!(server.get("/v1/memory/missing").await.code(), 404);
    let metrics = server.get("/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = metrics.text();
    let labels = r#"{backend="memory",operation="download"}"#;
    assert_eq!(
        sample(text, &format!("holdall_operations_total{labels}")),
        4.0
    );
    assert_eq!(
        sample(
            text,
            r#"holdall_operation_errors_total{backend="memory",operation="download",code="file_not_found"}"#
        ),
        1.0
    );
    assert_eq!(
        sample(text, &format!("holdall_operations_in_flight{labels}")),
        0.0
    );
    let histogram = "holdall_operation_duration_seconds";
    assert_eq!(sample(text, &format!("{histogram}_count{labels}")), 4.0);
    let infinite = r#"{le="+Inf",backend="memory",operation="download"}"#;
    assert_eq!(sample(text, &format!("{histogram}_bucket{infinite}")), 4.0);
    assert!(sample(text, &format!("{histogram}_sum{labels}")) > 0.0);
    let memory = r#"{backend="memory"}"#;
    assert_eq!(
        sample(
            text,
            &format!("holdall_backend_received_bytes_total{memory}")
        ),
        5.0
    );
    assert_eq!(
        sample(text, &format!("holdall_backend_sent_bytes_total{memory}")),
        15.0
    );
    assert_eq!(
        sample(text, r#"holdall_http_requests_total{status="200"}"#),
        4.0
    );
    assert_eq!(
        sample(text, r#"holdall_http_requests_total{status="404"}"#),
        1.0
    );
    assert_eq!(
        sample(text, "holdall_http_requests_in_flight"),
        1.0,
        "this one"
    );
    assert!(text.ends_with("# EOF\n"));
    for (family, unit) in [
        ("holdall_backend_received_bytes", "bytes"),
        ("holdall_backend_sent_bytes", "bytes"),
        ("holdall_operation_duration_seconds", "seconds"),
        (
            "holdall_config_last_reload_success_timestamp_seconds",
            "seconds",
        ),
    ] {
        let unit = format!("\n# UNIT {family} {unit}\n");
        assert!(text.contains(&unit), "no {unit:?} in\n{text}");
    }
}

#[tokio::test]
async fn every_metric_has_its_help_and_one_type() {
    let server = Served::with(open()).await;
    server.put("/v1/local/a", "x").await;
    let metrics = server.get("/metrics").await;
    let mut described = std::collections::BTreeMap::new();
    for line in metrics.text().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(
                described.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} twice"
            );
        }
    }
    assert!(described.len() > 15, "{described:?}");
    for line in metrics.text().lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let known = described
            .keys()
            .any(|family| name.starts_with(family.as_str()));
        assert!(known, "{line}");
    }
}

#[tokio::test]
async fn settings_that_lower_the_protection_are_refused_while_it_runs() {
    let (text, token) = Token::create("ops", Rule::everything(), None).unwrap();
    let server = Served::with(Settings::default().token(token)).await;
    // What an empty file says.
    let refused = server.control.apply(Settings::default()).unwrap_err();
    assert_eq!(refused.missing, "tokens");
    let bearer = format!("Bearer {text}");
    let credentials = [("authorization", bearer.as_str())];
    let answer = server
        .send("GET", "/v1/memory?list", &credentials, "")
        .await;
    assert_eq!(answer.code(), 200, "what was in force stays: {answer:?}");
    let (_, other) = Token::create("other", Rule::everything(), None).unwrap();
    server
        .control
        .apply(Settings::default().token(other))
        .unwrap();
    let answer = server
        .send("GET", "/v1/memory?list", &credentials, "")
        .await;
    assert_eq!(answer.code(), 401, "{answer:?}");
}
