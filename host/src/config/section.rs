//! A table of `holdall.toml` that the host keeps for the program in front of it.

use super::document::{child, join};
use super::plugin_settings::PluginSettings;
use super::problem::{Location, Problem, ProblemCode};

/// `[server]`: what belongs to the program in front of the host, kept as it was written.
///
/// The host does not know what may stand in it. The owner brings a JSON Schema and gets the values
/// back by [`Section::resolve`], judged as the configuration of a plugin is: variables laid over
/// (`HOLDALL_SERVER_<FIELD>`), references to secrets followed, every problem at once with its place
/// and a did-you-mean. `Debug` shows names and types, no value.
#[derive(Clone, Debug)]
pub struct Section {
    pub(super) name: &'static str,
    pub(super) settings: PluginSettings,
}

impl Section {
    pub(super) fn new(name: &'static str, settings: PluginSettings) -> Self {
        Self { name, settings }
    }

    /// Whether neither a table nor a variable was written.
    pub fn is_empty(&self) -> bool {
        self.settings.values.is_empty() && self.settings.variables.is_empty()
    }

    /// A problem with the value that these keys lead to, for what a schema cannot say. `found` is
    /// shown: no secret.
    pub fn problem(
        &self,
        keys: &[&str],
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Problem {
        let pointer = keys
            .iter()
            .fold(String::new(), |pointer, key| child(&pointer, key));
        let path = keys
            .iter()
            .fold(self.name.to_owned(), |path, key| join(&path, key));
        let place = self.place(&pointer, keys);
        Problem::new(ProblemCode::InvalidValue, path, place, expected, found).pointer(pointer)
    }

    fn place(&self, pointer: &str, keys: &[&str]) -> Location {
        let field = keys
            .iter()
            .map(|key| super::overlay::upper(key))
            .collect::<Vec<_>>()
            .join("__");
        let variables = &self.settings.variables;
        match variables.iter().find(|variable| variable.field == field) {
            Some(variable) => Location::Variable(variable.name.clone()),
            None => self.settings.place(pointer).clone(),
        }
    }
}

impl Default for Section {
    fn default() -> Self {
        Self::new("server", PluginSettings::default())
    }
}
