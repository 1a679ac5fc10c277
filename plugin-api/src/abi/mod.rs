//! The wire format: tables, their codecs and the rules for both sides.
//!
//! A plugin is reached through plain `repr(C)` tables of function pointers, so that it can be built
//! by another compiler, with another allocator, or in C. Rules, each with the test that holds it:
//!
//! | rule | | held by |
//! | --- | --- | --- |
//! | R1 | Tables grow at their end only, `size` first. A reader copies `min(size, its own)` bytes into zeroes and uses its copy; fields beyond `size` are absent. Items of an array that states their size (`FfiEntry`, `FfiDeleteResult`, `FfiCause`) grow the same way; every other struct without `size` never changes, and none that grows lies inside another. | `golden`, `grow::tests`, `tests/abi` |
//! | R2 | Fields of a result past its first version own nothing, or are owned by `owner`: an older host never frees them. | review at the freeze, `golden` |
//! | R3 | Who allocates frees: every owned thing carries its release function, called exactly once. | `tests/boundary.rs` |
//! | R4 | No `String`, `Vec`, `Box`, `Result`, `dyn` crosses. Texts are (pointer, length) in UTF-8; null is absent. Erased words are pointers, never integers. | `golden` |
//! | R5 | Arguments, and all that they point to, live until the operation is ready or dropped; `OpenArgs::config` only until `start` returns. | `tests/boundary.rs` |
//! | R6 | Answers and errors are copied by the receiver at once, then released. | `tests/boundary.rs` |
//! | R7 | An operation is started in storage of 512 bytes that does not move, and polled once at once. Null `boxed` means "in the storage". It is dropped once, through its `drop`, unless `start` was final. | `tests/boundary.rs` |
//! | R8 | The body of an upload and the payload of a vendor's call are moved at `start`, whatever `start` returns; only an argument table that cannot be read (R1) moves nothing. | `tests/boundary.rs` |
//! | R9 | A borrowed waker is valid for one call; a clone is owned and may be used from any thread. | `tests/boundary.rs` |
//! | R10 | Every exported function runs inside the panic guard: call, poll, drop, release. No unwinding crosses. | `tests/boundary.rs` |
//! | R11 | A stream may move between calls and is used by one thread at a time. | by type: `Body` is `Send`, takes `&mut` |
//! | R12 | A backend outlives its operations; its `drop` is called once, after the last. | host: `Instance` is held by every future and body |
//! | R13 | Host services live as long as the process. A plugin is never unmapped. | host: services are leaked with the mapping |
//! | R14 | The operations of a backend are those of `PluginTable::ops`, checked before the first `open`. | host: handshake tests |
//! | R15 | `FfiCall` lives as long as its operation; `cancelled` is read atomically. | `tests/boundary.rs` |
//! | R16 | A plugin whose descriptor says `blocking` may block in every function but a release: the host calls it from its pool, never from a caller's thread, and the streams that it gives never answer `PENDING`, they block. | host: `tests/e2e`, the plugin in C |
//! | R17 | `extension` is null or a chain of `FfiExtension`: unknown kinds are skipped, at most 64 links are read, a link lives as long as the table that carries it. | `extension::tests`, `tests/boundary.rs` |
//! | R18 | `get_extension` of plugin and host answers a table by its name, or null; always the same; it never blocks. | `tests/boundary.rs`, host: `tests/e2e` |
//! | R19 | Bits of a minor above the effective one mean nothing: a plugin does not set them in `OpenOut`, a host does not read them. | host: `tests/e2e`, `scripts/evolution` |
//! | R20 | Memory that is lent for ranges is written until the reader's `drop` has returned, and not after it. | host: kit, `tests/e2e` |
//! | R21 | `StreamTable::poll_into` writes into its memory during the call only. What `file` lends is open, unmoved and unchanged until the stream is dropped; `file` never blocks, and its receiver neither closes the descriptor nor moves its position. | kit, `tests/fixtures/broken` |

pub mod answer;
pub(crate) mod bytes;
mod error;
pub mod extension;
#[cfg(unix)]
pub(crate) mod file;
pub mod grow;
#[cfg(feature = "layout-check")]
pub mod layout;
pub mod list;
pub mod parts;
pub mod ranges;
pub mod request;
pub mod stream;
pub mod tables;
pub mod text;
pub mod versions;
pub mod waker;

pub use error::{flatten, unflatten};
pub use list::{DRAFT, FINGERPRINTS, FROZEN_MINOR, MIN_HOST_MINOR, VERSION, Version};

/// Alignment of the caller's storage for an operation, in bytes.
pub const STORAGE_ALIGN: usize = 16;

/// Bit of `HostServices::flags`: the plugin is linked into the program and shares its globals.
pub const LINKED_IN: u64 = 1;
