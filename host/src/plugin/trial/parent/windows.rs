//! The child as a job, and its streams as files in a private directory.

use super::super::said::Request;
use super::super::{Trial, TrialRules, VARIABLE};
use super::{Cause, Ended, INTERVAL, Late, QUOTED, read_from};
use crate::platform::job::{Job, processor_time};
use crate::platform::private_directory::PrivateDirectory;
use crate::plugin::load::Image;
use std::fs::File;
use std::io::{self, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;
use zeroize::Zeroizing;

/// Runs a child to its end, or to the end of its time.
pub(super) fn wait(
    trial: &Trial,
    rules: &TrialRules,
    image: &Image,
    request: &Request,
) -> io::Result<Ended> {
    // Files, not pipes: nothing waits for a reader, and a process that outlives the child holds
    // nothing up.
    let directory = PrivateDirectory::create()?;
    let stream = |name: &str| {
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        options.open(directory.path().join(name))
    };
    let (mut answers, errors) = (stream("answers")?, stream("errors")?);
    let mut line = Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    answers.write_all(&line)?;
    let mut command = Command::new(&trial.executable);
    command
        .args(&trial.arguments)
        .env(VARIABLE, "1")
        .stdin(image.reader()?)
        .stdout(answers.try_clone()?)
        .stderr(Stdio::from(errors.try_clone()?));
    // All that it starts ends with the job, and the job with this process.
    let job = Job::new()?;
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut late = None;
    if let Err(cause) = job.assign(&child) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(cause);
    }
    while child.try_wait()?.is_none() {
        if started.elapsed() >= rules.timeout {
            let cpu = processor_time(&child);
            late = Some(Late {
                memory: job.peak_memory(),
                // Windows does not say whether a process waits.
                computes: cpu >= rules.timeout / 2,
                cpu,
            });
            break;
        }
        std::thread::sleep(INTERVAL);
    }
    job.end();
    let status = child.wait()?;
    let text = read_from(&answers, line.len() as u64)?;
    let said = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let size = errors.metadata()?.len();
    Ok(Ended {
        status,
        cpu: processor_time(&child),
        peak: job.peak_memory(),
        late,
        said: said.collect(),
        errors: read_from(&errors, size.saturating_sub(QUOTED))?,
    })
}

/// Always false: Windows does not say who ended a process.
pub(super) fn was_killed(_status: ExitStatus) -> bool {
    false
}

/// What a signal means that the child has reported: it reports none.
pub(super) fn cause_of_signal(signal: i32) -> Cause {
    Cause::Crash(format!("signal {signal}"))
}

/// What ended the child, by its exit code.
pub(super) fn cause(status: ExitStatus) -> Cause {
    /// Of a process at the limit of processor time of its job.
    const ERROR_NOT_ENOUGH_QUOTA: u32 = 1816;
    const FAIL_FAST: u32 = 0xc000_0409;
    let code = status.code().unwrap_or_default();
    match code.cast_unsigned() {
        ERROR_NOT_ENOUGH_QUOTA => Cause::Cpu,
        // `abort` of Rust.
        FAIL_FAST => Cause::Abort,
        // Codes of errors (severity 3) of the system (NTSTATUS).
        exception if exception >> 28 == 0xc => Cause::Crash(format!("exception {exception:#x}")),
        _ => Cause::Exit(code),
    }
}

/// Bytes of an address space in pages: the child reports none.
pub(super) fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(4096)
}
