//! The side of the host: starts a child, waits for it within limits, and reads what it came to.

use super::said::{Opening, Request, Said, Told};
use super::verdict::TrialVerdict;
use super::{Trial, TrialRules, VARIABLE};
use crate::config::TrustRule;
use crate::config::hex;
use crate::plugin::fault::{Code, Fault};
use crate::plugin::load::Image;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Interval at which the child is looked at.
const INTERVAL: Duration = Duration::from_millis(2);
/// Last bytes of the child's standard error that a fault quotes.
const QUOTED: u64 = 600;

/// What is left of a child.
struct Ended {
    status: ExitStatus,
    /// Processor time that it has had.
    cpu: Duration,
    /// It was ended by the parent.
    late: Option<Late>,
    said: Vec<Said>,
    errors: String,
}

/// A child at the end of its time.
struct Late {
    /// Its address space, in bytes.
    memory: u64,
    /// It computes, and does not wait.
    computes: bool,
    /// Processor time that it has had.
    cpu: Duration,
}

pub(super) fn run(
    trial: &Trial,
    rules: &TrialRules,
    image: &Image,
    name: &str,
    open: Option<Opening>,
) -> io::Result<TrialVerdict> {
    let wants_open = open.is_some();
    let request = Request {
        name: name.to_owned(),
        sha256: hex(&image.kept_sha256()?),
        cpu_secs: rules.cpu.as_millis().div_ceil(1000).max(1) as u64,
        memory: rules.memory,
        descriptors: rules.descriptors,
        open,
    };
    let ended = wait(trial, rules, image, &request)?;
    // Limits are set right before the plugin is mapped. What ended the child earlier says nothing of the plugin.
    if ended.limit().is_none() {
        let (status, errors) = (ended.status, ended.errors.trim());
        return Err(io::Error::other(format!(
            "it ended before it mapped the plugin ({status}); it wrote: {errors:?}"
        )));
    }
    if let Some(late) = ended.late.as_ref().filter(|late| late.is_starved(rules)) {
        return Err(io::Error::other(format!(
            "the machine is busy: it had {:?} of processor time within {:?}",
            late.cpu, rules.timeout
        )));
    }
    if ended.was_killed(rules) {
        return Err(io::Error::other(format!(
            "it was killed after {:?} of processor time: by the machine, which had no memory left, or by another process",
            ended.cpu
        )));
    }
    Ok(judge(rules, name, wants_open, &ended))
}

/// A file in memory, as one of the child's standard streams.
fn stream(label: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(label, MemfdFlags::CLOEXEC)?))
}

fn wait(trial: &Trial, rules: &TrialRules, image: &Image, request: &Request) -> io::Result<Ended> {
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
        late,
        said: said.collect(),
        errors: read_from(&errors, size.saturating_sub(QUOTED))?,
    })
}

fn read_from(file: &File, start: u64) -> io::Result<String> {
    let length = file.metadata()?.len().saturating_sub(start).min(1 << 20);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Ended {
    /// The address space that the child may use, in bytes; `None` when it did not come as far as the plugin.
    fn limit(&self) -> Option<u64> {
        self.said.iter().find_map(|said| match said {
            Said::Limit(limit) => Some(*limit),
            _ => None,
        })
    }

    /// Whether something other than its own limits ended it: what it would have come to is not known.
    fn was_killed(&self, rules: &TrialRules) -> bool {
        // The hard limit of processor time is a second past the soft one, and ends it by the same signal.
        let at_limit = self.cpu >= rules.cpu / 2;
        let done = self.said.contains(&Said::Done);
        self.late.is_none() && self.status.signal() == Some(libc::SIGKILL) && !at_limit && !done
    }
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

    /// Whether other processes kept it from the processor: what it would have come to is not known.
    fn is_starved(&self, rules: &TrialRules) -> bool {
        self.computes && self.cpu < rules.cpu && self.cpu < rules.timeout / 2
    }
}

fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(rustix::param::page_size() as u64)
}

fn judge(rules: &TrialRules, name: &str, wants_open: bool, ended: &Ended) -> TrialVerdict {
    let quoted = match ended.errors.trim() {
        "" => String::new(),
        errors => format!("; it wrote: {errors}"),
    };
    let place = match ended.said.contains(&Said::Mapped) {
        false => "when it is mapped",
        true => "when it is opened",
    };
    let refused = |code: Code, expected: &str, found: String| {
        let fault = Fault::new(code).expected(expected);
        TrialVerdict::Refused(vec![fault.found(found + &quoted).location(place)])
    };
    // What constructors have left behind is said before the handshake.
    let when_mapped = |code: Code, expected: &str, found: String| {
        let fault = Fault::new(code).expected(expected);
        TrialVerdict::Refused(vec![fault.found(found).location("when it is mapped")])
    };
    let cpu = || {
        let found = format!("more than {:?} of it", rules.cpu);
        refused(
            Code::TrialCpu,
            "processor time within the limit of a trial",
            found,
        )
    };
    let limit = ended.limit();
    let is_full =
        |size: u64| limit.is_some_and(|limit| size.saturating_add(rules.memory / 4) >= limit);
    let memory = || {
        let found = format!("more than {} bytes", rules.memory);
        refused(
            Code::TrialMemory,
            "memory within the limit of a trial",
            found,
        )
    };
    // Steps that were taken, in their order; the first that is a fault counts.
    for said in &ended.said {
        match said {
            Said::Refused(told) => {
                let faults = told.iter().cloned().filter_map(Told::fault);
                return TrialVerdict::Refused(faults.collect());
            }
            Said::Forked => {
                let found = "another process".to_owned();
                return when_mapped(Code::TrialForked, "no process of its own", found);
            }
            Said::Closed(numbers) => {
                let found = format!("closed: {numbers:?}");
                let expected = "descriptors of the program left open";
                return when_mapped(Code::TrialClosedDescriptors, expected, found);
            }
            Said::Threads(count) => {
                let found = format!("{count} threads");
                let code = Code::TrialStartedThreads;
                if let Some(verdict) = noted(rules.threads, name, code, "no thread", found) {
                    return verdict;
                }
            }
            Said::Signals(names) => {
                let (found, code) = (names.join(", "), Code::TrialTookSignals);
                let expected = "handlers of the program left in place";
                if let Some(verdict) = noted(rules.signals, name, code, expected, found) {
                    return verdict;
                }
            }
            Said::Crashed(_, pages) if is_full(bytes(*pages)) => return memory(),
            Said::Crashed(signal, _) if *signal == libc::SIGXCPU => return cpu(),
            Said::Crashed(signal, _) if *signal == libc::SIGABRT => {
                let found = "abort".to_owned();
                return refused(Code::TrialAborted, "a return", found);
            }
            Said::Crashed(signal, _) => {
                let found = format!("signal {signal}");
                return refused(Code::TrialCrashed, "a return", found);
            }
            Said::Limit(_) | Said::Mapped | Said::Opened | Said::NotOpened(_) | Said::Done => {}
        }
    }
    if ended.said.contains(&Said::Done) {
        return match ended.said.contains(&Said::Opened) {
            true => TrialVerdict::Opened,
            false => TrialVerdict::Mapped,
        };
    }
    if let Some(late) = &ended.late {
        if is_full(late.memory) {
            return memory();
        }
        if wants_open && ended.said.contains(&Said::Mapped) {
            // The store may be what does not answer.
            return TrialVerdict::Mapped;
        }
        if late.computes {
            return cpu();
        }
        let found = format!("none within {:?}", rules.timeout);
        return refused(Code::TrialTimedOut, "a return", found);
    }
    match ended.status.signal() {
        Some(libc::SIGXCPU | libc::SIGKILL) => cpu(),
        Some(libc::SIGABRT) => refused(Code::TrialAborted, "a return", "abort".to_owned()),
        Some(signal) => refused(Code::TrialCrashed, "a return", format!("signal {signal}")),
        None => {
            let code = ended.status.code().unwrap_or_default();
            refused(Code::TrialExited, "a return", format!("exit({code})"))
        }
    }
}

/// What the rule makes of something that harms only some programs.
fn noted(
    rule: TrustRule,
    plugin: &str,
    code: Code,
    expected: &str,
    found: String,
) -> Option<TrialVerdict> {
    let fault = Fault::new(code).expected(expected).found(found);
    match rule {
        TrustRule::Refuse => return Some(TrialVerdict::Refused(vec![fault])),
        TrustRule::Warn => tracing::warn!(
            target: "holdall",
            plugin,
            code = code.name(),
            found = fault.found,
            "{}", code.meaning(),
        ),
        TrustRule::Allow => {}
    }
    None
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
