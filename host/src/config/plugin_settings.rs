//! A plugin's configuration as it was written, with the place of every value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::{Location, SecretText};

/// What was written for one backend's plugin, before any schema is known.
#[derive(Clone, Default)]
pub(super) struct PluginSettings {
    pub(super) values: Map<String, Value>,
    /// Where the whole was written.
    pub(super) place: Location,
    /// Where single values were written, by JSON Pointer; a value without one was written with
    /// what it stands in.
    pub(super) places: BTreeMap<String, Location>,
    /// Pointers of values that could not be read and were reported.
    pub(super) faults: BTreeSet<String>,
    /// What the environment says; read as the schema wants once that is known.
    pub(super) variables: Vec<Variable>,
}

/// One variable that sets a field.
#[derive(Clone)]
pub(super) struct Variable {
    /// Its whole name.
    pub(super) name: String,
    /// The part after the backend's name, such as `ROOT`.
    pub(super) field: String,
    pub(super) text: SecretText,
}

impl PluginSettings {
    /// Whether the same was written, wherever.
    pub(super) fn is_as_written(&self, other: &Self) -> bool {
        let variables = |settings: &Self| -> Vec<(String, SecretText)> {
            let variables = settings.variables.iter();
            variables
                .map(|variable| (variable.field.clone(), variable.text.clone()))
                .collect()
        };
        self.values == other.values && variables(self) == variables(other)
    }

    /// Whether a value or a variable may refer to a file.
    pub(super) fn may_refer_to_files(&self) -> bool {
        fn refers(value: &Value) -> bool {
            match value {
                Value::String(text) => text.starts_with("file:"),
                Value::Array(items) => items.iter().any(refers),
                Value::Object(members) => members.values().any(refers),
                _ => false,
            }
        }
        let variables = self.variables.iter();
        self.values.values().any(refers)
            || variables
                .map(|it| it.text.expose())
                .any(|text| text.starts_with("file:"))
    }

    pub(super) fn new(values: Map<String, Value>, place: Location) -> Self {
        Self {
            values,
            place,
            ..Self::default()
        }
    }

    /// Where the value at this pointer, or what it stands in, was written.
    pub(super) fn place(&self, pointer: &str) -> &Location {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return place;
            }
            match pointer.rfind('/') {
                Some(0) | None => return &self.place,
                Some(end) => pointer = &pointer[..end],
            }
        }
    }
}

/// Names and types, no value: which of them are secret is not known here.
impl fmt::Debug for PluginSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self
            .values
            .iter()
            .map(|(key, value)| (key.as_str(), super::schema::type_name(value)));
        let variables = self
            .variables
            .iter()
            .map(|variable| (variable.name.as_str(), "variable"));
        f.debug_map().entries(types.chain(variables)).finish()
    }
}
