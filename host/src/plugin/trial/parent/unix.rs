//! The child as a process group, and its streams as files in memory.

use super::super::said::Request;
use super::super::{Trial, TrialRules, VARIABLE};
use super::{Cause, Ended, INTERVAL, Late, QUOTED, read_from};
use crate::plugin::load::Image;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A file in memory, as one of the child's standard streams.
fn stream(label: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(label, MemfdFlags::CLOEXEC)?))
}

/// Runs a child to its end, or to the end of its time.
pub(super) fn wait(
    trial: &Trial,
    rules: &TrialRules,
    image: &Image,
    request: &Request,
) -> io::Result<Ended> {
    // Files, not pipes: nothing waits for a reader, and a process that outlives the child holds
    // nothing up.
    let (mut answers, errors) = (stream("holdall-trial")?, stream("holdall-trial-log")?);
    let mut line = Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    answers.write_all(&line)?;
    let mut command = Command::new(&trial.executable);
    command
        .args(&trial.arguments)
        .env(VARIABLE, "1")
        // glibc fills what is allocated, and what is freed: a plugin that reads either fails in its trial.
        .env("MALLOC_PERTURB_", "165")
        .stdin(image.reader()?)
        .stdout(answers.try_clone()?)
        .stderr(Stdio::from(errors.try_clone()?))
        .process_group(0);
    let started = Instant::now();
    let mut child = command.spawn()?;
    let id = Pid::from_child(&child);
    let mut late = None;
    // Looked at without being reaped, so that its number stays its own until its group is ended.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(id), options)?.is_none() {
        if started.elapsed() >= rules.timeout {
            late = Some(Late::of(id.as_raw_nonzero().get()));
            break;
        }
        std::thread::sleep(INTERVAL);
    }
    // With all that it has started. No such group: nothing is left.
    let _ = kill_process_group(id, Signal::KILL);
    let cpu = Late::of(id.as_raw_nonzero().get()).cpu;
    let status = child.wait()?;
    let text = read_from(&answers, line.len() as u64)?;
    let said = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let size = errors.metadata()?.len();
    Ok(Ended {
        status,
        cpu,
        peak: 0,
        late,
        said: said.collect(),
        errors: read_from(&errors, size.saturating_sub(QUOTED))?,
    })
}

/// Whether it was killed by another process or by the system.
pub(super) fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}

/// What a signal means that the child has reported.
pub(super) fn cause_of_signal(signal: i32) -> Cause {
    match signal {
        libc::SIGXCPU => Cause::Cpu,
        libc::SIGABRT => Cause::Abort,
        signal => Cause::Crash(format!("signal {signal}")),
    }
}

/// What ended the child, when it has reported nothing.
pub(super) fn cause(status: ExitStatus) -> Cause {
    match status.signal() {
        Some(libc::SIGKILL) => Cause::Cpu,
        Some(signal) => cause_of_signal(signal),
        None => Cause::Exit(status.code().unwrap_or_default()),
    }
}

/// Bytes of an address space.
pub(super) fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(rustix::param::page_size() as u64)
}

impl Late {
    fn of(process: i32) -> Self {
        let read = |file| std::fs::read_to_string(format!("/proc/{process}/{file}"));
        let memory = read("statm").unwrap_or_default();
        let pages = memory
            .split(' ')
            .next()
            .and_then(|pages| pages.parse().ok());
        let stat = read("stat").unwrap_or_default();
        Self::read(bytes(pages.unwrap_or(0)), &stat)
    }

    /// Reads `/proc/PID/stat`: `PID (NAME) STATE ...`; the name may hold anything. Its 14th and 15th fields are
    /// times in user and system mode (proc_pid_stat(5)).
    fn read(memory: u64, stat: &str) -> Self {
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<_> = after_name.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let ticks = ticks(11)
            .unwrap_or(0)
            .saturating_add(ticks(12).unwrap_or(0));
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Self {
            memory,
            computes: fields.first() == Some(&"R"),
            cpu: Duration::from_millis(ticks.saturating_mul(1000) / per_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_others_kept_from_the_processor_is_not_judged() {
        let rules = TrialRules {
            timeout: Duration::from_secs(5),
            cpu: Duration::from_secs(4),
            ..TrialRules::default()
        };
        let late = |state: &str, ticks: u64| {
            Late::read(
                0,
                &format!("7 (a) b) {state} 1 1 1 0 -1 4 9 0 0 0 {ticks} {ticks} 0 0"),
            )
        };
        let per_second = rustix::param::clock_ticks_per_second();
        assert_eq!(late("R", per_second).cpu, Duration::from_secs(2));
        assert!(late("R", per_second / 10).is_starved(&rules));
        assert!(
            !late("R", 3 * per_second / 2).is_starved(&rules),
            "it had its share"
        );
        assert!(!late("S", 0).is_starved(&rules), "it waits");
    }
}
