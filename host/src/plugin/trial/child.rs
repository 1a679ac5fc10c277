//! The side of the child: maps and opens one plugin, and says how far it came.

use super::said::{Opening, Request, Said, Told};
use crate::config::Polling;
use crate::platform::{crash, exit};
use crate::plugin::load::{Call, Image, Plugin};
use holdall_plugin_api::{Error, Key};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, waitpid,
};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Descriptors of the child's own begin here: a plugin that closes the first ones must not silence it.
const OWN: i32 = 200;
/// A request is one line; its configuration is at most a few hundred kilobytes.
const MAX_REQUEST: usize = 16 << 20;
/// The longest wait for open, health and `exists` together is the parent's.
const ANSWER: Duration = Duration::from_secs(600);

/// What the child says, to a file that the parent reads at its end.
struct Answers(File);

impl Answers {
    fn say(&mut self, said: &Said) {
        if let Ok(mut line) = serde_json::to_vec(said) {
            line.push(b'\n');
            // In one write. The parent takes silence for the end of the process.
            let _ = self.0.write_all(&line);
        }
    }
}

pub(super) fn main() -> ! {
    // An error here is of the child itself; the parent reports what it wrote.
    if let Err(cause) = run() {
        let _ = writeln!(io::stderr(), "trial: {cause}");
    }
    exit::leave(0)
}

fn run() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let image = File::from(fcntl_dupfd_cloexec(rustix::stdio::stdin(), OWN)?);
    let mut answers = Answers(File::from(fcntl_dupfd_cloexec(
        rustix::stdio::stdout(),
        OWN,
    )?));
    // What the plugin prints.
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    let request = request(&answers.0)?;
    // Orphans of the plugin become children of this process.
    set_child_subreaper(Some(getpid()))?;
    let image = Image::of_file(image)?;
    if crate::config::hex(&image.sha256()) != request.sha256 {
        return Err(io::Error::other("the child got other bytes"));
    }
    // Where memory runs out, the kernel ends this process before the host.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    limit(&request, &mut answers)?;
    crash::report_to(answers.0.as_raw_fd());
    let before = Before::now();
    let loaded = Plugin::load(image, Path::new(&request.name), |_, _, _| Ok(()));
    if getpid() != before.process {
        // A copy of this process that a constructor has made.
        exit::leave(0);
    }
    before.compare(&mut answers);
    let plugin = match loaded {
        Ok(plugin) => plugin,
        Err(faults) => {
            answers.say(&Said::Refused(faults.iter().map(Told::from).collect()));
            answers.say(&Said::Done);
            return Ok(());
        }
    };
    if !plugin.signals().is_empty() {
        let names = plugin.signals().iter().map(|name| (*name).to_owned());
        answers.say(&Said::Signals(names.collect()));
    }
    answers.say(&Said::Mapped);
    if let Some(open) = &request.open {
        answers.say(&opened(&plugin, open)?);
    }
    answers.say(&Said::Done);
    Ok(())
}

fn request(file: &File) -> io::Result<Request> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_REQUEST);
    let mut bytes = zeroize::Zeroizing::new(vec![0; size.min(MAX_REQUEST)]);
    file.read_exact_at(&mut bytes, 0)?;
    Ok(serde_json::from_slice(bytes.trim_ascii_end())?)
}

fn limit(request: &Request, answers: &mut Answers) -> io::Result<()> {
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
    answers.say(&Said::Limit(memory));
    Ok(())
}

/// The process before the constructors of the plugin have run.
struct Before {
    process: Pid,
    threads: u64,
    descriptors: Vec<i32>,
}

impl Before {
    fn now() -> Self {
        Self {
            process: getpid(),
            threads: threads(),
            descriptors: (0..10).filter(|number| is_open(*number)).collect(),
        }
    }

    /// Says what the constructors have changed.
    fn compare(&self, answers: &mut Answers) {
        // An error: there is no child.
        if waitpid(None, WaitOptions::NOHANG).is_ok() {
            answers.say(&Said::Forked);
        }
        let closed = self.descriptors.iter().filter(|number| !is_open(**number));
        let closed: Vec<i32> = closed.copied().collect();
        if !closed.is_empty() {
            answers.say(&Said::Closed(closed));
        }
        match threads().saturating_sub(self.threads) {
            0 => {}
            count => answers.say(&Said::Threads(count)),
        }
    }
}

fn threads() -> u64 {
    std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count() as u64)
}

fn is_open(number: i32) -> bool {
    Path::new(&format!("/proc/self/fd/{number}")).is_symlink()
}

fn opened(plugin: &Arc<Plugin>, open: &Opening) -> io::Result<Said> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let outcome = runtime.block_on(async {
        let asked = tokio::time::timeout(ANSWER, ask(plugin, open)).await;
        asked.unwrap_or_else(|_| Err(Error::new(holdall_plugin_api::ErrorKind::Timeout)))
    });
    // Instance and runtime end here, before the answer: their end is code of the plugin.
    drop(runtime);
    Ok(match outcome {
        Ok(()) => Said::Opened,
        Err(error) => Said::NotOpened(error.to_string()),
    })
}

/// What changes nothing in a store.
async fn ask(plugin: &Arc<Plugin>, open: &Opening) -> holdall_plugin_api::Result<()> {
    let max_wait = Duration::from_millis(open.max_wait_ms);
    let instance = plugin.open(
        &open.backend,
        open.config.clone(),
        max_wait,
        Polling::default(),
    );
    let instance = Arc::new(instance.await?);
    if instance
        .operations()
        .has(holdall_plugin_api::Operation::Health)
    {
        instance.health(Call::default()).await?;
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|cause| {
        Error::new(holdall_plugin_api::ErrorKind::Other).with_message(cause.to_string())
    })?;
    let key = format!("holdall-trial-{}", crate::config::hex(&random));
    instance
        .exists(Key::new(&key), Call::default())
        .await
        .map(drop)
}
