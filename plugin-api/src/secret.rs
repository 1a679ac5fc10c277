//! A text of a configuration that is shown nowhere.

use serde::Deserialize;
use std::fmt;

/// A password, key or token in a configuration.
///
/// Its schema says `x-secret`, so that the host takes a reference in its place (`env:NAME`, `file:PATH`), reads it
/// just before the backend opens, and takes the text out of every message and log. A plain `String` gets none of
/// this: `"env:NAME"` would be the secret itself.
///
/// The schema needs the feature `schema` in the plugin's dev-dependencies:
///
/// ```toml
/// [dev-dependencies]
/// holdall-plugin-api = { version = "0.1", features = ["schema"] }
/// ```
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Config {
///     password: holdall_plugin_api::Secret,
/// }
///
/// # fn main() -> Result<(), serde_json::Error> {
/// let config: Config = serde_json::from_str(r#"{ "password": "squeamish" }"#)?;
/// assert_eq!(config.password.reveal(), "squeamish");
/// assert_eq!(format!("{:?}", config.password), "Secret(..)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "x-secret": true})
    }
}
