//! Keys under a prefix that callers never see.
//!
//! Applied where the plugin is called and nowhere else: the rest of the host, page tokens, gateway URLs
//! and errors know the caller's keys only.

use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{Error, ErrorKind, Key, KeyPolicy, Page, Result};

/// What a prefix is, in words.
pub(crate) const RULE: &str =
    "a prefix that is a key and a \"/\" at its end, such as \"tenants/a/\"";

#[derive(Debug)]
pub(crate) struct Prefix(String);

/// # Errors
///
/// Why it is none.
pub(crate) fn check(prefix: &str) -> std::result::Result<(), String> {
    let Some(folder) = prefix.strip_suffix('/') else {
        return Err(format!("{prefix:?}, which does not end in \"/\""));
    };
    KeyPolicy::Portable
        .check(folder)
        .map_err(|fault| format!("{prefix:?}: {fault}"))
}

impl Prefix {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    pub(crate) fn join(&self, text: &str) -> String {
        let mut whole = String::with_capacity(self.0.len() + text.len());
        whole.push_str(&self.0);
        whole.push_str(text);
        whole
    }

    /// The key in the store. The caller's own part was checked before; the whole may be too long.
    ///
    /// # Errors
    ///
    /// `InvalidKey`.
    pub(crate) fn key(&self, key: &Key, terms: &Terms) -> Result<String> {
        let whole = self.join(key.text());
        terms.key(&whole).map_err(|_| {
            Error::new(ErrorKind::InvalidKey)
                .with_message("the key is too long for this backend")
                .with_fact("longest", 1024_usize.saturating_sub(self.0.len()))
        })?;
        Ok(whole)
    }

    /// Takes the prefix off names.
    ///
    /// # Errors
    ///
    /// `PluginFault`: a name without it.
    pub(crate) fn strip_names<'n>(
        &self,
        names: impl Iterator<Item = &'n mut String>,
    ) -> Result<()> {
        for name in names {
            if !name.starts_with(&self.0) {
                return Err(Error::new(ErrorKind::PluginFault)
                    .with_message("a listing that leaves its prefix"));
            }
            name.drain(..self.0.len());
        }
        Ok(())
    }

    /// Takes the prefix off a page.
    ///
    /// # Errors
    ///
    /// `PluginFault`: a name without it.
    pub(crate) fn strip(&self, page: &mut Page) -> Result<()> {
        let keys = page.entries.iter_mut().map(|entry| &mut entry.key);
        self.strip_names(keys.chain(&mut page.common_prefixes))?;
        // What is called like the prefix itself is a placeholder of the folder.
        let before = page.entries.len();
        page.entries.retain(|entry| !entry.key.is_empty());
        page.skipped += (before - page.entries.len()) as u64;
        page.common_prefixes.retain(|group| !group.is_empty());
        Ok(())
    }
}
