//! The conformance kit over a loaded plugin that is used as an operator of OpenDAL and, through
//! `holdall-plugin-api-opendal`, as a backend again.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::{Host, PluginRef, Registration};
use holdall_conformance::{Claims, DirectAccess, Harness, Status, run, rust_stage};
use holdall_e2e::artifacts;
use holdall_opendal::IntoOperator;
use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{Capabilities, Operations, Result};
use holdall_plugin_api_opendal::{Adapter, OpenOperator, OpenedOperator};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// One host with both plugins, loaded from their files.
fn host() -> &'static Host {
    static HOST: OnceLock<(Host, tempfile::TempDir)> = OnceLock::new();
    let (host, _) = HOST.get_or_init(|| {
        let plugins = tempfile::tempdir().unwrap();
        let files = ["memory", "local"].map(|name| artifacts().plugin(name));
        artifacts().folder_of(files, plugins.path());
        let builder = Host::builder()
            .config(holdall::config::Config::default())
            .plugin_dir(plugins.path());
        (builder.build().unwrap(), plugins)
    });
    host
}

#[derive(Deserialize)]
struct Config {
    plugin: String,
    config: Value,
}

struct Bridge;

impl OpenOperator for Bridge {
    type Config = Config;

    async fn open(config: Config, _: &holdall_plugin_api::Host) -> Result<OpenedOperator> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bridge-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let plugin = PluginRef::from(config.plugin.as_str());
        host().register(&name, Registration::new(plugin).config(config.config))?;
        let backend = host().backend(&name).await?;
        let facts = backend.info().await?;
        let operator = backend.into_operator().await?;
        let mut store = OpenedOperator::new(operator, name)
            .asserts(facts.capabilities)
            .whole_facts();
        if facts.capabilities.has(holdall::Capability::OrderedList) {
            store = store.in_byte_order();
        }
        Ok(store)
    }
}

struct Kit {
    plugin: &'static str,
    folder: tempfile::TempDir,
}

impl Kit {
    fn new(plugin: &'static str) -> Self {
        Self {
            plugin,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn root(&self, store: u32) -> PathBuf {
        self.folder.path().join(format!("store-{store}"))
    }
}

impl Harness for Kit {
    type Config = Config;

    fn config(&self, store: u32) -> Config {
        let config = match self.plugin {
            "local" => json!({ "root": self.root(store), "durability": "none" }),
            _ => json!({}),
        };
        Config {
            plugin: self.plugin.to_owned(),
            config,
        }
    }

    fn is_shared(&self) -> bool {
        self.plugin == "local"
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        (self.plugin == "local").then(|| Arc::new(Staging(self.root(store))) as _)
    }
}

/// The staging directory of `local`, which is empty after failed uploads.
struct Staging(PathBuf);

impl DirectAccess for Staging {
    fn leftovers(&self) -> Vec<String> {
        let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
        folders(&self.0.join("staging"))
            .flat_map(|own| folders(&own.path()).collect::<Vec<_>>())
            .map(|file| file.path().display().to_string())
            .collect()
    }
}

async fn judged(plugin: &'static str, at_least: usize) {
    let claims = Claims {
        plugin: format!("{}-through-opendal", plugin),
        operations: Operations::REQUIRED
            .with(Operations::head)
            .with(Operations::list)
            .with(Operations::copy)
            .with(Operations::rename)
            .with(Operations::health)
            .with(Operations::shutdown),
        // Replaced by what the opened instance claims.
        capabilities: Capabilities::EMPTY,
        schema: None,
        flags: Flags(Flags::RUNTIME_TOKIO),
    };
    let stage = rust_stage::<Adapter<Bridge>>(claims, Kit::new(plugin));
    let report = run(stage, |_| true).await;
    println!("{report}");
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.count(Status::Skipped), 0, "{report}");
    let passed = report.count(Status::Passed);
    assert!(passed >= at_least, "only {passed} cases passed\n{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_through_opendal_and_back() {
    judged("memory", 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_through_opendal_and_back() {
    judged("local", 100).await;
}
