//! Owner and mode of a file.

use super::Broken;
use crate::platform::users::is_trusted_owner;
use rustix::fs::fstat;
use std::fs::File;
use std::io;

const WORLD_WRITE: u32 = 0o002;
const WORLD_READ: u32 = 0o004;
const GROUP_WRITE: u32 = 0o020;

/// # Errors
///
/// What the operating system says.
pub(super) fn broken(file: &File) -> io::Result<Broken> {
    let stat = fstat(file)?;
    let mode = stat.st_mode;
    let found = || format!("owner {}, mode {:04o}", stat.st_uid, mode & 0o7777);
    let set = |bit: u32| (mode & bit != 0).then(found);
    Ok(Broken {
        owner: (!is_trusted_owner(stat.st_uid)).then(found),
        world_writable: set(WORLD_WRITE),
        group_writable: set(GROUP_WRITE),
        world_readable: set(WORLD_READ),
    })
}
