//! `plugins`: every file of the plugin directories with its verdict, and what an operator does with them.

mod config;
mod install;
mod pin;
mod sign;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdall::config::Config;
use holdall::fault::Fault;
use holdall::inspect::{Inspection, Verdict};
use holdall::quarantine::{self, Crash};
use holdall::scan::{self, ScanReport};
use holdall::trust::{Standing, Trust};
use holdall::{Error, FileState, PluginStatus};
use serde_json::{Value, json};

use self::config::Sample;
use self::install::{Install, Remove};
use self::pin::{Pin, Release};
use self::sign::{Sign, Verify};
use super::inspect::{faults, word};
use crate::app::{App, crash_records};
use crate::exit;
use crate::failure::{Failure, Result};
use crate::values::printable;

/// Shows every file of the plugin directories, and judges, signs, pins, installs and removes plugins.
///
/// Without a subcommand: `list`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Plugins {
    #[command(subcommand)]
    what: Option<What>,

    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum What {
    List(List),
    Config(Sample),
    Verify(Verify),
    Sign(Sign),
    Pin(Pin),
    Install(Install),
    Remove(Remove),
    Release(Release),
}

/// Shows every file of the plugin directories: what it is, or why it was refused.
///
/// Nothing of a plugin runs, unless --load is given.
#[derive(Debug, Args)]
struct List {
    /// Loads each accepted plugin into this process, as a backend that needs it would; a failure
    /// of one is exit code 8.
    #[arg(long)]
    load: bool,
}

impl Plugins {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        match self.what {
            None => self.list.run(app),
            Some(What::List(list)) => list.run(app),
            Some(What::Config(sample)) => sample.run(app),
            Some(What::Verify(verify)) => verify.run(app),
            Some(What::Sign(sign)) => sign.run(app),
            Some(What::Pin(pin)) => pin.run(app),
            Some(What::Install(install)) => install.run(app),
            Some(What::Remove(remove)) => remove.run(app),
            Some(What::Release(release)) => release.run(app),
        }
    }
}

impl List {
    fn run(self, app: &App) -> Result<()> {
        let (config, problems) = app.config();
        let (report, loaded) = if self.load {
            let host = app.host()?;
            (
                host.scan_report().as_ref().clone(),
                Some(host.load_plugins()),
            )
        } else {
            let trust = Trust::new(&config);
            (scan::scan_trusted(&config.plugin_dirs, &trust), None)
        };
        let trust = standings(&config, &report);
        let crashes = match &config.state_dir {
            Some(state) => quarantine::crashes(&crash_records(state)).unwrap_or_default(),
            None => Vec::new(),
        };
        let mut record = to_json(&report, &trust, loaded.as_deref());
        record["crashes"] = json!(crashes);
        app.output.answer(&record, || {
            let crashes = crashes.iter().map(crash_line);
            let shown = shown(&report, &trust, loaded.as_deref());
            crashes.fold(shown, |text, line| text + "\n" + &line)
        })?;
        let failed = loaded
            .into_iter()
            .flatten()
            .filter_map(|(plugin, outcome)| Some((plugin, outcome.err()?)));
        let failed: Vec<_> = failed.map(|(plugin, _)| plugin.name).collect();
        if failed.is_empty() {
            // A broken backend in the configuration is no reason to hide the plugins, and hiding
            // that it is broken would be worse.
            return problems
                .into_result()
                .map_err(|problems| Error::from(problems).into());
        }
        Err(Failure::refused(
            exit::SETUP,
            "plugin_load",
            format!("accepted, but not loadable: {}", failed.join(", ")),
            "what was said of each stands above, and with --json in \"loaded\"",
        ))
    }
}

/// What is known of each accepted file, by its path; or why it would be refused.
type Standings = BTreeMap<PathBuf, std::result::Result<Standing, Vec<Fault>>>;

fn standings(config: &Config, report: &ScanReport) -> Standings {
    let trust = Trust::new(config);
    let accepted = report.files.iter();
    let accepted = accepted.filter(|file| file.verdict() == Verdict::Accepted);
    let judged = accepted.map(|file| {
        let standing = trust.judge(&file.path, file.path.parent());
        (file.path.clone(), standing)
    });
    judged.collect()
}

/// Each fault with both sides and what helps, on lines of their own.
fn refusal(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |mut text, fault| {
        let _ = write!(text, "\n  {}", printable(&fault.to_string()));
        let _ = write!(text, "\n    help: {}", printable(&fault.fix));
        text
    })
}

fn crash_line(crash: &Crash) -> String {
    let operation = match crash.operation.as_str() {
        "" => "a thread of its own",
        operation => operation,
    };
    let (plugin, request) = (printable(&crash.plugin), printable(&crash.request));
    format!(
        "crash of {plugin} by signal {} in {operation}, request {request:?}",
        crash.signal
    )
}

/// Signer and pin, in words.
fn standing_line(standing: &Standing) -> String {
    let signed = match &standing.signed_by {
        Some(publisher) => format!("signed by {}", printable(publisher)),
        None => "unsigned".to_owned(),
    };
    match standing.pinned {
        true => format!("{signed}, pinned"),
        false => signed,
    }
}

type Loaded = (PluginStatus, holdall::Result<()>);

fn to_json(report: &ScanReport, trust: &Standings, loaded: Option<&[Loaded]>) -> Value {
    let trust = trust.iter().map(|(path, standing)| {
        let path = path.display().to_string();
        match standing {
            Ok(standing) => json!({ "path": path, "standing": standing }),
            Err(faults) => json!({ "path": path, "faults": faults }),
        }
    });
    let mut record = json!({ "scan": report, "trust": trust.collect::<Vec<_>>() });
    if let Some(loaded) = loaded {
        let each = loaded
            .iter()
            .map(|(plugin, outcome)| json!({ "plugin": plugin, "loaded": outcome.is_ok() }));
        record["loaded"] = each.collect();
    }
    record
}

fn shown(report: &ScanReport, trust: &Standings, loaded: Option<&[Loaded]>) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    for folder in &report.folders {
        let path = printable(&folder.path.display().to_string());
        let _ = match &folder.error {
            None => writeln!(text, "folder {path}"),
            Some(error) => writeln!(text, "folder {path}: {error}"),
        };
    }
    for file in &report.files {
        let _ = match trust.get(&file.path) {
            None => writeln!(text, "{}", file_line(file)),
            Some(Ok(standing)) => {
                writeln!(text, "{}\n  {}", file_line(file), standing_line(standing))
            }
            Some(Err(faults)) => {
                let path = printable(&file.path.display().to_string());
                writeln!(text, "{path}: refused{}", refusal(faults))
            }
        };
    }
    for shadowed in &report.shadowed {
        let _ = writeln!(
            text,
            "{} {:?} of {} is not used: {} has it ({})",
            shadowed.claim,
            shadowed.value,
            printable(&shadowed.loser.display().to_string()),
            printable(&shadowed.winner.display().to_string()),
            shadowed.rule
        );
    }
    for (plugin, outcome) in loaded.into_iter().flatten() {
        let _ = match outcome {
            Ok(()) => writeln!(text, "{} {}: loaded", plugin.name, plugin.version),
            Err(error) => writeln!(
                text,
                "{} {}: not loaded: {}",
                plugin.name,
                plugin.version,
                told(error)
            ),
        };
        text.push_str(&status_lines(plugin));
    }
    if report.files.is_empty() {
        text.push_str("no file there; put a plugin's library into one of these folders, or name another with --plugin-dir\n");
    }
    text.pop();
    text
}

/// The file as it is now, as it was judged, and what of it is mapped and runs: four facts, which may differ.
fn status_lines(plugin: &PluginStatus) -> String {
    let file = match plugin.file {
        Some(FileState::Unchanged) => "unchanged",
        Some(FileState::Changed) => "changed since it was read",
        Some(FileState::Missing) => "missing",
        _ => "none, linked in",
    };
    let judged = plugin.judged_version.as_deref().unwrap_or("nothing");
    let mapped = match &plugin.sha256 {
        Some(sha256) => format!("{}, sha256 {sha256}", plugin.version),
        None => "nothing".to_owned(),
    };
    format!(
        "  file: {file}\n  judged: {}\n  mapped: {}, generations {}\n  running: instances {}\n",
        printable(judged),
        printable(&mapped),
        plugin.generations,
        plugin.instances
    )
}

fn file_line(file: &Inspection) -> String {
    let path = printable(&file.path.display().to_string());
    let verdict = file.verdict();
    match (&file.descriptor, verdict) {
        (Some(descriptor), Verdict::Accepted) => {
            let about = &descriptor.about;
            let operations = descriptor.operations.names().join(" ");
            format!(
                "{path}: accepted\n  {} {}, ABI {}.{}, schemes {}\n  {operations}",
                printable(&about.name),
                printable(&about.version),
                descriptor.abi_major,
                descriptor.abi_minor,
                printable(&about.schemes.join(" ")),
            )
        }
        (_, Verdict::NotAPlugin) => {
            let why: Vec<_> = file
                .faults
                .iter()
                .map(|fault| printable(&fault.to_string()))
                .collect();
            format!("{path}: not a plugin ({})", why.join("; "))
        }
        _ => format!("{path}: {}{}", word(verdict), faults(file)),
    }
}

fn told(error: &Error) -> String {
    let mut text = printable(&error.to_string());
    for (name, value) in error.facts() {
        let _ = write!(text, "\n  {name}: {}", printable(value));
    }
    let shown = |text: &str| error.facts().any(|(_, value)| value == text);
    let causes = error.cause().into_iter().flat_map(|cause| cause.chain());
    for cause in causes.filter(|cause| !shown(&cause.text)) {
        let _ = write!(text, "\n  because: {}", printable(&cause.text));
    }
    text
}
