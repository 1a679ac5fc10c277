//! The host's copy of a plugin's tables, in read-only memory.

#[cfg_attr(unix, path = "sealed_tables/unix.rs")]
#[cfg_attr(windows, path = "sealed_tables/windows.rs")]
mod system;

use super::handshake::Checked;
use super::load_fault;
use crate::plugin::fault::{Code, Fault};
use std::io;

/// Less than any page, so that a copy has pages of its own by being mapped.
const ROOM: usize = 4096;

const _: () = assert!(size_of::<Checked>() <= ROOM && align_of::<Checked>() <= ROOM);

/// Puts the tables where a stray write, of the plugin or of anybody else in the process, ends the
/// writer and not the tables. They live as long as the process, as the plugin's code does.
pub(super) fn read_only(tables: Checked) -> Result<&'static Checked, Box<Fault>> {
    if cfg!(miri) {
        // Miri has no pages that are read only.
        return Ok(Box::leak(Box::new(tables)));
    }
    let refused = |cause: io::Error| {
        let expected = "a page of memory for the plugin's tables";
        Box::new(load_fault(Code::MapFailed, expected, cause.to_string()))
    };
    let page = system::page(ROOM).map_err(refused)?;
    let copy = page.cast::<Checked>();
    // SAFETY: writable, aligned to a page, and large enough by the assertion above.
    unsafe { copy.write(tables) };
    // SAFETY: the whole mapping, of which nothing but `copy` is in use.
    unsafe { system::seal(page, ROOM) }.map_err(refused)?;
    // SAFETY: written above, never unmapped, and never written again.
    Ok(unsafe { copy.as_ref() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::Operations;
    use holdall_plugin_api::abi::grow;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    const CHILD: &str = "HOLDALL_TEST_FROZEN_PAGE";
    const SIGSEGV: i32 = 11;

    fn tables() -> &'static Checked {
        let tables = Checked {
            table: grow::empty(),
            ops: grow::empty(),
            operations: Operations::REQUIRED,
            unclaimed: Operations::EMPTY,
        };
        read_only(tables).unwrap()
    }

    /// Runs only as a child of the test below.
    #[test]
    fn child() {
        let Ok(task) = std::env::var(CHILD) else {
            return;
        };
        let slot = (&raw const tables().ops.start_exists).cast_mut();
        if task == "write" {
            // SAFETY: none: this is what must not succeed.
            unsafe { slot.write_volatile(None) };
        }
    }

    fn child_that(task: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "plugin::load::sealed_tables::tests::child"])
            .env(CHILD, task)
            .output()
            .unwrap()
            .status
    }

    #[test]
    fn the_copy_can_be_read_and_a_write_ends_the_writer() {
        let tables = tables();
        assert_eq!(tables.operations, Operations::REQUIRED);
        assert_eq!(tables.ops.size, size_of_val(&tables.ops));
        assert_eq!(child_that("read").code(), Some(0));
        assert_eq!(child_that("write").signal(), Some(SIGSEGV));
    }
}
