//! The store on disk, without anything of Holdall: keys, bytes, files.
//!
//! Everything here blocks and knows no runtime. Layout of a root, all on one file system:
//!
//! | | |
//! | --- | --- |
//! | `objects/<key>` | plain bytes, readable for any tool; metadata in the attribute `user.holdall` |
//! | `staging/<id>/`, `staging/<id>.lock` | what each opened store is writing, and the lock that shows that it lives |
//! | `locks/<nnn>` | locks on keys, for conditional writes |
//! | `sidecars/` | metadata, only where the file system has no extended attributes |
//!
//! Reading order: [`store`] opens a root, [`tree`] confines paths, [`mod@write`] publishes, [`read`],
//! [`list`] and [`change`] do the rest; [`stamp`] and [`record`] say what is kept about an object.

pub(crate) mod change;
pub(crate) mod fault;
pub(crate) mod list;
pub(crate) mod lock;
mod names;
pub(crate) mod probe;
pub(crate) mod read;
pub(crate) mod record;
mod sidecar;
pub(crate) mod staging;
pub(crate) mod stamp;
pub(crate) mod store;
mod tree;
pub(crate) mod write;

#[cfg(test)]
mod tests;
