//! What a process of its own does with a plugin, and the lines by which the command follows it.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use holdall::{Delete, Error, Host, Key, Upload};
use holdall_cli::kit::{BEGINS, ENDS, HostStage, PUBLIC_URL, Tools, use_once};
use holdall_conformance::{CaseResult, Stage, Step, run_watched};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::held::{Held, Polls};
use super::stores::{Filled, Source};
use crate::failure::{Failure, Result};
use crate::{hint, process};

/// One process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) library: PathBuf,
    pub(super) what: What,
    /// Where its lines go.
    pub(super) lines: PathBuf,
    /// Most bytes of memory.
    pub(super) memory: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum What {
    /// Map the file and shake hands.
    Load,
    /// Open, use and close it once, between two lines on standard error.
    Once(Value),
    /// Run cases.
    Cases {
        ids: Vec<String>,
        source: Box<Source>,
        temp: PathBuf,
        most: Duration,
    },
}

/// One line of a process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Line {
    Loaded,
    Refused(String),
    Opened {
        operations: Vec<String>,
        capabilities: Vec<String>,
    },
    Begins(String),
    Continues(String),
    Cleans(String),
    Ended(Box<CaseResult>),
    Held(Polls),
}

impl Job {
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        std::fs::write(path, text).map_err(Failure::file("write", path))
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(Failure::file("read", path))?;
        serde_json::from_slice(&text).map_err(|cause| Failure::usage(format!("--job: {cause}")))
    }

    /// This command once more, for the job in this file.
    pub(super) fn command(path: &Path) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["check", "--job"]).arg(path);
        // The plugin is judged with the configuration of the job alone.
        command.env_remove("HOLDALL_CONFIG");
        Ok(command)
    }

    pub(super) async fn run(self) -> Result<()> {
        // Time is bounded from outside.
        process::limit_memory(self.memory);
        let file = File::options().append(true).create(true).open(&self.lines);
        let lines = Lines(RefCell::new(
            file.map_err(Failure::file("write", &self.lines))?,
        ));
        match self.what {
            What::Load => lines.tell(&load(&self.library)),
            What::Once(config) => {
                eprintln!("{BEGINS}");
                let used = use_once(&self.library, config).await;
                eprintln!("{ENDS}");
                return used.map_err(Failure::from);
            }
            What::Cases {
                ids,
                source,
                temp,
                most,
            } => cases(&self.library, &lines, ids, *source, temp, most).await,
        }
        Ok(())
    }
}

struct Lines(RefCell<File>);

impl Lines {
    fn tell(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        // In one write: the reader sees whole lines. One that is lost reads as a crash.
        let _ = self.0.borrow_mut().write_all(&text);
    }
}

/// An error with all that helps.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    for (name, value) in error.facts() {
        // The file is a copy of the one that is judged.
        if name != "file" && !text.contains(value) {
            let _ = write!(text, "; {name}: {value}");
        }
        if let Some(fix) = hint::of_fault(name) {
            let _ = write!(text, "; fix: {fix}");
        }
    }
    for cause in error.cause().into_iter().flat_map(|cause| cause.chain()) {
        if !text.contains(&*cause.text) {
            let _ = write!(text, "; because {}", cause.text);
        }
    }
    text
}

fn load(library: &Path) -> Line {
    let loaded = || -> holdall::Result<()> {
        let stage = HostStage::loaded(library, PUBLIC_URL, Nothing, ())?;
        let host: &Host = stage.host();
        for (_, outcome) in host.load_plugins() {
            outcome?;
        }
        Ok(())
    };
    match loaded() {
        Ok(()) => Line::Loaded,
        Err(error) => Line::Refused(told(&error)),
    }
}

/// For loading alone.
struct Nothing;

impl holdall_conformance::Harness for Nothing {
    type Config = Value;

    fn config(&self, _: u32) -> Value {
        Value::Null
    }
}

/// A process of this command is the child of A-10.
struct Again(PathBuf);

impl Tools for Again {
    fn child(&self, library: &Path, config: &Value) -> Option<Command> {
        let job = Job {
            library: library.to_owned(),
            what: What::Once(config.clone()),
            lines: self.0.join("once.lines"),
            memory: u64::MAX >> 1,
        };
        let path = self.0.join(format!("once-{}.json", std::process::id()));
        job.write(&path).ok()?;
        Job::command(&path).ok()
    }
}

async fn cases(
    library: &Path,
    lines: &Lines,
    ids: Vec<String>,
    source: Source,
    temp: PathBuf,
    most: Duration,
) {
    let stores = Filled::new(source, &temp);
    let stage = match HostStage::loaded(library, PUBLIC_URL, stores.clone(), Again(temp)) {
        Ok(stage) => stage,
        Err(error) => return lines.tell(&Line::Refused(told(&error))),
    };
    match tokio::time::timeout(most, is_shared(&stage)).await {
        Ok(Ok(shared)) => stores.are_shared(shared),
        Ok(Err(error)) => return lines.tell(&Line::Refused(told(&error))),
        Err(_) => {
            let why = format!("no answer to a first use within {} s", most.as_secs());
            return lines.tell(&Line::Refused(why));
        }
    }
    let wanted = |case: &holdall_conformance::Case| ids.iter().any(|id| id == case.id);
    let watch = |step: Step<'_>| match step {
        Step::Opened(facts) => lines.tell(&Line::Opened {
            operations: facts
                .operations
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            capabilities: facts
                .capabilities
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }),
        Step::Begins(case) => lines.tell(&Line::Begins(case.id.to_owned())),
        Step::Continues(case) => lines.tell(&Line::Continues(case.id.to_owned())),
        Step::Cleans(case) => lines.tell(&Line::Cleans(case.id.to_owned())),
        Step::Ended(result) => lines.tell(&Line::Ended(Box::new(result.clone()))),
    };
    let (held, calls) = (Held::listening(), stage.calls());
    run_watched(Arc::new(stage), wanted, most, watch).await;
    lines.tell(&Line::Held(held.polls(&calls)));
}

/// Whether two instances with one configuration see the same objects.
async fn is_shared(stage: &HostStage) -> holdall::Result<bool> {
    const PROBE: u32 = u32::MAX - 1;
    let (one, other) = (stage.open(PROBE).await?, stage.open(PROBE).await?);
    let key = format!("kit-probe-{}", std::process::id());
    // A backend that cannot store fails its cases, where it is named.
    if one.upload(Upload::new(&key, "x")).await.is_err() {
        return Ok(false);
    }
    let shared = other.exists(Key::new(&key)).await.unwrap_or(false);
    let _ = one.delete(Delete::new(&key)).await;
    for subject in [one, other] {
        let _ = subject.shutdown().await;
    }
    Ok(shared)
}
