//! What operators see: the whole status of a host, as JSON, against a golden file and its schema.
//! `HOLDALL_UPDATE=1 cargo test -p holdall --test core status` writes the golden file.

use crate::plugin::{Act, Switches};
use crate::{host, probe, with};
use holdall::{CallOptions, Download, Host, PluginState, Upload};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A host to which everything has happened that shows.
async fn lived() -> Host {
    let (host, switches) = (host(), Switches::new());
    host.register("store", probe(&switches)).unwrap();
    let store = host.backend("store").await.unwrap();
    store.upload(Upload::new("k", "abc")).await.unwrap();
    let body = store.download(Download::new("k")).await.unwrap().body;
    body.collect(10).await.unwrap();
    store.exists("none").await.unwrap();
    store.download(Download::new("none")).await.unwrap_err();
    switches.on("exists", Act::Deaf);
    let hurried = store.with(CallOptions::new().timeout(Duration::from_millis(20)));
    hurried.exists("k").await.unwrap_err();
    switches.on("exists", Act::Panic);
    store.exists("k").await.unwrap_err();
    switches.off("exists");
    store.exists("k").await.unwrap();

    let broken = Switches::new();
    broken.on("open", Act::Fail(holdall::ErrorKind::Unauthenticated));
    let registration = with("bare", &broken, json!({ "secret": "hunter2" }));
    host.register("broken", registration).unwrap();
    host.backend("broken").await.unwrap_err();
    host.register("unused", probe(&switches)).unwrap();
    host
}

/// Zeroes and words in place of what differs from run to run.
fn still(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let stays = value.is_null();
                match name.as_str() {
                    _ if stays => {}
                    "scan_us" | "open_us" | "opened_at" => {
                        assert!(value.is_u64(), "{name}: {value}");
                        *value = 0.into();
                    }
                    "config_fingerprint" | "description" => *value = "...".into(),
                    "latency" => *value = json!({}),
                    _ => still(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(still),
        // A fact names a place in the source.
        Value::String(text) if text.contains(".rs:") => *text = "...".to_owned(),
        _ => {}
    }
}

#[tokio::test]
async fn the_whole_status_is_as_the_golden_file() {
    let mut status = lived().await.status().to_json();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read(folder.join("schemas/status.schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<_> = schema
        .iter_errors(&status)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(problems, [""; 0]);
    assert!(!status.to_string().contains("hunter2"));

    still(&mut status);
    let text = format!("{status:#}\n");
    let path = folder.join("tests/core/status.golden.json");
    if std::env::var_os("HOLDALL_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    // As values: the order of keys is a matter of who else is built.
    let golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(golden, status, "HOLDALL_UPDATE=1 writes {}", path.display());
}

#[tokio::test]
async fn instances_are_counted_until_their_last_body_ends() {
    let (host, switches) = (host(), Switches::new());
    let instances = |host: &Host| {
        let plugins = host.plugins();
        let probe = plugins
            .iter()
            .find(|plugin| plugin.name == "probe")
            .unwrap();
        assert_eq!(probe.state, PluginState::Loaded);
        probe.instances
    };
    for name in ["one", "two"] {
        host.register(name, probe(&switches)).unwrap();
        host.backend(name).await.unwrap();
    }
    assert_eq!(instances(&host), 2);
    switches.put("k", "abc");
    let one = host.backend("one").await.unwrap();
    let body = one.download(Download::new("k")).await.unwrap().body;
    assert!(host.remove("one") && host.remove("two"));
    assert_eq!(instances(&host), 1);
    drop(body);
    assert_eq!(instances(&host), 0);
}
