//! Status of a host: its plugins, backends and counters.

use crate::backend::counters::CounterReport;
use crate::backend::handle::Slot;
use crate::config;
use crate::plugin::catalog::{Candidate, FileState, Origin};
use crate::plugin::emulation::{emulated, unsupported};
use crate::plugin::load::Plugin;
use crate::plugin::scan::{ScanReport, Shadowed};
use holdall_plugin_api::Error;
use serde::{Serialize, Serializer};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A host at one moment. No secret is in it.
///
/// ```no_run
/// # fn show(host: &holdall::Host) {
/// let status = host.status();
/// for backend in &status.backends {
///     for (operation, report) in &backend.counters.operations {
///         let latency = &report.latency;
///         println!("{} {operation}: {} calls, p99 {:?}", backend.name, latency.count(), latency.quantile(0.99));
///         for (bound, calls) in latency.cumulative() {
///             println!("{calls} within {bound:?}");
///         }
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Every file that the last scan found, with its verdict.
    #[serde(serialize_with = "without_schemas")]
    pub scan: Arc<ScanReport>,
    /// How long the last scan took, in microseconds.
    pub scan_us: u64,
    /// Candidates that came too late for a name or scheme.
    pub shadowed: Vec<Shadowed>,
    /// The accepted plugins, by name.
    pub plugins: Vec<PluginStatus>,
    /// The backend that is meant when none is named.
    pub default_backend: Option<String>,
    /// The backends, by name.
    pub backends: Vec<BackendStatus>,
}

impl Status {
    /// As JSON, for a handler that answers it. `host/schemas/status.schema.json` describes it.
    pub fn to_json(&self) -> serde_json::Value {
        // Texts, numbers, lists and maps with texts as keys: nothing of it can be refused.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Where an accepted plugin stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PluginState {
    /// Its file would load; no backend has needed it yet.
    Accepted,
    /// Its code is in this process.
    Loaded,
    /// It did not load the last time that a backend needed it.
    Failed,
}

/// The schemas of the plugins' configurations are most of a report, and no part of how the host fares:
/// [`ScanReport`] itself has them.
fn without_schemas<S: Serializer>(report: &ScanReport, serializer: S) -> Result<S::Ok, S::Error> {
    let mut json = serde_json::to_value(report).map_err(serde::ser::Error::custom)?;
    let files = json["files"].as_array_mut();
    for file in files.into_iter().flatten() {
        if let Some(about) = file
            .get_mut("about")
            .and_then(|about| about.as_object_mut())
        {
            about.remove("config_schema");
        }
    }
    json.serialize(serializer)
}

/// One accepted plugin.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Version of the code in this process; of the file, as long as it is not loaded.
    pub version: String,
    /// URI schemes that it serves.
    pub schemes: Vec<String>,
    /// The ABI that it was built for, `major.minor`.
    pub abi: String,
    /// One line for people.
    pub summary: String,
    /// Its file; `None` when it is linked in.
    #[serde(serialize_with = "shown")]
    pub path: Option<PathBuf>,
    /// Where it stands.
    pub state: PluginState,
    /// Why it stands there, when that is not as it should be.
    pub reason: Option<String>,
    /// The operations that it has.
    pub operations: Vec<&'static str>,
    /// Operations that it implements and its descriptor does not claim, so that they are never called; known
    /// once it is loaded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unclaimed: Vec<&'static str>,
    /// The operations that the host does in its place.
    pub emulated: Vec<&'static str>,
    /// Operations that answer `Unsupported`.
    pub unsupported: Vec<&'static str>,
    /// The most operations that it takes at once; `None` for any number.
    pub max_in_flight: Option<u32>,
    /// The most that its instances may claim.
    pub capabilities: Vec<&'static str>,
    /// Whether its code is in this process.
    pub loaded: bool,
    /// Version in the file at its path, as the last scan judged it; `None` when that is no plugin of
    /// this name that would load, or it is linked in.
    pub judged_version: Option<String>,
    /// Its file now; `None` when it is linked in.
    pub file: Option<FileState>,
    /// How long it took to read and judge its file, in microseconds; `None` when it is linked in.
    pub inspect_us: Option<u64>,
    /// How long it took to map and check it, in microseconds, once it was.
    pub load_us: Option<u64>,
    /// Its instances that are there now, those included that end with their last body.
    pub instances: u64,
    /// SHA-256 of the mapped bytes, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Files of this plugin that are mapped in this process, the one in service and earlier ones.
    pub generations: u64,
    /// Publisher of the trusted key that signed the file, once it is loaded; `None` for a file without
    /// such a signature.
    pub signed_by: Option<String>,
    /// Whether the digest of the file is pinned, once it is loaded.
    pub pinned: Option<bool>,
    /// The smaller ABI minor of both sides, once it is loaded.
    pub effective_minor: Option<u16>,
    /// What went wrong inside it, once it is loaded.
    pub faults: Option<PluginFaults>,
    /// Why it did not load the last time it was tried.
    pub load_error: Option<ErrorStatus>,
}

/// What went wrong inside a plugin since it was mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PluginFaults {
    /// Panics that became an error of an operation.
    pub panics_in_calls: u64,
    /// Panics while something was dropped.
    pub panics_in_drops: u64,
    /// Panics in tasks and threads of the plugin.
    pub panics_in_tasks: u64,
    /// Operations that were still pending when their caller went away.
    pub abandoned: u64,
    /// Results that came after their caller had gone, and were freed.
    pub late_results: u64,
}

/// One backend.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BackendStatus {
    /// Its name.
    pub name: String,
    /// The plugin that its registration asks for.
    pub plugin: String,
    /// The version of the plugin that is open.
    pub plugin_version: Option<String>,
    /// Counts registrations of this name.
    pub generation: u64,
    /// `registered`, `opening`, `open`, `failed`, `backing_off` or `shut_down`.
    pub state: &'static str,
    /// What the instance says of itself.
    pub description: Option<String>,
    /// Tells instances with equal configurations from others, within this process.
    pub config_fingerprint: Option<String>,
    /// When the instance was opened, in seconds since 1970.
    pub opened_at: Option<u64>,
    /// How long that took, in microseconds.
    pub open_us: Option<u64>,
    /// What the instance claims.
    pub capabilities: Vec<&'static str>,
    /// Operations that the plugin does itself.
    pub operations: Vec<&'static str>,
    /// Operations that the host does in its place.
    pub emulated: Vec<&'static str>,
    /// What happened so far.
    pub counters: CounterReport,
    /// Whether its breaker is open; `None` when it has none.
    pub breaker_open: Option<bool>,
    /// Why the last open failed, or the last instance was given up.
    pub last_error: Option<ErrorStatus>,
}

/// An error, as status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ErrorStatus {
    /// Its stable code.
    pub code: String,
    /// One line.
    pub message: String,
    /// Its facts.
    pub facts: Vec<(String, String)>,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
}

impl From<&Error> for ErrorStatus {
    fn from(error: &Error) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let causes = error.cause().into_iter().flat_map(|cause| cause.chain());
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            facts: error.facts().map(own).collect(),
            causes: causes.map(|cause| cause.text.clone()).collect(),
        }
    }
}

/// A file's name need not be text, and one such name must not cost the whole report.
fn shown<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.collect_str(&path.display()),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl PluginStatus {
    pub(crate) fn of(plugin: &Candidate, report: &ScanReport) -> Self {
        // What runs may be newer than what was scanned.
        let running = plugin.loaded().map(|plugin| plugin.descriptor());
        let descriptor = running.unwrap_or(&plugin.descriptor);
        let judged = report.by_precedence().into_iter().find(|(file, judged)| {
            Some(&*file.path) == plugin.path() && judged.about.name == plugin.name()
        });
        let about = &descriptor.about;
        let (loaded, error) = (plugin.loaded(), plugin.load_error());
        let state = match (loaded, &error) {
            (Some(_), _) => PluginState::Loaded,
            (None, Some(_)) => PluginState::Failed,
            (None, None) => PluginState::Accepted,
        };
        Self {
            name: about.name.clone(),
            version: about.version.clone(),
            schemes: about.schemes.clone(),
            abi: format!("{}.{}", descriptor.abi_major, descriptor.abi_minor),
            summary: about.summary.clone(),
            path: match &plugin.origin {
                Origin::BuiltIn(_) => None,
                Origin::File(path) => Some(path.clone()),
            },
            state,
            reason: error
                .as_ref()
                .filter(|_| state == PluginState::Failed)
                .map(ToString::to_string),
            operations: descriptor.operations.names(),
            unclaimed: loaded.map_or_else(Vec::new, |plugin| plugin.unclaimed().names()),
            emulated: emulated(descriptor.operations).names(),
            unsupported: unsupported(descriptor.operations).names(),
            max_in_flight: Some(descriptor.max_in_flight).filter(|most| *most > 0),
            capabilities: descriptor.capabilities.names(),
            loaded: loaded.is_some(),
            judged_version: judged.map(|(_, judged)| judged.about.version.clone()),
            file: plugin.file_state(),
            inspect_us: plugin.inspected.map(micros),
            load_us: plugin.load_took().map(micros),
            instances: loaded.map_or(0, |plugin| {
                plugin.counters().instances.load(Ordering::Relaxed)
            }),
            sha256: loaded
                .and_then(|plugin| plugin.sha256())
                .map(|hash| config::hex(&hash)),
            generations: Plugin::generations(&about.name),
            signed_by: plugin.standing().and_then(|it| it.signed_by.clone()),
            pinned: plugin.standing().map(|it| it.pinned),
            effective_minor: loaded.map(|plugin| plugin.effective_minor()),
            faults: loaded.map(|plugin| PluginFaults::of(plugin)),
            load_error: error.as_ref().map(ErrorStatus::from),
        }
    }
}

impl PluginFaults {
    fn of(plugin: &Plugin) -> Self {
        let counters = plugin.counters();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            panics_in_calls: of(&counters.panics_in_calls),
            panics_in_drops: of(&counters.panics_in_drops),
            panics_in_tasks: of(&counters.panics_in_tasks),
            abandoned: of(&counters.abandoned),
            late_results: of(&counters.late_results),
        }
    }
}

/// `None` for a name whose backend was removed.
pub(crate) fn of_slot(slot: &Slot) -> Option<BackendStatus> {
    let generation = slot.current()?;
    let live = generation.live();
    let live = live.as_deref();
    let about = live.map(|opened| &opened.instance.plugin().descriptor().about);
    let since_1970 = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    Some(BackendStatus {
        name: slot.name.clone(),
        plugin: about.map_or_else(
            || generation.config.plugin.clone(),
            |about| about.name.clone(),
        ),
        plugin_version: about.map(|about| about.version.clone()),
        generation: generation.number,
        state: generation.state_name(),
        description: live
            .map(|opened| opened.description.clone())
            .filter(|text| !text.is_empty()),
        config_fingerprint: live.map(|opened| opened.fingerprint.clone()),
        opened_at: live.map(|opened| since_1970(opened.opened_at)),
        open_us: live.map(|opened| micros(opened.took)),
        capabilities: live.map_or_else(Vec::new, |opened| opened.terms.capabilities.names()),
        operations: live.map_or_else(Vec::new, |opened| opened.operations.names()),
        emulated: live.map_or_else(Vec::new, |opened| emulated(opened.operations).names()),
        counters: slot.counters.snapshot(),
        breaker_open: generation
            .guards
            .as_ref()
            .and_then(|it| it.breaker_is_open()),
        last_error: generation.last_error().as_ref().map(ErrorStatus::from),
    })
}
