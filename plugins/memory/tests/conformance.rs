//! Every case of the kit, on the Rust type.

use holdall_conformance::{Claims, Harness, conformance_tests, rust_stage};
use holdall_plugin_memory::{Memory, MemoryConfig, PLUGIN};

struct InMemory;

impl Harness for InMemory {
    type Config = MemoryConfig;

    fn config(&self, _store: u32) -> MemoryConfig {
        MemoryConfig::default()
    }
}

conformance_tests!(rust_stage::<Memory>(Claims::of(&PLUGIN), InMemory));
