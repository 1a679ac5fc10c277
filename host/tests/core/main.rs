//! The core of the host, driven through plugins that are linked in: registry, factory, handles,
//! and what each operation checks on its way.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be; clippy sees that in test functions only"
)]

mod labelled;
mod plugin;

mod bounds;
mod composed;
mod downloads;
mod etags;
mod few;
mod generations;
mod listing;
mod metrics;
mod opening;
mod ranges;
mod reconfigure;
mod registry;
mod reported;
mod reregistration;
mod signing;
mod status;
mod stuck;
mod uploads;

use holdall::config::Config;
use holdall::{Backend, Host, Registration};
use plugin::Switches;
use serde_json::{Value, json};
use std::sync::Arc;

/// A host that knows the three plugins and has no backend.
fn host() -> Host {
    Host::builder()
        .built_in(&plugin::probe::PLUGIN)
        .built_in(&plugin::bare::PLUGIN)
        .built_in(&plugin::least::PLUGIN)
        .config(Config::default())
        .build()
        .expect("the host builds")
}

fn probe(switches: &Switches) -> Registration {
    Registration::new("probe").config(json!({ "id": switches.id }))
}

fn with(plugin: &str, switches: &Switches, more: Value) -> Registration {
    let mut config = json!({ "id": switches.id });
    for (name, value) in more.as_object().expect("an object") {
        config[name] = value.clone();
    }
    Registration::new(plugin).config(config)
}

/// A host with one backend, `store`, of the plugin that can do everything.
async fn store() -> (Host, Backend, Arc<Switches>) {
    let (host, switches) = (host(), Switches::new());
    host.register("store", probe(&switches)).expect("registers");
    let backend = host.backend("store").await.expect("opens");
    (host, backend, switches)
}

/// As [`store`], of the plugin that has no optional operation but `list`.
async fn bare(more: Value) -> (Host, Backend, Arc<Switches>) {
    let (host, switches) = (host(), Switches::new());
    let registration = with("bare", &switches, more);
    host.register("store", registration).expect("registers");
    let backend = host.backend("store").await.expect("opens");
    (host, backend, switches)
}
