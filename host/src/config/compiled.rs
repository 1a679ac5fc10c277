//! A JSON Schema that is compiled once, however many configurations it judges.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::schema_budget::{MAX_BACKTRACKING, MAX_PATTERN_SIZE, check_budget};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// The JSON Schema of a plugin's configuration, or of a [`super::Section`]. Cheap to clone.
///
/// Compiling one costs some hundred times what judging a configuration does, and a backend is judged
/// whenever it opens.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    value: Value,
    /// Compiled on first use. An error is reported with the first configuration that needs it.
    validator: OnceLock<Result<Validator, String>>,
}

impl Schema {
    /// The schema itself.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// The compiled schema.
    ///
    /// # Errors
    ///
    /// Why it is no schema, or which bound it exceeds.
    pub(crate) fn validator(&self) -> Result<&Validator, &str> {
        let compiled = self.0.validator.get_or_init(|| {
            check_budget(&self.0.value)?;
            let patterns = PatternOptions::fancy_regex()
                .size_limit(MAX_PATTERN_SIZE)
                .dfa_size_limit(MAX_PATTERN_SIZE)
                .backtrack_limit(MAX_BACKTRACKING);
            jsonschema::options()
                .with_pattern_options(patterns)
                // A plugin's schema reaches nothing outside itself: neither a file nor the network.
                .offline()
                .should_validate_formats(true)
                .build(&self.0.value)
                // Schemas hold no secrets: this text may be shown.
                .map_err(|error| error.to_string())
        });
        compiled.as_ref().map_err(String::as_str)
    }
}

impl From<Value> for Schema {
    fn from(value: Value) -> Self {
        let validator = OnceLock::new();
        Self(Arc::new(Inner { value, validator }))
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.0.value).finish()
    }
}
