//! Every case of the kit, on the adapter over OpenDAL's own store in memory: once as the flat store
//! that it is, once treated as a store with folders.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_conformance::{Claims, Harness, Stage, run, rust_stage};
use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{Capabilities, Host, Operations, Result};
use holdall_plugin_api_opendal::{Adapter, OpenOperator, OpenedOperator, from_config};
use opendal_core::{Operator, services::Memory};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Config {
    folders: bool,
}

struct InMemory;

impl OpenOperator for InMemory {
    type Config = Config;

    async fn open(config: Config, _: &Host) -> Result<OpenedOperator> {
        let operator = Operator::new(Memory::default()).map_err(from_config)?;
        let asserts = Capabilities::atomic_put
            .with(Capabilities::create_only)
            .with(Capabilities::case_sensitive)
            .with(Capabilities::unicode_exact);
        Ok(match config.folders {
            true => OpenedOperator::new(operator, "memory as folders").asserts(asserts),
            false => OpenedOperator::new(operator, "memory")
                .asserts(asserts.with(Capabilities::key_and_prefix)),
        })
    }
}

struct Kit {
    folders: bool,
}

impl Harness for Kit {
    type Config = Config;

    fn config(&self, _store: u32) -> Config {
        Config {
            folders: self.folders,
        }
    }
}

fn stage(folders: bool) -> Arc<dyn Stage> {
    let claims = Claims {
        plugin: "opendal-memory".to_owned(),
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
    rust_stage::<Adapter<InMemory>>(claims, Kit { folders })
}

mod flat {
    holdall_conformance::conformance_tests!(super::stage(false));
}

/// The same keys under a walk: what a listing shows must not depend on the way.
#[tokio::test]
async fn a_walk_lists_the_same() {
    let report = run(stage(true), |case| "IJ".contains(case.group())).await;
    assert!(report.is_ok(), "{report}");
}
