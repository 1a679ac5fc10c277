//! Names: registering, unknown ones, taking away. Cases P-01, P-04, P-06, P-07.

use crate::plugin::Switches;
use crate::{host, probe};
use holdall::config::{BackendConfig, Config};
use holdall::{Error, ErrorKind, Host, Registration};
use serde_json::json;

fn facts<'e>(error: &'e Error, name: &str) -> Vec<&'e str> {
    let named = error.facts().filter(|(fact, _)| *fact == name);
    named.map(|(_, value)| value).collect()
}

#[tokio::test]
async fn p_01_registering_opens_nothing_and_two_gets_open_once() {
    let (host, switches) = (host(), Switches::new());
    host.register("store", probe(&switches)).unwrap();
    assert_eq!(switches.opens(), 0);
    assert_eq!(host.status().backends[0].state, "registered");
    for _ in 0..2 {
        let backend = host.backend("store").await.unwrap();
        assert!(!backend.exists("k").await.unwrap());
    }
    assert_eq!(switches.opens(), 1);
    assert_eq!(host.status().backends[0].state, "open");
}

#[tokio::test]
async fn p_04_an_unknown_name_is_reported_with_all_that_helps() {
    let (host, switches) = (host(), Switches::new());
    let error = host.backend("avatars").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendNotRegistered);
    assert_eq!(facts(&error, "available"), ["none"]);

    for name in ["avatars", "backups"] {
        host.register(name, probe(&switches)).unwrap();
    }
    let error = host.backend("avatar").await.unwrap_err();
    assert_eq!(facts(&error, "requested"), ["avatar"]);
    assert_eq!(facts(&error, "available"), [r#""avatars", "backups""#]);
    assert_eq!(facts(&error, "nearest"), ["avatars"]);
    assert_eq!(
        facts(&error, "searched"),
        ["no plugin directory is configured"]
    );
    assert_eq!(error.kind().status(), 500);
}

#[tokio::test]
async fn an_unknown_plugin_is_reported_with_the_files_that_were_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.so"), b"\x7fELF").unwrap();
    let host = Host::builder()
        .built_in(&crate::plugin::probe::PLUGIN)
        .plugin_dir(folder.path())
        .config(Config::default())
        .build()
        .unwrap();
    host.register("store", Registration::new("prob")).unwrap();
    let error = host.backend("store").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLoad);
    assert_eq!(facts(&error, "nearest"), ["probe"]);
    assert_eq!(facts(&error, "searched"), [folder.path().to_str().unwrap()]);
    let refused = facts(&error, "refused");
    assert!(
        refused.len() == 1 && refused[0].contains("broken.so: "),
        "{refused:?}"
    );
}

#[tokio::test]
async fn p_06_a_hundred_names_and_the_rule_for_names() {
    let (host, switches) = (host(), Switches::new());
    for n in 0..100 {
        host.register(&format!("b-{n:02}"), probe(&switches))
            .unwrap();
    }
    let mut names = host.backends();
    assert_eq!(names.len(), 100);
    assert!(names.is_sorted());
    names.clear();
    assert_eq!(host.backends().len(), 100, "the list is a copy");
    for bad in ["", "-a", "A", "a_b", "a/b", "ä", &"a".repeat(64)] {
        let error = host.register(bad, probe(&switches)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{bad:?}");
        let told = error
            .facts()
            .any(|(_, value)| value.contains("1 to 63 characters"));
        assert!(told, "{error:?}");
    }
    assert_eq!(host.backends().len(), 100);
}

#[tokio::test]
async fn p_07_resets_are_idempotent_and_the_first_keeps_registrations() {
    let (host, switches) = (host(), Switches::new());
    host.register("store", probe(&switches)).unwrap();
    let backend = host.backend("store").await.unwrap();
    for _ in 0..2 {
        host.reset_instances();
        assert_eq!(host.backends(), ["store"]);
        assert_eq!(host.status().backends[0].state, "registered");
    }
    assert_eq!(switches.drops.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(!backend.exists("k").await.unwrap());
    assert_eq!(switches.opens(), 2);
    for _ in 0..2 {
        host.reset_all();
        assert!(host.backends().is_empty());
    }
    let error = backend.exists("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendNotRegistered);
    host.register("store", probe(&switches)).unwrap();
    assert!(
        !backend.exists("k").await.unwrap(),
        "an old handle serves again"
    );
}

#[tokio::test]
async fn resets_in_parallel_with_gets_never_fail_a_get() {
    let (host, switches) = (host(), Switches::new());
    host.register("store", probe(&switches)).unwrap();
    let gets = (0..8).map(|_| {
        let host = host.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                host.backend("store")
                    .await
                    .unwrap()
                    .exists("k")
                    .await
                    .unwrap();
                host.reset_instances();
                tokio::task::yield_now().await;
            }
        })
    });
    futures_util::future::try_join_all(gets).await.unwrap();
}

#[tokio::test]
async fn a_removed_name_is_gone_for_old_handles_too() {
    let (host, switches) = (host(), Switches::new());
    host.register("store", probe(&switches)).unwrap();
    let backend = host.backend("store").await.unwrap();
    assert!(host.remove("store"));
    assert!(!host.remove("store") && !host.remove("never"));
    let kind = backend.exists("k").await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::BackendNotRegistered);
    let kind = host.backend("store").await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::BackendNotRegistered);
}

#[tokio::test]
async fn a_plugin_is_found_by_scheme_and_the_first_keeps_it() {
    let (host, switches) = (host(), Switches::new());
    let registration = Registration::new("p").config(json!({ "id": switches.id }));
    host.register("store", registration).unwrap();
    let facts = host.backend("store").await.unwrap().info().await.unwrap();
    assert_eq!(facts.plugin, "probe");
    let shadowed = host.shadowed();
    assert_eq!(shadowed.len(), 1);
    assert_eq!((shadowed[0].claim, &*shadowed[0].value), ("scheme", "p"));
}

#[tokio::test]
async fn a_host_starts_with_nothing_and_the_only_backend_is_the_default() {
    let host = Host::builder()
        .built_in(&crate::plugin::probe::PLUGIN)
        .build()
        .unwrap();
    assert_eq!(host.backends(), [""; 0]);
    assert_eq!(host.default_name(), None);
    let kind = host.default_backend().await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::BackendNotRegistered);
    let switches = Switches::new();
    for name in ["mine", "local"] {
        let registration = crate::with("probe", &switches, json!({}));
        host.register(name, registration).unwrap();
        assert_eq!(host.default_name().as_deref(), Some(name));
        assert_eq!(host.default_backend().await.unwrap().name(), name);
        host.remove(name);
        assert_eq!(host.default_name(), None);
    }
}

#[tokio::test]
async fn a_default_backend_that_was_removed_is_no_default() {
    let mut config = Config::default();
    config.insert(BackendConfig::new("local", "probe", json!({})).unwrap());
    config.default_backend = Some("local".into());
    let host = Host::builder().config(config).build().unwrap();
    assert_eq!(host.default_name().as_deref(), Some("local"));
    host.remove("local");
    assert_eq!(host.default_name(), None);
}

#[tokio::test]
async fn shutdown_of_a_backend_that_was_never_used_opens_nothing() {
    let (host, switches) = (host(), Switches::new());
    let registration = crate::with("probe", &switches, json!({}));
    host.register("store", registration).unwrap();
    host.handle("store").unwrap().shutdown().await.unwrap();
    assert_eq!(host.status().backends[0].state, "registered");
    host.shutdown(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(host.status().backends.len(), 0);
}

#[tokio::test]
async fn a_required_plugin_that_is_not_there_fails_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdall.toml");
    std::fs::write(&file, "[plugin.s3]\nrequired = true\n").unwrap();
    let error = Host::builder().config_file(file).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLoad);
    assert!(error.message().contains("\"s3\""), "{error}");
}

#[tokio::test]
async fn a_disabled_plugin_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdall.toml");
    std::fs::write(&file, "[plugin.probe]\ndisabled = true\n[backend.probe]\n").unwrap();
    let host = Host::builder()
        .built_in(&crate::plugin::probe::PLUGIN)
        .config_file(file)
        .build()
        .unwrap();
    let error = host.backend("probe").await.unwrap_err();
    assert!(error.message().contains("disabled"), "{error}");
}

#[tokio::test]
async fn status_is_json_without_secrets() {
    let (host, switches) = (host(), Switches::new());
    let secret = "hunter2-hunter2";
    let registration = crate::with("probe", &switches, json!({ "secret": secret }));
    host.register("store", registration).unwrap();
    let backend = host.backend("store").await.unwrap();
    switches.on("exists", crate::plugin::Act::Leak);
    let error = backend.exists("k").await.unwrap_err();
    switches.on("health", crate::plugin::Act::Lie("down"));
    let health = backend.health().await.unwrap();
    let status = serde_json::to_value(host.status()).unwrap();
    assert_eq!(status["backends"][0]["name"], "store");
    assert_eq!(status["backends"][0]["generation"], 1);
    assert_eq!(
        status["backends"][0]["counters"]["errors"]["storage_error"],
        1
    );
    assert_eq!(status["plugins"][2]["name"], "probe");
    let facts = backend.info().await.unwrap();
    for text in [
        status.to_string(),
        format!("{error:?} {error}"),
        format!("{health:?} {facts:?}"),
        format!("{host:?} {backend:?}"),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(error.message().contains("[redacted]"), "{error}");
}

#[tokio::test]
async fn a_configuration_of_the_program_names_backends() {
    let switches = Switches::new();
    let mut config = Config::default();
    let values = json!({ "id": switches.id });
    config.insert(BackendConfig::new("store", "probe", values).unwrap());
    let host = Host::builder()
        .built_in(&crate::plugin::probe::PLUGIN)
        .config(config)
        .build()
        .unwrap();
    assert!(host.check_config().is_ok());
    assert!(
        !host
            .default_backend()
            .await
            .unwrap()
            .exists("k")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn shutdown_of_the_host_waits_for_what_runs_and_refuses_what_comes() {
    let (host, backend, switches) = crate::store().await;
    switches.on("exists", crate::plugin::Act::Gated);
    let running = tokio::spawn({
        let backend = backend.clone();
        async move { backend.exists("k").await }
    });
    while switches.entered_by("exists") == 0 {
        tokio::task::yield_now().await;
    }
    let limit = std::time::Duration::from_secs(600);
    let shutdown = tokio::spawn({
        let host = host.clone();
        async move { host.shutdown(limit).await }
    });
    while !host.backends().is_empty() {
        tokio::task::yield_now().await;
    }
    let kind = backend.exists("k").await.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::BackendNotRegistered);
    assert_eq!(
        switches.entered_by("shutdown"),
        0,
        "an operation still runs"
    );
    switches.gate.add_permits(1);
    assert!(!running.await.unwrap().unwrap());
    shutdown.await.unwrap().unwrap();
    assert_eq!(switches.entered_by("shutdown"), 1);
}

#[tokio::test]
async fn shutdown_of_the_host_names_what_still_runs_at_the_deadline() {
    let (host, backend, switches) = crate::store().await;
    switches.on("exists", crate::plugin::Act::Deaf);
    let running = tokio::spawn(async move { backend.exists("k").await });
    while switches.entered_by("exists") == 0 {
        tokio::task::yield_now().await;
    }
    let error = host.shutdown(std::time::Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.fact("running"), Some("store"));
    assert_eq!(switches.entered_by("shutdown"), 1);
    running.abort();
}
