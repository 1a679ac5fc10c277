//! `check`: one command that judges a built plugin, in any language: inspect, load, the conformance kit.

mod held;
mod job;
mod junit;
mod lints;
mod shown;
mod stores;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use holdall::inspect::{Inspection, Verdict, inspect_file};
use holdall_conformance::{Report, cases};

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use job::Job;
use lints::Lint;
use stores::Source;
use watch::{Bounds, Load};

/// Judges built plugin files: reads them, loads them, and runs the conformance kit on them.
///
/// Each group of cases runs in a process of its own, so that a crash, a hang or an exit is a result. Exit
/// code 0: all passed or not applicable. 8: a file is refused, or a case failed, lied, crashed or hung.
///
/// The configuration is the table [backend.NAME.config] of the plugin in the file that --config names, else
/// the whole of that file, else empty. In its texts `{store}` becomes a name for each store that the kit
/// wants, and `{temp}` a directory that is removed at the end. More backends of that plugin give the kit more
/// to ask: NAME-refused (wrong credentials), NAME-missing (no such container), NAME-scoped (`{prefix}`:
/// sees only what is below it), NAME-at (`{url}`: the server that the kit plays; beside `plugin`, `dialect`
/// says whose errors it has: plain, s3, azure, gcs or swift).
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Plugin files.
    #[arg(value_name = "FILE", required_unless_present = "job")]
    files: Vec<PathBuf>,

    /// How far it goes.
    #[arg(long, value_enum, default_value_t = Depth::Kit)]
    level: Depth,

    /// Cases or groups of cases of the kit, such as A-06,H. Default: all.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    only: Vec<String>,

    /// Also writes the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Most seconds of one case, if its own limit is longer.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3600))]
    case_seconds: u64,

    /// Most memory of one process, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(64..))]
    memory: u64,

    /// Warnings count as failures.
    #[arg(long)]
    strict: bool,

    /// Lists passed and not applicable cases too.
    #[arg(long)]
    all: bool,

    /// A process of this command: what to do.
    #[arg(long, hide = true, value_name = "FILE")]
    job: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Depth {
    /// Reads the file; nothing of it runs.
    Inspect,
    /// Also loads it.
    Load,
    /// Also runs the conformance kit.
    Kit,
}

/// All that was found out about one file.
struct Judged {
    found: Inspection,
    lints: Vec<Lint>,
    load: Option<Load>,
    kit: Option<Report>,
}

impl Judged {
    fn is_ok(&self, strict: bool) -> bool {
        let loads = self.load.as_ref().is_none_or(Load::is_ok);
        let passes = self.kit.as_ref().is_none_or(Report::is_ok);
        let warned = strict && !self.lints.is_empty();
        self.found.verdict() == Verdict::Accepted && loads && passes && !warned
    }
}

impl Check {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        if let Some(job) = &self.job {
            return Job::read(job)?.run().await;
        }
        let wanted = self.wanted()?;
        let mut bad = Vec::new();
        let mut all = Vec::new();
        for file in &self.files {
            let judged = self.judge(app, file, &wanted).await?;
            if !judged.is_ok(self.strict) {
                bad.push(file.display().to_string());
            }
            if !app.output.quiet {
                app.output
                    .answer(&shown::record(&judged), || shown::text(&judged, self.all))?;
            }
            all.push(judged);
        }
        if let Some(path) = &self.junit {
            std::fs::write(path, junit::document(&all)).map_err(Failure::file("write", path))?;
        }
        if bad.is_empty() {
            return Ok(());
        }
        Err(Failure::refused(
            exit::SETUP,
            "check_failed",
            format!("{} did not pass", bad.join(", ")),
            "what was found stands above, and with --json in the answer",
        ))
    }

    /// The cases of --only.
    fn wanted(&self) -> Result<Vec<&'static str>> {
        for wanted in &self.only {
            if !cases().iter().any(|case| is_meant(case.id, wanted)) {
                return Err(Failure::usage(format!(
                    "--only {wanted}: no such case; a group is a letter such as H, a case is such as H-03"
                )));
            }
        }
        let meant =
            |id: &str| self.only.is_empty() || self.only.iter().any(|one| is_meant(id, one));
        Ok(cases()
            .iter()
            .map(|case| case.id)
            .filter(|id| meant(id))
            .collect())
    }

    async fn judge(&self, app: &App, file: &Path, wanted: &[&'static str]) -> Result<Judged> {
        let found = inspect_file(file);
        let mut judged = Judged {
            lints: lints::of(file, &found),
            found,
            load: None,
            kit: None,
        };
        if judged.found.verdict() != Verdict::Accepted || self.level == Depth::Inspect {
            return Ok(judged);
        }
        let Some(descriptor) = &judged.found.descriptor else {
            return Ok(judged);
        };
        let bounds = Bounds {
            case: Duration::from_secs(self.case_seconds),
            memory: self.memory << 20,
        };
        let load = watch::load(file, bounds).await?;
        let loads = load.is_ok();
        judged.load = Some(load);
        if loads && self.level == Depth::Kit {
            let source = Source::read(app.config_file(), descriptor)?;
            let watched = watch::kit(file, descriptor, &source, wanted, bounds);
            let (report, held) = watched.await?;
            judged.lints.extend(lints::blocking(&held));
            judged.kit = Some(report);
        }
        Ok(judged)
    }
}

/// Whether `wanted` is this case or its group.
fn is_meant(id: &str, wanted: &str) -> bool {
    id.eq_ignore_ascii_case(wanted)
        || (wanted.len() == 1
            && id
                .get(..1)
                .is_some_and(|group| group.eq_ignore_ascii_case(wanted)))
}
