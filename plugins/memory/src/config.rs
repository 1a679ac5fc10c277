//! The configuration `[backend.NAME.config]`.

use serde::Deserialize;

/// Objects in memory.
//
// Unknown fields are errors, so that a typing mistake is never a silent default. The comments of
// the fields become the JSON Schema's descriptions, which `holdall` shows to operators.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryConfig {
    /// Limit of the size of all objects together, in bytes; default: no limit. An upload or copy above
    /// it fails with `quota_exceeded`.
    pub max_bytes: Option<u64>,
    /// Keeps every version of an object until it is deleted by its name; a delete without a version leaves a marker.
    #[serde(default)]
    pub versions: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_named() {
        let config: MemoryConfig = serde_json::from_str(r#"{"max_bytes": 7}"#).unwrap();
        assert_eq!(config.max_bytes, Some(7));
        let error = serde_json::from_str::<MemoryConfig>(r#"{"max_byte": 7}"#).unwrap_err();
        assert!(error.to_string().contains("max_byte"), "{error}");
    }
}
