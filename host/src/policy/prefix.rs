//! Keys under a prefix that callers never see.
//!
//! Applied where the plugin is called and nowhere else: the rest of the host, page tokens, gateway URLs
//! and errors know the caller's keys only.

use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{Error, ErrorKind, Key, KeyPolicy, Page, Result, UploadPage, VersionPage};

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

    /// Takes the prefix off a page.
    ///
    /// # Errors
    ///
    /// `PluginFault`: a name without it.
    pub(crate) fn strip(&self, page: &mut impl Names) -> Result<()> {
        for name in page.names() {
            if !name.starts_with(&self.0) {
                return Err(Error::new(ErrorKind::PluginFault)
                    .with_message("a listing that leaves its prefix"));
            }
            name.drain(..self.0.len());
        }
        page.leave_out_unnamed();
        Ok(())
    }
}

/// A page of names below a prefix.
pub(crate) trait Names {
    /// Its keys and common prefixes.
    fn names(&mut self) -> impl Iterator<Item = &mut String>;

    /// Leaves out what is called like the prefix itself: a placeholder of the folder.
    fn leave_out_unnamed(&mut self);
}

impl Names for Page {
    fn names(&mut self) -> impl Iterator<Item = &mut String> {
        let keys = self.entries.iter_mut().map(|entry| &mut entry.key);
        keys.chain(&mut self.common_prefixes)
    }

    fn leave_out_unnamed(&mut self) {
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.key.is_empty());
        self.skipped += (before - self.entries.len()) as u64;
        self.common_prefixes.retain(|group| !group.is_empty());
    }
}

impl Names for VersionPage {
    fn names(&mut self) -> impl Iterator<Item = &mut String> {
        let keys = self.versions.iter_mut().map(|version| &mut version.key);
        keys.chain(&mut self.common_prefixes)
    }

    fn leave_out_unnamed(&mut self) {
        self.versions.retain(|version| !version.key.is_empty());
        self.common_prefixes.retain(|group| !group.is_empty());
    }
}

impl Names for UploadPage {
    fn names(&mut self) -> impl Iterator<Item = &mut String> {
        self.uploads.iter_mut().map(|upload| &mut upload.key)
    }

    fn leave_out_unnamed(&mut self) {
        self.uploads.retain(|upload| !upload.key.is_empty());
    }
}
