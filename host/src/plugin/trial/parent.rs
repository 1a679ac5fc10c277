//! The side of the host: starts a child, waits for it within limits, and reads what it came to.

#[cfg_attr(unix, path = "parent/unix.rs")]
#[cfg_attr(windows, path = "parent/windows.rs")]
mod system;

use super::said::{Opening, Request, Said, Told};
use super::verdict::TrialVerdict;
use super::{Trial, TrialRules};
use crate::config::TrustRule;
use crate::config::hex;
use crate::platform::files;
use crate::plugin::fault::{Code, Fault};
use crate::plugin::load::Image;
use std::fs::File;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Interval at which the child is looked at.
const INTERVAL: Duration = Duration::from_millis(2);
/// Last bytes of the child's standard error that a fault quotes.
const QUOTED: u64 = 600;

/// What is left of a child.
struct Ended {
    status: ExitStatus,
    /// Processor time that it has had.
    cpu: Duration,
    /// The most memory that it has had, in bytes; 0 where the child says it itself.
    peak: u64,
    /// It was ended by the parent.
    late: Option<Late>,
    said: Vec<Said>,
    errors: String,
}

/// What ended a process.
enum Cause {
    /// Its limit of processor time.
    Cpu,
    Abort,
    /// Another fault, by its name.
    Crash(String),
    /// An exit with this code.
    Exit(i32),
}

/// A child at the end of its time.
struct Late {
    /// Its memory, in bytes: what its limit is of.
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
    let ended = system::wait(trial, rules, image, &request)?;
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

fn read_from(file: &File, start: u64) -> io::Result<String> {
    let length = file.metadata()?.len().saturating_sub(start).min(1 << 20);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    files::read_exact_at(file, &mut bytes, start)?;
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
        self.late.is_none() && system::was_killed(self.status) && !at_limit && !done
    }
}

impl Late {
    /// Whether other processes kept it from the processor: what it would have come to is not known.
    fn is_starved(&self, rules: &TrialRules) -> bool {
        self.computes && self.cpu < rules.cpu && self.cpu < rules.timeout / 2
    }
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
            Said::Crashed(_, pages) if is_full(system::bytes(*pages)) => return memory(),
            Said::Crashed(signal, _) => match system::cause_of_signal(*signal) {
                Cause::Cpu => return cpu(),
                Cause::Abort => return refused(Code::TrialAborted, "a return", "abort".to_owned()),
                Cause::Crash(found) => return refused(Code::TrialCrashed, "a return", found),
                Cause::Exit(_) => {}
            },
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
    match system::cause(ended.status) {
        Cause::Cpu => cpu(),
        Cause::Abort | Cause::Crash(_) if is_full(ended.peak) => memory(),
        Cause::Abort => refused(Code::TrialAborted, "a return", "abort".to_owned()),
        Cause::Crash(found) => refused(Code::TrialCrashed, "a return", found),
        Cause::Exit(code) => refused(Code::TrialExited, "a return", format!("exit({code})")),
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
