//! Every case of the kit, on the Rust type.

use holdall_conformance::{Claims, Harness, conformance_tests};
use holdall_plugin_memory::{Memory, MemoryConfig, PLUGIN};

struct InMemory;

impl Harness for InMemory {
    type Backend = Memory;

    fn claims(&self) -> Claims {
        Claims::of(&PLUGIN)
    }

    fn config(&self, _store: u32) -> MemoryConfig {
        MemoryConfig::default()
    }
}

conformance_tests!(InMemory.stage());
