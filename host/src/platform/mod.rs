//! What differs by platform, or needs unsafe code outside the loader.
//!
//! Each concern is one module: a file that every platform shares, or a `unix.rs` beside a `windows.rs` with the
//! same functions.

#[cfg(windows)]
pub(crate) mod access;
#[cfg(unix)]
pub(crate) mod cached_read;
#[cfg(unix)]
pub(crate) mod crash;
pub(crate) mod crumbs;
pub mod exit;
#[cfg_attr(unix, path = "file_facts/unix.rs")]
#[cfg_attr(windows, path = "file_facts/windows.rs")]
pub(crate) mod file_facts;
#[cfg_attr(unix, path = "files/unix.rs")]
#[cfg_attr(windows, path = "files/windows.rs")]
pub(crate) mod files;
#[cfg(windows)]
pub(crate) mod job;
#[cfg(windows)]
pub(crate) mod libraries;
#[cfg_attr(unix, path = "limits/unix.rs")]
#[cfg_attr(windows, path = "limits/windows.rs")]
pub mod limits;
#[cfg_attr(unix, path = "private_directory/unix.rs")]
#[cfg_attr(windows, path = "private_directory/windows.rs")]
pub(crate) mod private_directory;
#[cfg_attr(unix, path = "privileges/unix.rs")]
#[cfg_attr(windows, path = "privileges/windows.rs")]
pub mod privileges;
#[cfg_attr(unix, path = "process/unix.rs")]
#[cfg_attr(windows, path = "process/windows.rs")]
pub(crate) mod process;
#[cfg_attr(unix, path = "random/unix.rs")]
#[cfg_attr(windows, path = "random/windows.rs")]
pub(crate) mod random;
#[cfg_attr(unix, path = "signals/unix.rs")]
#[cfg_attr(windows, path = "signals/windows.rs")]
pub mod signals;
#[cfg_attr(unix, path = "standard_output/unix.rs")]
#[cfg_attr(windows, path = "standard_output/windows.rs")]
pub mod standard_output;
#[cfg_attr(unix, path = "users/unix.rs")]
#[cfg_attr(windows, path = "users/windows.rs")]
pub(crate) mod users;
