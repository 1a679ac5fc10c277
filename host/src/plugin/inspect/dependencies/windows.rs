//! Libraries that a plugin for Linux needs. Windows loads none, and knows no place to look for them.

/// Most files that are looked for: names times folders.
pub(super) const MAX_LOOKUPS: usize = 8192;

/// Always none: the file is refused for its format.
pub(super) fn missing(_needed: &[String], _paths: &[String]) -> Result<Vec<String>, usize> {
    Ok(Vec::new())
}
