//! The processes that run a plugin, watched: what they say, and how they end.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdall_conformance::holdall_plugin_api::descriptor::Descriptor;
use holdall_conformance::{Case, CaseResult, Level, Report, Status, cases};
use serde::Serialize;
use tempfile::TempDir;

use super::held::{self, Polls};
use super::job::{Job, Line, What};
use super::stores::Source;
use crate::failure::{Failure, Result};

/// What a process may take.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Time of one case.
    pub(super) case: Duration,
    /// Bytes of memory.
    pub(super) memory: u64,
}

/// What came of loading a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub(super) enum Load {
    Loaded,
    Refused(String),
    Crashed(String),
}

impl Load {
    pub(super) fn is_ok(&self) -> bool {
        matches!(self, Load::Loaded)
    }
}

/// A process whose case does not end is ended itself, this long after its time.
const MARGIN: Duration = Duration::from_secs(3);
/// Of one file: more that hang are not waited for.
const MOST_HANGS: usize = 4;
/// The longest that a file may take to load, and a plugin to open.
const FIRST: Duration = Duration::from_secs(60);

/// A process, ended with this value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a process ended.
enum End {
    Exited(ExitStatus),
    /// It had to be ended.
    Hung(Duration),
}

impl End {
    /// For people, with the last that it wrote.
    fn text(&self, said: &str) -> String {
        let how = match self {
            End::Hung(after) => format!("hung: no answer, ended after {} s", after.as_secs()),
            End::Exited(status) => match (crate::process::crash(*status), status.code()) {
                (Some(cause), _) => format!("crashed: {cause}"),
                (None, Some(code)) => format!("ended the process: exit code {code}"),
                (None, None) => "crashed".to_owned(),
            },
        };
        let last: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        match last.get(last.len().saturating_sub(3)..) {
            Some(last) if !last.is_empty() => format!("{how}; it wrote: {}", last.join(" | ")),
            _ => how,
        }
    }
}

/// Runs a job to its end, at most until `limit` of the lines that are there says so.
async fn run(
    job: &Job,
    folder: &Path,
    limit: impl Fn(&[Line]) -> Duration,
) -> Result<(Vec<Line>, End, String)> {
    let path = folder.join("job.json");
    job.write(&path)?;
    let cannot = |what: &'static str| Failure::file(what, &path);
    let errors = folder.join("stderr");
    let stderr = std::fs::File::create(&errors).map_err(Failure::file("write", &errors))?;
    let mut command: Command = Job::command(&path).map_err(cannot("start a process for"))?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut process = Process(command.spawn().map_err(cannot("start a process for"))?);
    let mut size = 0;
    let mut moved = Instant::now();
    let end = loop {
        if let Some(status) = process
            .0
            .try_wait()
            .map_err(cannot("wait for the process of"))?
        {
            break End::Exited(status);
        }
        let now = std::fs::metadata(&job.lines).map_or(0, |facts| facts.len());
        if now != size {
            (size, moved) = (now, Instant::now());
        }
        let waited = moved.elapsed();
        // Lines are read when a second has passed without one: most cases are shorter.
        if waited > Duration::from_secs(1) && waited > limit(&lines(&job.lines)) + MARGIN {
            break End::Hung(waited);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    drop(process);
    let said = std::fs::read(&errors).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(2000)..]).into_owned();
    Ok((lines(&job.lines), end, said))
}

fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn folder() -> Result<TempDir> {
    TempDir::with_prefix("holdall-check-")
        .map_err(Failure::file("make a directory in", &std::env::temp_dir()))
}

/// Loads the file in a process of its own.
pub(super) async fn load(library: &Path, bounds: Bounds) -> Result<Load> {
    let folder = folder()?;
    let job = Job {
        library: library.to_owned(),
        what: What::Load,
        lines: folder.path().join("lines"),
        memory: bounds.memory,
    };
    let (lines, end, said) = run(&job, folder.path(), |_| FIRST.min(bounds.case)).await?;
    Ok(match lines.into_iter().next() {
        Some(Line::Refused(why)) => Load::Refused(why),
        Some(Line::Loaded) if matches!(&end, End::Exited(status) if status.success()) => {
            Load::Loaded
        }
        _ => Load::Crashed(end.text(&said)),
    })
}

/// What the groups of one file have in common.
struct Shared<'a> {
    library: &'a Path,
    source: &'a Source,
    temp: TempDir,
    bounds: Bounds,
    hangs: std::cell::Cell<usize>,
    /// Why it cannot be opened.
    closed: std::cell::RefCell<Option<String>>,
    claims: std::cell::RefCell<Option<(Vec<String>, Vec<String>)>>,
    held: std::cell::RefCell<Polls>,
}

/// Runs these cases, each group in a process of its own. Answers also the polls that held their caller.
pub(super) async fn kit(
    library: &Path,
    descriptor: &Descriptor,
    source: &Source,
    wanted: &[&'static str],
    bounds: Bounds,
) -> Result<(Report, Polls)> {
    let started = Instant::now();
    let shared = Shared {
        library,
        source,
        temp: folder()?,
        bounds,
        hangs: Default::default(),
        closed: Default::default(),
        claims: Default::default(),
        held: Default::default(),
    };
    let mut letters: Vec<&str> = wanted.iter().map(|id| &id[..1]).collect();
    letters.dedup();
    let groups = letters.into_iter().map(|letter| {
        let of_it = wanted.iter().filter(|id| id.starts_with(letter));
        let mut ids: Vec<&'static str> = of_it.copied().collect();
        // It looks back on the errors of its process; N-03, on all results, is judged at the end.
        if wanted.contains(&"N-01") && letter != "N" {
            ids.push("N-01");
        }
        group(&shared, ids)
    });
    // A few at once: most of a group is waiting.
    let width = std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(4));
    let results: Vec<Vec<CaseResult>> = stream::iter(groups).buffered(width).try_collect().await?;
    let (operations, capabilities) = shared.claims.take().unwrap_or_default();
    let report = Report {
        plugin: descriptor.about.name.clone(),
        level: Level::Loaded,
        operations,
        capabilities,
        results: results.into_iter().flatten().collect(),
        elapsed_ms: 0,
    };
    let mut report = report.join();
    report.elapsed_ms = started.elapsed().as_millis() as u64;
    Ok((report, shared.held.take()))
}

fn case(id: &str) -> Option<&'static Case> {
    cases().iter().find(|case| case.id == id)
}

fn ended(id: &str, status: Status, message: String, elapsed: Duration) -> Option<CaseResult> {
    let case = case(id)?;
    Some(CaseResult {
        id: case.id.to_owned(),
        tag: case.tag.to_string(),
        reason: case.reason.to_owned(),
        status,
        negative: false,
        message,
        elapsed_ms: elapsed.as_millis() as u64,
    })
}

/// One group: a process, and one more after each that a case has ended.
async fn group(shared: &Shared<'_>, ids: Vec<&'static str>) -> Result<Vec<CaseResult>> {
    let mut results: Vec<CaseResult> = Vec::new();
    loop {
        let is_left = |id: &&&str| !results.iter().any(|one| one.id == **id);
        let left: Vec<String> = ids
            .iter()
            .filter(is_left)
            .map(|id| (*id).to_owned())
            .collect();
        if left.iter().all(|id| id == "N-01") && !results.is_empty() || left.is_empty() {
            return Ok(results);
        }
        let closed = shared.closed.borrow().clone();
        let why = closed.or_else(|| {
            let too_many = shared.hangs.get() >= MOST_HANGS;
            too_many.then(|| format!("not run: {MOST_HANGS} cases before it hung"))
        });
        if let Some(why) = why {
            let skipped = |id: &String| ended(id, Status::Skipped, why.clone(), Duration::ZERO);
            results.extend(left.iter().filter_map(skipped));
            return Ok(results);
        }
        results.extend(once(shared, left).await?);
    }
}

/// One process; what it ended with, a case that it could not end included.
async fn once(shared: &Shared<'_>, ids: Vec<String>) -> Result<Vec<CaseResult>> {
    let folder = folder()?;
    let most = shared.bounds.case;
    let job = Job {
        library: shared.library.to_owned(),
        what: What::Cases {
            ids: ids.clone(),
            source: Box::new(shared.source.clone()),
            temp: shared.temp.path().to_owned(),
            most,
        },
        lines: folder.path().join("lines"),
        memory: shared.bounds.memory,
    };
    let limit = |lines: &[Line]| match lines.last() {
        Some(Line::Begins(id) | Line::Continues(id) | Line::Cleans(id)) => {
            case(id).map_or(most, |case| case.limit.min(most))
        }
        _ => FIRST.min(most),
    };
    let (lines, end, said) = run(&job, folder.path(), limit).await?;
    let hung = matches!(end, End::Hung(_));
    let why = end.text(&said);
    let mut results = Vec::new();
    let mut running = None;
    let mut opened = false;
    let mut refused = None;
    for line in lines {
        match line {
            Line::Opened {
                operations,
                capabilities,
            } => {
                opened = true;
                *shared.claims.borrow_mut() = Some((operations, capabilities));
            }
            Line::Begins(id) | Line::Continues(id) | Line::Cleans(id) => running = Some(id),
            Line::Ended(result) => {
                running = None;
                results.push(*result);
            }
            Line::Refused(why) => refused = Some(why),
            Line::Held(polls) => held::add(&mut shared.held.borrow_mut(), polls),
            Line::Loaded => {}
        }
    }
    if hung {
        shared.hangs.set(shared.hangs.get() + 1);
    }
    if let Some(id) = running {
        let elapsed = match end {
            End::Hung(after) => after,
            End::Exited(_) => Duration::ZERO,
        };
        results.extend(ended(&id, Status::Failed, why, elapsed));
        return Ok(results);
    }
    if results.len() == ids.len() {
        return Ok(results);
    }
    // It ended between cases, or before the first.
    let why = match (refused, opened) {
        (Some(why), _) => format!("cannot open: {why}"),
        (None, false) => format!("cannot open: {why}"),
        (None, true) => why,
    };
    let is_left = |id: &&String| !results.iter().any(|one| one.id == **id);
    let next = ids.iter().find(is_left).cloned();
    if !opened {
        *shared.closed.borrow_mut() = Some(why.clone());
    }
    results.extend(next.and_then(|id| ended(&id, Status::Failed, why, Duration::ZERO)));
    Ok(results)
}
