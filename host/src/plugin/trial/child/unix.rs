//! What the child asks of the system.

use super::super::said::{Request, Said};
use crate::platform::crash;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, waitpid,
};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Descriptors of the child's own begin here: a plugin that closes the first ones must not silence it.
const OWN: i32 = 200;

/// The file that runs, also when another one has its name by now.
pub(in crate::plugin::trial) fn this_executable() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Ends with the parent from now on. Returns the image, and where answers go; what the plugin prints goes to
/// standard error.
pub(super) fn begin() -> io::Result<(File, File)> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let image = File::from(fcntl_dupfd_cloexec(rustix::stdio::stdin(), OWN)?);
    let answers = File::from(fcntl_dupfd_cloexec(rustix::stdio::stdout(), OWN)?);
    // What the plugin prints.
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((image, answers))
}

/// Orphans of the plugin become children of this process.
pub(super) fn take_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// From now on a fatal signal writes an answer before it ends the process.
pub(super) fn report_crashes(answers: &File) {
    crash::report_to(answers.as_raw_fd());
}

/// Sets the limits of this process. Returns the most address space that it may have, in bytes.
pub(super) fn limit(request: &Request) -> io::Result<u64> {
    // Where memory runs out, the kernel ends this process before the host.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let set = |resource, soft: u64, hard: u64| {
        let limit = Rlimit {
            current: Some(soft),
            maximum: Some(hard),
        };
        setrlimit(resource, limit)
    };
    set(Resource::Core, 0, 0)?;
    // SIGXCPU at the soft limit, SIGKILL a second later.
    set(Resource::Cpu, request.cpu_secs, request.cpu_secs + 1)?;
    let descriptors = request.descriptors.max(OWN.unsigned_abs().into()) + 56;
    set(Resource::Nofile, descriptors, descriptors)?;
    let used = std::fs::read_to_string("/proc/self/statm")?;
    let pages = used.split(' ').next().and_then(|pages| pages.parse().ok());
    let page = rustix::param::page_size() as u64;
    let used: u64 = pages.unwrap_or(0_u64).saturating_mul(page);
    let memory = used.saturating_add(request.memory);
    set(Resource::As, memory, memory)?;
    Ok(memory)
}

/// The process before the constructors of the plugin have run.
pub(super) struct Before {
    process: Pid,
    threads: u64,
    descriptors: Vec<i32>,
}

impl Before {
    pub(super) fn now() -> Self {
        Self {
            process: getpid(),
            threads: threads(),
            descriptors: (0..10).filter(|number| is_open(*number)).collect(),
        }
    }

    /// Whether this process is a copy of that one, which a constructor has made.
    pub(super) fn is_copy(&self) -> bool {
        getpid() != self.process
    }

    /// Says what the constructors have changed.
    pub(super) fn compare(&self, mut say: impl FnMut(Said)) {
        // An error: there is no child.
        if waitpid(None, WaitOptions::NOHANG).is_ok() {
            say(Said::Forked);
        }
        let closed = self.descriptors.iter().filter(|number| !is_open(**number));
        let closed: Vec<i32> = closed.copied().collect();
        if !closed.is_empty() {
            say(Said::Closed(closed));
        }
        match threads().saturating_sub(self.threads) {
            0 => {}
            count => say(Said::Threads(count)),
        }
    }
}

fn threads() -> u64 {
    std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count() as u64)
}

fn is_open(number: i32) -> bool {
    Path::new(&format!("/proc/self/fd/{number}")).is_symlink()
}
