//! Files of this machine that `get` makes: confined to their folder, whole or not at all.

#[cfg_attr(unix, path = "directory/unix.rs")]
#[cfg_attr(windows, path = "directory/windows.rs")]
mod directory;
mod folder;
mod part;
mod store;

pub(crate) use folder::{Folder, Spot};
pub(crate) use part::{Mark, Part, exists};
pub(crate) use store::StoreDirectory;
