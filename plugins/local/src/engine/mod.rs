//! The store on disk, independent of Holdall: keys, bytes, files.
//!
//! Everything here blocks; there is no runtime. Layout of a root, all on one file system:
//!
//! | | |
//! | --- | --- |
//! | `objects/<key>` | plain bytes, readable for any tool; metadata in the attribute `user.holdall` |
//! | `staging/<id>/`, `staging/<id>.lock` | unfinished uploads of each opened store, and the lock that it holds while it is open |
//! | `staging/uploads/<id>/` | uploads in parts, for every process |
//! | `locks/<nnn>` | locks on keys, for conditional writes |
//! | `sidecars/` | metadata, only where the file system has no extended attributes |
//!
//! Reading order: [`store`] opens a root, [`current`] opens it again, [`tree`] confines paths, [`mod@write`] publishes, [`read`],
//! [`list`] and [`change`] do the rest; [`uploads`] gathers objects in parts; [`stamp`] and [`metadata_record`] say what is kept about an object.

pub(crate) mod change;
pub(crate) mod current;
pub(crate) mod fault;
pub(crate) mod left_out;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod metadata_record;
mod names;
pub(crate) mod platform;
pub(crate) mod probe;
pub(crate) mod read;
mod sidecar;
mod small_file;
pub(crate) mod staged;
pub(crate) mod staging;
pub(crate) mod stamp;
pub(crate) mod store;
mod tree;
pub(crate) mod uploads;
pub(crate) mod write;

#[cfg(test)]
mod tests;
