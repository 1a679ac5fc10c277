//! The kit on the smallest plugin that the adapter makes: `object_store`'s own store in memory.
//!
//! Small parts, so that "large" is cheap; the store's multipart upload is the real one.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_conformance::{Claims, Harness, conformance_tests, rust_stage};
use holdall_plugin_api::{Host, Result};
use holdall_plugin_api_object_store::object_store::memory::InMemory;
use holdall_plugin_api_object_store::{Adapter, OpenStore, OpenedStore};

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// All objects are below it.
    #[serde(default)]
    prefix: String,
}

#[derive(Debug)]
pub struct OfMemory;

impl OpenStore for OfMemory {
    type Config = Config;

    async fn open(config: Config, _: &Host) -> Result<OpenedStore> {
        let store = OpenedStore::new(InMemory::new()).parts(1 << 20, 2);
        Ok(store.prefix(config.prefix).describe("memory"))
    }
}

holdall_plugin_api::export_plugin! {
    backend: Adapter<OfMemory>,
    name: "in-memory",
    schemes: ["in-memory"],
    runtime: tokio_spawn,
    operations: [head, list, copy, delete_many, health, shutdown],
    capabilities: [
        atomic_put,
        create_only,
        if_match_put,
        if_match_get,
        if_none_match_get,
        suffix,
        unknown_length,
        content_type,
        user_metadata,
        header_cache_control,
        header_content_disposition,
        header_content_encoding,
        header_content_language,
        server_copy,
        copy_create_only,
        ordered_list,
        start_after,
        any_delimiter,
        key_and_prefix,
        case_sensitive,
        unicode_exact,
    ],
    config_schema: "tests/in_memory/config.schema.json",
}

struct Below(&'static str);

impl Harness for Below {
    type Config = Config;

    fn config(&self, _: u32) -> Config {
        Config {
            prefix: self.0.to_owned(),
        }
    }
}

mod at_the_root {
    use super::*;
    conformance_tests!(rust_stage::<Adapter<OfMemory>>(
        Claims::of(&PLUGIN),
        Below("")
    ));
}

mod below_a_prefix {
    use super::*;
    conformance_tests!(rust_stage::<Adapter<OfMemory>>(
        Claims::of(&PLUGIN),
        Below("some/where/")
    ));
}
