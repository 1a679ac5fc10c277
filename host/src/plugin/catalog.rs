//! Registry of known plugins, linked-in and scanned. Libraries are mapped lazily.

use super::PluginRef;
use super::errors;
use super::fault::{Code, Fault};
use super::inspect::Verdict;
use super::load::{Image, Mapped, Plugin};
use super::quarantine::Quarantine;
use super::scan::{self, ScanReport, Shadowed};
use super::trial::{Opening, Trial, Trials};
use super::trust::{Standing, Trust};
use crate::config::{Config, PluginRule};
use crate::platform::file_facts::Stamp;
use holdall_plugin_api::StaticPlugin;
use holdall_plugin_api::descriptor::Descriptor;
use holdall_plugin_api::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The file of a plugin now, beside what is mapped, or what was judged as long as nothing is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileState {
    /// The same file, with the same size and times.
    Unchanged,
    /// Another file, or one that was written to: the next start of the process uses it.
    Changed,
    /// Nothing lies there that could be looked at.
    Missing,
}

/// Where a plugin comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    BuiltIn(Arc<Plugin>),
    File(PathBuf),
}

/// A plugin that was accepted and is loaded when a backend needs it.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) descriptor: Descriptor,
    pub(crate) origin: Origin,
    judges: Arc<Judges>,
    standing: OnceLock<Standing>,
    /// How long its file took to judge; `None` for a plugin that is linked in.
    pub(crate) inspected: Option<Duration>,
    /// The facts of the file that was judged.
    judged: Option<Stamp>,
    /// The facts of the file whose bytes were mapped.
    mapped: OnceLock<Stamp>,
    loaded: OnceLock<Arc<Plugin>>,
    load_took: OnceLock<Duration>,
    /// One at a time: reading and hashing a file is not done twice for nothing.
    loading: Mutex<()>,
    load_error: Mutex<Option<Error>>,
}

impl Candidate {
    fn new(
        descriptor: Descriptor,
        origin: Origin,
        inspected: Option<(Duration, Option<Stamp>)>,
        judges: Arc<Judges>,
    ) -> Arc<Self> {
        let loaded = OnceLock::new();
        if let Origin::BuiltIn(plugin) = &origin {
            let _ = loaded.set(plugin.clone());
        }
        Arc::new(Self {
            descriptor,
            origin,
            judges,
            standing: OnceLock::new(),
            inspected: inspected.map(|(took, _)| took),
            judged: inspected.and_then(|(_, stamp)| stamp),
            mapped: OnceLock::new(),
            loaded,
            load_took: OnceLock::new(),
            loading: Mutex::default(),
            load_error: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.descriptor.about.name
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::BuiltIn(_) => None,
            Origin::File(path) => Some(path),
        }
    }

    /// Its file now, beside what was mapped, or judged as long as nothing is mapped.
    pub(crate) fn file_state(&self) -> Option<FileState> {
        let known = self.mapped.get().copied().or(self.judged);
        Some(match Stamp::at(self.path()?) {
            Ok(now) if Some(now) == known => FileState::Unchanged,
            Ok(_) => FileState::Changed,
            Err(_) => FileState::Missing,
        })
    }

    pub(crate) fn loaded(&self) -> Option<&Arc<Plugin>> {
        self.loaded.get()
    }

    /// Who signed it and whether it is pinned; known once it is loaded.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.standing.get()
    }

    pub(crate) fn load_took(&self) -> Option<Duration> {
        self.load_took.get().copied()
    }

    pub(crate) fn load_error(&self) -> Option<Error> {
        self.load_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Maps the file, once. Blocks for milliseconds.
    pub(crate) fn load(&self) -> Result<Arc<Plugin>> {
        self.load_for(None)
    }

    /// As [`Candidate::load`], for a backend with this configuration.
    fn load_for(&self, live: Live<'_>) -> Result<Arc<Plugin>> {
        if let Some(plugin) = self.loaded.get() {
            return Ok(plugin.clone());
        }
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = self.loaded.get() {
            return Ok(plugin.clone());
        }
        let Origin::File(path) = &self.origin else {
            return Err(Error::new(ErrorKind::Other));
        };
        let started = Instant::now();
        let outcome = load_file(path, Some(self.name()), &self.judges, live);
        let mut last = self
            .load_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = outcome.as_ref().err().cloned();
        let (plugin, standing, stamp) = outcome?;
        let _ = self.standing.set(standing);
        let _ = self.mapped.set(stamp);
        let _ = self.load_took.set(started.elapsed());
        let _ = self.loaded.set(plugin.clone());
        Ok(plugin)
    }
}

/// What judges a file before it is mapped.
#[derive(Debug)]
pub(crate) struct Judges {
    trust: Trust,
    /// `None`: plugins are not tried in a child.
    trials: Option<Trials>,
    /// `None`: crashes are not recorded.
    quarantine: Option<Quarantine>,
}

/// The configuration of the backend that needs a plugin, for its trial.
pub(crate) type Live<'a> = Option<&'a (dyn Fn(&Descriptor) -> Option<Opening> + Send + Sync)>;

/// Judges and maps a file. `name` is what a scan found in it; `None` for a file that was named itself,
/// outside of a plugin directory.
fn load_file(
    path: &Path,
    name: Option<&str>,
    judges: &Judges,
    live: Live<'_>,
) -> Result<(Arc<Plugin>, Standing, Stamp)> {
    let trust = &judges.trust;
    let refused = |faults: Vec<Fault>| errors::plugin_load(path, &faults);
    let directory = path.parent().filter(|_| name.is_some());
    trust.before(path, directory).map_err(refused)?;
    let label = path.file_name().unwrap_or_default().to_string_lossy();
    // Read once: what is compared, judged and mapped are the same bytes.
    let image = Image::read(path, name.unwrap_or(&label)).map_err(refused)?;
    if let Some(name) = name {
        trust.digest(name, &image.sha256()).map_err(refused)?;
    }
    let mut standing = Standing::default();
    let admit = |image: &Image, descriptor: &Descriptor, Mapped(mapped): Mapped| {
        let about = &descriptor.about;
        if let Some(name) = name.filter(|name| *name != about.name) {
            let fault = Fault::new(Code::PluginChanged).expected(format!("the plugin {name:?}"));
            return Err(vec![fault.found(format!("{:?}", about.name))]);
        }
        if let Some(quarantine) = judges.quarantine.as_ref().filter(|_| !mapped) {
            quarantine.judge(&image.sha256())?;
        }
        standing = trust.bytes(path, image, &about.name, &about.version)?;
        match &judges.trials {
            Some(trials) if !mapped => {
                trials.judge(image, descriptor, || live.and_then(|live| live(descriptor)))
            }
            _ => Ok(()),
        }
    };
    let stamp = image.stamp();
    let plugin = Plugin::load(image, path, admit).map_err(refused)?;
    Ok((plugin, standing, stamp))
}

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<String, Arc<Candidate>>,
    by_scheme: BTreeMap<String, Arc<Candidate>>,
    report: Arc<ScanReport>,
    shadowed: Vec<Shadowed>,
}

const TAKEN: &str = "the first to claim it keeps it: built-in plugins, then directories in their order, within one the highest version, then file names in byte order; a scan never replaces what has a name";

/// The plugins of one host.
#[derive(Debug)]
pub(crate) struct Catalog {
    dirs: Vec<PathBuf>,
    rules: BTreeMap<String, PluginRule>,
    judges: Arc<Judges>,
    known: RwLock<Known>,
    /// Linked-in plugins that were checked, so that each is checked once.
    linked: Mutex<Vec<(&'static StaticPlugin, Arc<Plugin>)>>,
}

impl Catalog {
    pub(crate) fn new(
        config: &Config,
        trial: Option<Trial>,
        quarantine: Option<Quarantine>,
    ) -> Self {
        Self {
            dirs: config.plugin_dirs.clone(),
            rules: config.plugins.clone(),
            judges: Arc::new(Judges {
                trust: Trust::new(config),
                quarantine,
                trials: trial.and_then(|trial| Trials::new(trial, config)),
            }),
            known: RwLock::default(),
            linked: Mutex::default(),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a linked-in plugin, through the same checks as a file.
    pub(crate) fn add_built_in(&self, plugin: &'static StaticPlugin) -> Result<()> {
        let plugin = self.linked(plugin)?;
        let descriptor = plugin.descriptor().clone();
        let rule = self.rule(&descriptor);
        if rule.disabled {
            return Ok(());
        }
        let candidate = Candidate::new(
            descriptor,
            Origin::BuiltIn(plugin),
            None,
            self.judges.clone(),
        );
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.take(&candidate);
        Ok(())
    }

    fn linked(&self, plugin: &'static StaticPlugin) -> Result<Arc<Plugin>> {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = linked
            .iter()
            .find(|(known, _)| std::ptr::eq(*known, plugin));
        if let Some((_, checked)) = known {
            return Ok(checked.clone());
        }
        let checked = Plugin::linked(plugin)
            .map_err(|faults| errors::plugin_load(Path::new(errors::BUILT_IN), &faults))?;
        linked.push((plugin, checked.clone()));
        Ok(checked)
    }

    fn rule(&self, descriptor: &Descriptor) -> PluginRule {
        self.rules
            .get(&descriptor.about.name)
            .cloned()
            .unwrap_or_default()
    }

    /// Reads the directories again. What has a name keeps it; new names are added. Only a file that
    /// was never loaded and is no longer what it was loses its name: no backend used it yet.
    pub(crate) fn scan(&self) -> Arc<ScanReport> {
        if self.dirs.is_empty() {
            return self.read().report.clone();
        }
        let report = Arc::new(scan::scan_trusted(&self.dirs, &self.judges.trust));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known
            .shadowed
            .retain(|shadowed| shadowed.loser == Path::new(errors::BUILT_IN));
        known.forget_changed(&report);
        for (file, descriptor) in report.by_precedence() {
            let rule = self.rule(descriptor);
            if rule.disabled {
                continue;
            }
            let same = known.by_name.get(&descriptor.about.name);
            if same.is_some_and(|known| known.path() == Some(&file.path)) {
                continue;
            }
            let origin = Origin::File(file.path.clone());
            known.take(&Candidate::new(
                descriptor.clone(),
                origin,
                Some((file.took, file.stamp)),
                self.judges.clone(),
            ));
        }
        known.report = report.clone();
        for shadowed in &known.shadowed {
            tracing::warn!(
                target: "holdall",
                winner = %shadowed.winner.display(),
                loser = %shadowed.loser.display(),
                "two plugins claim the {} {:?}: the first is used",
                shadowed.claim,
                shadowed.value,
            );
        }
        report
    }

    /// Loaded plugins whose winning file holds other bytes now, each with a candidate for those. Blocks.
    pub(crate) fn upgrades(&self) -> Vec<(Arc<Candidate>, Arc<Candidate>)> {
        let report = self.scan();
        let mut winners = BTreeMap::new();
        for (file, descriptor) in report.by_precedence() {
            let name = descriptor.about.name.clone();
            winners.entry(name).or_insert((file, descriptor));
        }
        let other = |old: &Arc<Candidate>| {
            let mapped = old.loaded()?.sha256()?;
            let (file, descriptor) = winners.get(old.name())?;
            let bytes = Image::read(&file.path, old.name()).ok()?;
            (bytes.sha256() != mapped).then(|| {
                let origin = Origin::File(file.path.clone());
                let descriptor = Descriptor::clone(descriptor);
                let inspected = Some((file.took, file.stamp));
                Candidate::new(descriptor, origin, inspected, self.judges.clone())
            })
        };
        let known = self.candidates();
        let found = known.into_iter().filter_map(|old| {
            let new = other(&old)?;
            Some((old, new))
        });
        found.collect()
    }

    /// Gives the names of a plugin to a candidate for another file of it.
    pub(crate) fn replace(&self, new: &Arc<Candidate>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.by_scheme.retain(|_, old| old.name() != new.name());
        known.by_name.insert(new.name().to_owned(), new.clone());
        for scheme in &new.descriptor.about.schemes {
            let schemes = &mut known.by_scheme;
            schemes.entry(scheme.clone()).or_insert_with(|| new.clone());
        }
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.judges.trust
    }

    pub(crate) fn report(&self) -> Arc<ScanReport> {
        self.read().report.clone()
    }

    pub(crate) fn shadowed(&self) -> Vec<Shadowed> {
        self.read().shadowed.clone()
    }

    pub(crate) fn candidates(&self) -> Vec<Arc<Candidate>> {
        self.read().by_name.values().cloned().collect()
    }

    pub(crate) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    pub(crate) fn rules(&self) -> &BTreeMap<String, PluginRule> {
        &self.rules
    }

    /// The candidate of this name or scheme.
    ///
    /// # Errors
    ///
    /// `PluginLoad`: there is none, with what was searched and what is near.
    pub(crate) fn candidate(&self, asked: &str) -> Result<Arc<Candidate>> {
        let known = self.read();
        let candidate = known
            .by_name
            .get(asked)
            .or_else(|| known.by_scheme.get(asked));
        candidate.cloned().ok_or_else(|| {
            let names: Vec<_> = known
                .by_name
                .keys()
                .chain(known.by_scheme.keys())
                .cloned()
                .collect();
            let disabled = self.rules.get(asked).is_some_and(|rule| rule.disabled);
            errors::no_such_plugin(asked, disabled, &names, &self.dirs, &known.report)
        })
    }

    /// The longest that a trial may delay a mapping.
    pub(crate) fn longest_trial(&self) -> Duration {
        self.judges
            .trials
            .as_ref()
            .map_or(Duration::ZERO, Trials::longest)
    }

    /// The plugin itself, mapped now if need be.
    pub(crate) async fn plugin(
        &self,
        asked: &PluginRef,
        candidate: Option<&Arc<Candidate>>,
        live: impl Fn(&Descriptor) -> Option<Opening> + Send + Sync + 'static,
    ) -> Result<Arc<Plugin>> {
        let job: Box<dyn FnOnce() -> Result<Arc<Plugin>> + Send> = match asked {
            PluginRef::Named(name) => {
                let candidate = match candidate {
                    Some(candidate) => candidate.clone(),
                    None => self.candidate(name)?,
                };
                if let Some(plugin) = candidate.loaded() {
                    return Ok(plugin.clone());
                }
                Box::new(move || candidate.load_for(Some(&live)))
            }
            PluginRef::BuiltIn(plugin) => {
                return self.linked(plugin);
            }
            PluginRef::File(path) => {
                let (path, judges) = (path.clone(), self.judges.clone());
                Box::new(move || {
                    let loaded = load_file(&path, None, &judges, Some(&live));
                    loaded.map(|(plugin, ..)| plugin)
                })
            }
        };
        tokio::task::spawn_blocking(job).await.map_err(|ended| {
            Error::new(ErrorKind::Cancelled)
                .with_message("loading the plugin was cut off")
                .because(ended)
        })?
    }
}

impl Known {
    fn forget_changed(&mut self, report: &ScanReport) {
        let stays = |_: &String, candidate: &mut Arc<Candidate>| {
            let Some(path) = candidate.path().filter(|_| candidate.loaded().is_none()) else {
                return true;
            };
            let mut files = report.files.iter();
            files.any(|file| {
                file.path == path
                    && file.verdict() == Verdict::Accepted
                    && file.descriptor.as_ref() == Some(&candidate.descriptor)
            })
        };
        self.by_name.retain(stays);
        self.by_scheme.retain(stays);
    }

    /// Gives a candidate the names that are still free.
    fn take(&mut self, candidate: &Arc<Candidate>) {
        let named = self.by_name.get(candidate.name());
        if let Some(winner) = named {
            let shadowed = shadow("name", candidate.name(), winner, candidate);
            // A file that may not be called by its name is not used at all.
            self.shadowed.push(shadowed);
            return;
        }
        self.by_name
            .insert(candidate.name().to_owned(), candidate.clone());
        for scheme in &candidate.descriptor.about.schemes {
            match self.by_scheme.get(scheme) {
                Some(winner) => {
                    let shadowed = shadow("scheme", scheme, winner, candidate);
                    self.shadowed.push(shadowed);
                }
                None => {
                    self.by_scheme.insert(scheme.clone(), candidate.clone());
                }
            }
        }
    }
}

fn shadow(claim: &'static str, value: &str, winner: &Candidate, loser: &Candidate) -> Shadowed {
    let shown = |candidate: &Candidate| match candidate.path() {
        Some(path) => path.to_owned(),
        None => PathBuf::from(errors::BUILT_IN),
    };
    Shadowed {
        claim,
        value: value.to_owned(),
        winner: shown(winner),
        loser: shown(loser),
        rule: TAKEN,
    }
}
