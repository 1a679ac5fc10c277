//! The environment as a value: read once, by request, and handed on explicitly.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// The variables that configuration may draw on.
///
/// Empty by default, so that a library never reads the process's environment unless its program
/// asked for it. `Debug` shows names only, because values may be secrets.
///
/// ```
/// use holdall::config::Environment;
///
/// let environment = Environment::from_iter([("HOLDALL_BACKEND", "avatars")]);
/// assert_eq!(environment.get("HOLDALL_BACKEND"), Some("avatars"));
/// assert_eq!(Environment::none().get("HOLDALL_BACKEND"), None);
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Variables of ours whose values are not UTF-8. Paths may be anything.
    not_text: BTreeMap<String, OsString>,
    /// Whether anybody handed one over; it changes the advice when a reference leads to nothing.
    given: bool,
}

impl Environment {
    /// No variable at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// The variables of this process, as they are now. Values that are not UTF-8 are kept where they
    /// are paths (`HOLDALL_CONFIG`, `HOLDALL_PLUGIN_DIR`); in other variables of Holdall they are a
    /// problem of the configuration.
    ///
    /// Of a process with more rights than its caller (set-user-ID, file capabilities) none is taken:
    /// the caller chose them.
    pub fn of_process() -> Self {
        if crate::platform::privileges::are_raised() {
            tracing::warn!(target: "holdall", "the environment is ignored: this process has more rights than its caller");
            return std::iter::empty::<(OsString, OsString)>().collect();
        }
        std::env::vars_os().collect()
    }

    /// The value of a variable that holds paths, where an empty one counts as not set.
    pub(crate) fn paths(&self, name: &str) -> Option<&OsStr> {
        let text = self.non_empty(name).map(OsStr::new);
        text.or_else(|| self.not_text.get(name).map(OsString::as_os_str))
    }

    /// Names of our variables whose values are not UTF-8.
    pub(crate) fn not_text(&self) -> impl Iterator<Item = &str> {
        self.not_text.keys().map(String::as_str)
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The value of a variable, where an empty one counts as not set.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether one was handed over.
    pub(crate) fn is_given(&self) -> bool {
        self.given
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// Names and values of the variables whose name begins so, with the rest of the name.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        self.variables
            .iter()
            .filter_map(move |(name, value)| Some((&**name, name.strip_prefix(prefix)?, &**value)))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let mut environment = Self {
            given: true,
            ..Self::default()
        };
        for (name, value) in variables {
            let Ok(name) = name.into().into_string() else {
                continue;
            };
            match value.into().into_string() {
                Ok(value) => drop(environment.variables.insert(name, value)),
                Err(value) if name.starts_with("HOLDALL_") => {
                    environment.not_text.insert(name, value);
                }
                Err(_) => {}
            }
        }
        environment
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
