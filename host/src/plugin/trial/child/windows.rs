//! What the child asks of the system.

use super::super::said::{Request, Said};
use crate::platform::{job, standard_output};
use std::fs::File;
use std::io;
use std::os::windows::io::AsHandle;
use std::path::PathBuf;
use std::time::Duration;

/// The file that runs.
pub(in crate::plugin::trial) fn this_executable() -> PathBuf {
    // Without a name nothing is started, and the trial says so.
    std::env::current_exe().unwrap_or_default()
}

/// Returns the image, and where answers go; what the plugin prints goes to standard error. The job of the parent
/// ends this process with it.
pub(super) fn begin() -> io::Result<(File, File)> {
    job::show_no_dialogs();
    let image = File::from(io::stdin().as_handle().try_clone_to_owned()?);
    Ok((image, standard_output::keep()?))
}

/// Does nothing: the job holds whatever the plugin starts.
pub(super) fn take_orphans() -> io::Result<()> {
    Ok(())
}

/// Sets the limits of this process. Returns the most memory that it may commit, in bytes.
pub(super) fn limit(request: &Request) -> io::Result<u64> {
    job::limit_this_process(request.memory, Duration::from_secs(request.cpu_secs))?;
    Ok(request.memory)
}

/// Does nothing: the exit code of a process names the exception that ended it.
pub(super) fn report_crashes(_answers: &File) {}

/// The process before the constructors of the plugin have run.
pub(super) struct Before(());

impl Before {
    pub(super) fn now() -> Self {
        Self(())
    }

    /// Always false: Windows makes no copies of processes.
    pub(super) fn is_copy(&self) -> bool {
        false
    }

    /// Says what the constructors have changed: other processes. Threads are not counted, because the loader starts
    /// some of its own, and handles are not looked at.
    pub(super) fn compare(&self, mut say: impl FnMut(Said)) {
        if job::processes_of_this_job() > 1 {
            say(Said::Forked);
        }
    }
}
