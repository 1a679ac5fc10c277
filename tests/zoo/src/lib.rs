//! Libraries that are broken in one way each.
//!
//! For tests of the host: every stable code has at least one fixture here, and a test fails when one
//! has none. All of them are one good plugin, written in C and built by `gcc`, with a change: of its
//! bytes where that will do, else of a line of its source. Its constructor leaves a file behind, so
//! that a test sees whether anything of it ran.
//!
//! ```no_run
//! # let folder = std::path::Path::new("/tmp/zoo");
//! let good = holdall_zoo::Good::build(folder);
//! for fixture in holdall_zoo::all() {
//!     let path = fixture.build(&good, folder);
//!     println!("{}: {:?}", path.display(), fixture.codes);
//! }
//! ```

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "for tests: what fails here fails the test"
)]

mod facts;
mod fixture;
mod foreign;
mod good;
mod image;
mod inspected;
mod loaded;

pub use facts::Facts;
pub use fixture::{Fixture, all};
pub use foreign::{ElfShape, MachO, elf, mach_o, pe};
pub use good::Good;
pub use image::Image;
