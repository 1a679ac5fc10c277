//! What a descriptor says, to be changed before it is written.

use holdall_plugin_api::abi::{DRAFT, FINGERPRINTS, MIN_HOST_MINOR, VERSION};
use holdall_plugin_api::descriptor::{self, Descriptor, Flags};
use holdall_plugin_api::{Capabilities, Operations};
use serde_json::{Value, json};

/// The content of a `.holdall` section.
#[derive(Clone, Debug)]
pub struct Facts {
    /// First bytes.
    pub magic: [u8; 8],
    /// Version of the descriptor's own layout.
    pub descriptor_version: u16,
    /// ABI major.
    pub abi_major: u16,
    /// ABI minor.
    pub abi_minor: u16,
    /// Lowest minor of a host.
    pub min_host_minor: u16,
    /// Facts of the build.
    pub flags: u32,
    /// Slots that the plugin says it fills.
    pub operations: Operations,
    /// What it claims.
    pub capabilities: Capabilities,
    /// One for each table.
    pub fingerprints: Vec<[u64; 2]>,
    /// The JSON part.
    pub about: Value,
    /// Written instead of the length of the JSON.
    pub json_len: Option<u64>,
}

impl Facts {
    /// Those of a plugin in C that loads here: the required operations and `head`.
    pub fn good(name: &str) -> Self {
        Self {
            magic: descriptor::MAGIC,
            descriptor_version: descriptor::VERSION,
            abi_major: VERSION.major,
            abi_minor: VERSION.minor,
            min_host_minor: MIN_HOST_MINOR,
            flags: if DRAFT { Flags::DRAFT } else { 0 },
            operations: Operations::REQUIRED.with(Operations::head),
            capabilities: Capabilities::atomic_put,
            fingerprints: FINGERPRINTS.to_vec(),
            about: json!({
                "name": name,
                "version": "1.2.3",
                "schemes": [name],
                "entry": Descriptor::expected_entry(name),
                "summary": "A plugin of the zoo",
                "license": "MIT OR Apache-2.0",
                "target": "x86_64-unknown-linux-gnu",
                "config_schema": { "type": "object", "additionalProperties": false },
            }),
            json_len: None,
        }
    }

    /// The bytes, without padding.
    pub fn bytes(&self) -> Vec<u8> {
        let json = self.about.to_string();
        let mut out = Vec::from(self.magic);
        for half in [
            self.descriptor_version,
            self.abi_major,
            self.abi_minor,
            self.min_host_minor,
        ] {
            out.extend(half.to_le_bytes());
        }
        out.extend(self.flags.to_le_bytes());
        out.extend((self.fingerprints.len() as u32).to_le_bytes());
        out.extend(self.operations.bits().to_le_bytes());
        out.extend(self.capabilities.bits().to_le_bytes());
        out.extend(self.json_len.unwrap_or(json.len() as u64).to_le_bytes());
        out.resize(descriptor::HEADER_BYTES, 0);
        for [low, high] in &self.fingerprints {
            out.extend(low.to_le_bytes());
            out.extend(high.to_le_bytes());
        }
        out.extend(json.as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_facts_are_read_back() {
        let read = Descriptor::parse(&Facts::good("good").bytes()).unwrap();
        assert_eq!(read.about.name, "good");
        assert_eq!(read.operations, Operations::REQUIRED.with(Operations::head));
        assert_eq!(read.fingerprints, FINGERPRINTS);
    }
}
