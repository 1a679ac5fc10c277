//! What a plugin says of itself before it runs: the bytes of its `.holdall` section.
//!
//! Plain little-endian bytes without relocations, so that a reader needs no loader:
//!
//! ```text
//! offset size
//!      0    8  magic  "HOLDALL\0"
//!      8    2  descriptor version, 1
//!     10    2  ABI major
//!     12    2  ABI minor
//!     14    2  lowest minor of a host that the plugin works with
//!     16    4  flags, see `Flags`
//!     20    4  number of fingerprints
//!     24    8  operations, a bitmap
//!     32    8  capabilities, a bitmap
//!     40    8  length of the JSON, in bytes
//!     48    4  most operations in flight at once, 0 for any number
//!     52   76  reserved, zero
//!    128   16  each fingerprint: every table of minor 0, then every table of minor 1, ...
//!      .    .  JSON: name, version, schemes, entry, summary, license, authors, homepage, rustc,
//!              target, config_schema
//! ```
//!
//! Anything but zero bytes after that means that two plugins were linked into one library.

pub mod json;

use serde::Deserialize;
use std::fmt;

use crate::abi;
use crate::{Capabilities, Operations};

/// Name of the section on ELF and PE.
pub const SECTION: &str = ".holdall";
/// Name of the section on Mach-O, in segment `__DATA`.
pub const SECTION_MACH_O: &str = "__holdall";
/// First bytes of a descriptor.
pub const MAGIC: [u8; 8] = *b"HOLDALL\0";
/// Version of this layout.
pub const VERSION: u16 = 1;
/// Bytes before the fingerprints.
pub const HEADER_BYTES: usize = 128;
/// Prefix of every entry symbol; the plugin's name follows.
pub const ENTRY_PREFIX: &str = "holdall_plugin_v1_";
/// More JSON than this is a fault.
pub const MAX_JSON_BYTES: u64 = 1 << 20;

/// Facts of the build, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// The ABI is not frozen yet: host and plugin must have equal fingerprints.
    pub const DRAFT: u32 = 1;
    /// Panics unwind, so that the plugin's guard can catch them.
    pub const PANIC_UNWIND: u32 = 2;
    /// Calls may block; the host uses its pool.
    pub const BLOCKING: u32 = 4;
    /// Owns a tokio runtime, entered at each poll.
    pub const RUNTIME_TOKIO: u32 = 8;
    /// Owns a tokio runtime, operations are spawned there.
    pub const RUNTIME_TOKIO_SPAWN: u32 = 16;
    /// Written in Rust: carries a layout description of its tables.
    pub const RUST: u32 = 32;
    /// The newest minor that the plugin speaks is a draft: a host with the same tables speaks it too, every other one
    /// the minor before it.
    pub const DRAFT_MINOR: u32 = 64;

    /// Whether this bit is set.
    pub const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// The names of the set bits.
    pub fn names(self) -> Vec<&'static str> {
        [
            (Self::DRAFT, "draft"),
            (Self::PANIC_UNWIND, "panic_unwind"),
            (Self::BLOCKING, "blocking"),
            (Self::RUNTIME_TOKIO, "runtime_tokio"),
            (Self::RUNTIME_TOKIO_SPAWN, "runtime_tokio_spawn"),
            (Self::RUST, "rust"),
            (Self::DRAFT_MINOR, "draft_minor"),
        ]
        .into_iter()
        .filter_map(|(bit, name)| self.has(bit).then_some(name))
        .collect()
    }
}

/// Whether a name is `[a-z0-9][a-z0-9-]{0,62}`.
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > 63 || bytes[0] == b'-' {
        return false;
    }
    let mut index = 0;
    while index < bytes.len() {
        if !matches!(bytes[index], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        index += 1;
    }
    true
}

/// A descriptor that could be read. Whether it may be *loaded* is for the host to judge.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Descriptor {
    /// ABI major.
    pub abi_major: u16,
    /// ABI minor.
    pub abi_minor: u16,
    /// Lowest minor of a host.
    pub min_host_minor: u16,
    /// Facts of the build.
    pub flags: Flags,
    /// Slots that the plugin fills.
    pub operations: Operations,
    /// The most that an instance may claim.
    pub capabilities: Capabilities,
    /// The most operations of the plugin that may be in flight at once; 0 for any number.
    ///
    /// An operation is in flight from its start to its answer, the opening and the end of an
    /// instance too; a download until its body has been read to its end or dropped. So 1 means that
    /// no two threads are ever inside the plugin at once, but for the `release` functions: what a
    /// library needs that is not thread-safe. The host waits, or refuses, in the plugin's place.
    pub max_in_flight: u32,
    /// Fingerprints of the tables, minor 0 first.
    pub fingerprints: Vec<[u64; 2]>,
    /// The rest.
    pub about: About,
    /// The exact bytes: header, fingerprints and JSON, without padding.
    pub bytes: Vec<u8>,
}

/// The JSON part.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct About {
    /// `[a-z0-9][a-z0-9-]{0,62}`.
    pub name: String,
    /// Semantic version of the plugin.
    pub version: String,
    /// URI schemes that it serves.
    pub schemes: Vec<String>,
    /// The exported symbol.
    pub entry: String,
    /// One line for people.
    #[serde(default)]
    pub summary: String,
    /// SPDX expression.
    #[serde(default)]
    pub license: String,
    /// Who wrote it.
    #[serde(default)]
    pub authors: Vec<String>,
    /// Where to read more.
    #[serde(default)]
    pub homepage: String,
    /// Compiler, as it names itself.
    #[serde(default)]
    pub rustc: String,
    /// Target triple.
    #[serde(default)]
    pub target: String,
    /// JSON Schema of the configuration; `true` accepts anything.
    #[serde(default = "anything")]
    pub config_schema: serde_json::Value,
}

fn anything() -> serde_json::Value {
    serde_json::Value::Bool(true)
}

/// Why bytes are not a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorFault {
    /// Shorter than its own lengths say.
    Short {
        /// Bytes that were needed.
        needed: u64,
        /// Bytes that were there.
        found: u64,
    },
    /// The magic is not ours.
    Magic {
        /// What stands there.
        found: [u8; 8],
    },
    /// A layout that this reader does not know.
    Version {
        /// The version in the file.
        found: u16,
    },
    /// The JSON is longer than [`MAX_JSON_BYTES`].
    JsonTooLong {
        /// Its stated length.
        found: u64,
    },
    /// The JSON does not parse or lacks a field.
    Json {
        /// What the parser says.
        problem: String,
    },
    /// Something follows: another plugin was linked into this library.
    Duplicate {
        /// Offset in the section.
        offset: u64,
    },
}

impl fmt::Display for DescriptorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { needed, found } => write!(f, "{needed} bytes needed, {found} found"),
            Self::Magic { found } => {
                write!(
                    f,
                    "magic {:?} expected, {:?} found",
                    MAGIC.escape_ascii().to_string(),
                    found.escape_ascii().to_string()
                )
            }
            Self::Version { found } => {
                write!(f, "descriptor version {VERSION} expected, {found} found")
            }
            Self::JsonTooLong { found } => write!(
                f,
                "at most {MAX_JSON_BYTES} bytes of JSON expected, {found} found"
            ),
            Self::Json { problem } => write!(f, "JSON part: {problem}"),
            Self::Duplicate { offset } => write!(
                f,
                "one descriptor expected, more bytes found at offset {offset}"
            ),
        }
    }
}

impl std::error::Error for DescriptorFault {}

impl Descriptor {
    /// Reads the content of a section. Allocates no more than its length, never panics.
    ///
    /// # Errors
    ///
    /// The first fault that makes the rest unreadable, or every fault of what could be read.
    pub fn parse(section: &[u8]) -> Result<Descriptor, Vec<DescriptorFault>> {
        let found = section.len() as u64;
        let short = |needed: u64| vec![DescriptorFault::Short { needed, found }];
        let Some(magic) = section.first_chunk::<8>() else {
            return Err(short(HEADER_BYTES as u64));
        };
        if *magic != MAGIC {
            return Err(vec![DescriptorFault::Magic { found: *magic }]);
        }
        let Some(header) = section.first_chunk::<HEADER_BYTES>() else {
            return Err(short(HEADER_BYTES as u64));
        };
        let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;

        if u16_at(8) != VERSION {
            return Err(vec![DescriptorFault::Version { found: u16_at(8) }]);
        }
        let fingerprint_bytes = u64::from(u32_at(20)) * 16;
        let json_bytes = u64_at(40);
        if json_bytes > MAX_JSON_BYTES {
            return Err(vec![DescriptorFault::JsonTooLong { found: json_bytes }]);
        }
        let json_start = HEADER_BYTES as u64 + fingerprint_bytes;
        let end = json_start + json_bytes;
        if end > found {
            return Err(short(end));
        }
        // Both fit in memory: they are at most the length of a slice.
        let (json_start, end) = (json_start as usize, end as usize);

        let mut faults = Vec::new();
        if let Some(offset) = section[end..].iter().position(|byte| *byte != 0) {
            faults.push(DescriptorFault::Duplicate {
                offset: (end + offset) as u64,
            });
        }
        let about = match serde_json::from_slice::<About>(&section[json_start..end]) {
            Ok(about) => Some(about),
            Err(problem) => {
                faults.push(DescriptorFault::Json {
                    problem: problem.to_string(),
                });
                None
            }
        };
        match about {
            Some(about) if faults.is_empty() => Ok(Descriptor {
                abi_major: u16_at(10),
                abi_minor: u16_at(12),
                min_host_minor: u16_at(14),
                flags: Flags(u32_at(16)),
                operations: Operations::from_bits(u64_at(24)),
                capabilities: Capabilities::from_words([u64_at(32), u64_at(56)]),
                max_in_flight: u32_at(48),
                fingerprints: section[HEADER_BYTES..json_start]
                    .as_chunks::<16>()
                    .0
                    .iter()
                    .map(|pair| {
                        let number = u128::from_le_bytes(*pair);
                        [number as u64, (number >> 64) as u64]
                    })
                    .collect(),
                about,
                bytes: section[..end].to_vec(),
            }),
            _ => Err(faults),
        }
    }

    /// The symbol that a plugin of this name exports.
    pub fn expected_entry(name: &str) -> String {
        format!("{ENTRY_PREFIX}{name}")
    }
}

/// What [`write()`] puts into the fixed header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Facts of the build.
    pub flags: u32,
    /// Slots that are filled.
    pub operations: Operations,
    /// The most that an instance may claim.
    pub capabilities: Capabilities,
    /// The most operations in flight at once; 0 for any number.
    pub max_in_flight: u32,
}

/// Length of a descriptor of this ABI with that much JSON.
pub const fn written_len(json: usize) -> usize {
    HEADER_BYTES + abi::FINGERPRINTS.len() * 16 + json
}

/// Makes a descriptor of this ABI at compile time. `N` is [`written_len`].
pub const fn write<const N: usize>(header: Header, json: &[u8]) -> [u8; N] {
    assert!(N == written_len(json.len()), "N is written_len(json.len())");
    let mut out = [0u8; N];
    put(&mut out, 0, &MAGIC);
    put(&mut out, 8, &VERSION.to_le_bytes());
    put(&mut out, 10, &abi::VERSION.major.to_le_bytes());
    put(&mut out, 12, &abi::VERSION.minor.to_le_bytes());
    put(&mut out, 14, &abi::MIN_HOST_MINOR.to_le_bytes());
    let draft = if abi::DRAFT { Flags::DRAFT_MINOR } else { 0 };
    put(&mut out, 16, &(header.flags | draft).to_le_bytes());
    put(
        &mut out,
        20,
        &(abi::FINGERPRINTS.len() as u32).to_le_bytes(),
    );
    put(&mut out, 24, &header.operations.bits().to_le_bytes());
    let [first, second] = header.capabilities.words();
    put(&mut out, 32, &first.to_le_bytes());
    put(&mut out, 56, &second.to_le_bytes());
    put(&mut out, 40, &(json.len() as u64).to_le_bytes());
    put(&mut out, 48, &header.max_in_flight.to_le_bytes());
    let mut index = 0;
    while index < abi::FINGERPRINTS.len() {
        let at = HEADER_BYTES + index * 16;
        put(&mut out, at, &abi::FINGERPRINTS[index][0].to_le_bytes());
        put(&mut out, at + 8, &abi::FINGERPRINTS[index][1].to_le_bytes());
        index += 1;
    }
    put(&mut out, HEADER_BYTES + abi::FINGERPRINTS.len() * 16, json);
    out
}

const fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let mut index = 0;
    while index < bytes.len() {
        out[at + index] = bytes[index];
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECES: &[json::Piece] = &[
        json::Piece::Raw(
            r#"{"name":"m","version":"1.0.0","schemes":["m"],"entry":"e","summary":""#,
        ),
        json::Piece::Text("says \"hi\"\n\\ é"),
        json::Piece::Raw(r#"","authors":["#),
        json::Piece::Authors("A <a@x>:B"),
        json::Piece::Raw("]}"),
    ];
    const JSON: [u8; json::len(PIECES)] = json::text(PIECES);
    const WRITTEN: [u8; written_len(JSON.len())] = write(
        Header {
            flags: Flags::PANIC_UNWIND,
            operations: Operations::REQUIRED,
            capabilities: Capabilities::suffix,
            max_in_flight: 7,
        },
        &JSON,
    );

    #[test]
    fn what_is_written_is_read() {
        let mut padded = WRITTEN.to_vec();
        padded.extend([0; 7]);
        let read = Descriptor::parse(&padded).unwrap();
        assert_eq!(read.about.summary, "says \"hi\"\n\\ é");
        assert_eq!(read.about.authors, ["A <a@x>", "B"]);
        assert_eq!(read.about.entry, "e");
        assert_eq!(read.about.config_schema, serde_json::Value::Bool(true));
        assert_eq!(read.operations, Operations::REQUIRED);
        assert_eq!(read.capabilities, Capabilities::suffix);
        assert_eq!(read.max_in_flight, 7);
        assert_eq!(read.fingerprints, abi::FINGERPRINTS);
        assert!(read.flags.has(Flags::PANIC_UNWIND));
        assert_eq!(read.flags.has(Flags::DRAFT_MINOR), abi::DRAFT);
        assert_eq!(read.bytes, WRITTEN);
    }

    #[test]
    fn every_cut_is_a_fault_and_never_a_panic() {
        for len in 0..WRITTEN.len() {
            assert!(Descriptor::parse(&WRITTEN[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn two_descriptors_in_a_row_are_a_fault() {
        let twice = [WRITTEN, WRITTEN].concat();
        assert_eq!(
            Descriptor::parse(&twice),
            Err(vec![DescriptorFault::Duplicate {
                offset: WRITTEN.len() as u64
            }])
        );
    }

    #[test]
    fn lengths_that_overflow_are_faults() {
        let mut bytes = WRITTEN.to_vec();
        bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            Descriptor::parse(&bytes).unwrap_err()[..],
            [DescriptorFault::Short { .. }]
        ));
        let mut bytes = WRITTEN.to_vec();
        bytes[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(
            Descriptor::parse(&bytes),
            Err(vec![DescriptorFault::JsonTooLong { found: u64::MAX }])
        );
    }
}
