//! Every case of the kit, on the Rust type.

use holdall_conformance::{Claims, Harness, conformance_tests, rust_stage};
use holdall_plugin_memory::{Memory, MemoryConfig, PLUGIN};

struct InMemory {
    versions: bool,
}

impl Harness for InMemory {
    type Config = MemoryConfig;

    fn config(&self, _store: u32) -> MemoryConfig {
        MemoryConfig {
            versions: self.versions,
            ..MemoryConfig::default()
        }
    }
}

conformance_tests!(rust_stage::<Memory>(
    Claims::of(&PLUGIN),
    InMemory { versions: false }
));

/// The same cases in a store that keeps versions.
mod with_versions {
    use super::*;

    conformance_tests!(rust_stage::<Memory>(
        Claims::of(&PLUGIN),
        InMemory { versions: true }
    ));
}
