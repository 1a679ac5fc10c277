//! Listings in byte order over a store with real directories (WebDAV, SFTP, FTP, ...).
//!
//! The contract lists by string prefix, in byte order of whole keys, page by page, while such a
//! store answers one folder at a time, in any order, and all of it at once. A plugin says how a
//! folder is read ([`Folders`]); [`page`] does the rest, and keeps at most one page of names of each
//! folder on the way down, however large the folders are.
//!
//! What it costs: each page reads the folders that it enters, and a group (a common prefix) reads
//! down to the first object in it, because an empty folder is no group.
#![forbid(unsafe_code)]

mod bound;
mod disjoint;
mod folder_names;
mod page;

pub use disjoint::disjoint_folders;
pub use folder_names::{FolderNames, Item};
pub use page::{Folders, page};
