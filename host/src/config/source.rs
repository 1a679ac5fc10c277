//! Sources of a configuration, and their merge.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::TrustRule;
use super::document;

use super::file::{self, FileConfig};
use super::problem::names;
use super::{
    BackendConfig, Config, ConfigProblems, Environment, LOCAL, Location, NAME_RULE, Problem,
    ProblemCode, is_backend_name, overlay,
};

/// What the program, or its command line, says itself. It wins over everything else.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// The configuration file; one that is named must be there.
    pub config_file: Option<PathBuf>,
    /// Folders of plugins. When there is one, those of file and environment do not count.
    pub plugin_dirs: Vec<PathBuf>,
    /// The default backend.
    pub default_backend: Option<String>,
    /// Where the host keeps what it remembers of plugins.
    pub state_dir: Option<PathBuf>,
}

/// Sources of a configuration.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sources {
    /// What the program says.
    pub flags: Flags,
    /// The environment; none unless the program hands it over.
    pub environment: Environment,
    /// The file that is read when none is named and this one is there.
    pub default_file: Option<PathBuf>,
    /// The backend that is added when none is configured. `None` adds nothing; the command takes
    /// [`BackendConfig::default_local`].
    pub fallback_backend: Option<BackendConfig>,
    /// What becomes of files that their group can write, where the configuration says nothing. A server
    /// refuses them. `None`: refused for root, else a warning.
    pub group_writable: Option<TrustRule>,
}

impl Config {
    /// Reads and merges, and keeps whatever is right beside a list of all that is not.
    ///
    /// ```no_run
    /// use holdall::config::{Config, Sources};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut sources = Sources::default();
    /// sources.default_file = Some("holdall.toml".into());
    /// let (config, problems) = Config::read(&sources);
    /// for problem in problems.iter() {
    ///     eprintln!("{problem}");
    /// }
    /// problems.into_result()?;
    /// println!("{} backends", config.backends.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn read(sources: &Sources) -> (Config, ConfigProblems) {
        let mut problems = Vec::new();
        let Sources {
            flags,
            environment,
            default_file,
            ..
        } = sources;

        let named = flags
            .config_file
            .clone()
            .or_else(|| environment.paths("HOLDALL_CONFIG").map(PathBuf::from));
        let file = named.or_else(|| default_file.clone().filter(|file| file.exists()));
        let mut from_file = FileConfig::default();
        if let Some(file) = &file {
            match file::load(file, config_rule(environment), sources.group_writable) {
                Ok(text) => from_file = file::parse(file, &text, &mut problems),
                Err(problem) => problems.push(*problem),
            }
        }
        let config = Self::merge(from_file, file, sources, &mut problems);
        (config, problems.into_iter().collect())
    }

    /// Lays environment and flags over what a file says. `problems` holds those of the file.
    pub(super) fn merge(
        from_file: FileConfig,
        file: Option<PathBuf>,
        sources: &Sources,
        problems: &mut Vec<Problem>,
    ) -> Config {
        let Sources {
            flags, environment, ..
        } = sources;
        // What the broken part of a file would have declared cannot be told: names that are
        // missing now would be reported by mistake.
        let whole = problems.iter().all(|problem| {
            !matches!(problem.code, ProblemCode::Syntax | ProblemCode::Unreadable)
                && problem.path != "backend"
        });
        let mut config = Config {
            file,
            plugin_dirs: plugin_dirs(flags, environment, from_file.plugin_dirs),
            default_backend: None,
            backends: from_file.backends,
            plugins: from_file.plugins,
            gateway: from_file.gateway,
            audit: from_file.audit,
            ledger: from_file.ledger,
            server: from_file.server,
            trust: from_file.trust,
            trial: from_file.trial,
            quarantine: from_file.quarantine,
            upgrade: from_file.upgrade,
            state_dir: flags.state_dir.clone().or_else(|| state_dir(environment)),
            environment: environment.clone(),
        };
        let group_writable = &mut config.trust.group_writable;
        *group_writable = group_writable.or(sources.group_writable);
        let default = flags
            .default_backend
            .clone()
            .map(|name| (name, Location::Flag("--backend")))
            .or_else(|| {
                let name = environment.non_empty("HOLDALL_BACKEND")?;
                Some((
                    name.to_owned(),
                    Location::Variable("HOLDALL_BACKEND".to_owned()),
                ))
            })
            .or(from_file.default_backend);
        config.set_default(default, sources.fallback_backend.as_ref(), whole, problems);
        overlay::apply(&mut config, whole, problems);
        config.check_aliases(problems);
        let paths = ["HOLDALL_CONFIG", "HOLDALL_PLUGIN_DIR"];
        let others = environment.not_text().filter(|name| !paths.contains(name));
        problems.extend(others.map(|name| {
            let place = Location::Variable(name.to_owned());
            Problem::new(
                ProblemCode::InvalidValue,
                "",
                place,
                "a text in UTF-8",
                "other bytes",
            )
        }));
        config
    }

    /// As [`Config::read`], for those who take nothing less than a right one.
    ///
    /// # Errors
    ///
    /// Every problem.
    pub fn load(sources: &Sources) -> Result<Config, ConfigProblems> {
        let (config, problems) = Self::read(sources);
        problems.into_result().map(|()| config)
    }

    fn set_default(
        &mut self,
        default: Option<(String, Location)>,
        fallback: Option<&BackendConfig>,
        whole: bool,
        problems: &mut Vec<Problem>,
    ) {
        let Some((name, place)) = default else {
            if self.backends.is_empty()
                && whole
                && let Some(fallback) = fallback
            {
                self.insert(fallback.clone());
            }
            self.default_backend = if self.backends.contains_key(LOCAL) {
                Some(LOCAL.to_owned())
            } else {
                let mut names = self.backends.keys();
                names.next().filter(|_| names.next().is_none()).cloned()
            };
            return;
        };
        if !is_backend_name(&name) {
            let found = format!("{name:?}");
            problems.push(Problem::new(
                ProblemCode::InvalidName,
                "default_backend",
                place,
                NAME_RULE,
                found,
            ));
            return;
        }
        if self.has_alias(&name) {
            self.default_backend = Some(name);
            return;
        }
        if !self.backends.contains_key(&name) && whole {
            // A container without any file names its backend and sets its fields in variables.
            let prefix = overlay::prefix(&name);
            let has_variables = self.environment.with_prefix(&prefix).next().is_some();
            if self.backends.is_empty()
                && let Some(fallback) = fallback.filter(|it| it.name == name)
            {
                self.insert(fallback.clone());
            } else if self.backends.is_empty() || has_variables {
                let mut backend = BackendConfig::bare(name.clone(), name.clone());
                backend.settings.place = place;
                self.insert(backend);
            } else {
                let known = || self.backends.keys().map(String::as_str);
                problems.push(
                    Problem::new(
                        ProblemCode::UnknownBackend,
                        "default_backend",
                        place,
                        format!("one of {}", names(known())),
                        format!("{name:?}"),
                    )
                    .suggest(&name, known())
                    .fix(format!("configure it as [backend.{name}]")),
                );
                return;
            }
        }
        self.default_backend = Some(name);
    }

    fn has_alias(&self, name: &str) -> bool {
        let mut aliases = self.backends.values().flat_map(|it| &it.mount.aliases);
        aliases.any(|alias| alias == name)
    }

    /// Each alias belongs to one backend and is no backend's name.
    fn check_aliases(&self, problems: &mut Vec<Problem>) {
        let mut taken: BTreeMap<&str, &str> = self
            .backends
            .keys()
            .map(|name| (name.as_str(), name.as_str()))
            .collect();
        for backend in self.backends.values() {
            for alias in &backend.mount.aliases {
                if let Some(owner) = taken.insert(alias, &backend.name) {
                    problems.push(Problem::new(
                        ProblemCode::Duplicate,
                        format!("{}.aliases", document::join("backend", &backend.name)),
                        backend.settings.place.clone(),
                        "a name that no other backend has",
                        format!("{alias:?}, a name of {owner:?}"),
                    ));
                }
            }
        }
    }

    /// Adds a backend; one of the same name is replaced.
    pub fn insert(&mut self, backend: BackendConfig) {
        self.backends.insert(backend.name.clone(), backend);
    }
}

/// What becomes of a configuration file that others own or write. Not a key of that file.
fn config_rule(environment: &Environment) -> TrustRule {
    match environment.get("HOLDALL_TRUST_CONFIG") {
        Some("allow") => TrustRule::Allow,
        Some("warn") => TrustRule::Warn,
        _ => TrustRule::Refuse,
    }
}

/// `$STATE_DIRECTORY` of systemd, else the place of the XDG Base Directory Specification.
fn state_dir(environment: &Environment) -> Option<PathBuf> {
    let variable = |name: &str| environment.non_empty(name);
    if let Some(directories) = variable("STATE_DIRECTORY") {
        // One for each `StateDirectory=` of the unit.
        return std::env::split_paths(directories).next();
    }
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|it| it.is_absolute())
    };
    // Windows has `LOCALAPPDATA`, and `HOME` only by other programs.
    let local = || absolute("LOCALAPPDATA").filter(|_| cfg!(windows));
    let home = || local().or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    let state = absolute("XDG_STATE_HOME").or_else(home);
    state.map(|state| state.join("holdall"))
}

fn plugin_dirs(
    flags: &Flags,
    environment: &Environment,
    from_file: Option<Vec<PathBuf>>,
) -> Vec<PathBuf> {
    if !flags.plugin_dirs.is_empty() {
        return flags.plugin_dirs.clone();
    }
    match environment.paths("HOLDALL_PLUGIN_DIR") {
        Some(dirs) => std::env::split_paths(dirs)
            .filter(|dir| !dir.as_os_str().is_empty())
            .collect(),
        None => from_file.unwrap_or_default(),
    }
}
