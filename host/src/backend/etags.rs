//! Etags in one form, that of HTTP (RFC 9110, 8.8.3): `"abc"`, or `W/"abc"`.
//!
//! The contract leaves a plugin's etag any text, and many plugins return it bare. Callers get it in quotes,
//! and a condition may have either form: the plugin gets the form that it returns itself.

use holdall_plugin_api::Page;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::sync::atomic::{AtomicU8, Ordering};

/// What may not stand within the quotes, and `%`, so that every text comes back as it was. Encoding takes
/// care of all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The form of an instance's own etags, seen in its answers.
#[derive(Debug, Default)]
pub(crate) struct Form(AtomicU8);

const UNKNOWN: u8 = 0;
const QUOTED: u8 = 1;
const BARE: u8 = 2;

impl Form {
    /// Puts an etag of an answer into the form of HTTP.
    pub(crate) fn show(&self, etag: &mut Option<String>) {
        let Some(text) = etag else { return };
        let form = if is_quoted(text) { QUOTED } else { BARE };
        if self.0.load(Ordering::Relaxed) != form {
            self.0.store(form, Ordering::Relaxed);
        }
        if form == BARE {
            *text = quoted(text);
        }
    }

    pub(crate) fn show_page(&self, page: &mut Page) {
        for entry in &mut page.entries {
            self.show(&mut entry.etag);
        }
    }

    /// Whether no answer had an etag yet.
    pub(crate) fn is_unknown(&self) -> bool {
        self.0.load(Ordering::Relaxed) == UNKNOWN
    }

    /// The etag of a condition in this form; `None`: it has it already, or cannot have it.
    pub(crate) fn native(&self, given: &str) -> Option<String> {
        match (self.0.load(Ordering::Relaxed), is_quoted(given)) {
            (QUOTED, false) => Some(quoted(given)),
            (BARE, true) => bare(given),
            _ => None,
        }
    }
}

fn is_quoted(etag: &str) -> bool {
    let opaque = etag.strip_prefix("W/").unwrap_or(etag);
    opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')
}

fn quoted(bare: &str) -> String {
    format!("\"{}\"", utf8_percent_encode(bare, ENCODED))
}

/// The text that was put into quotes; `None` for a weak etag, which has no bare form.
fn bare(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    // An empty condition is refused, and no object has an empty etag.
    (!inner.is_empty()).then(|| percent_decode_str(inner).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in ["abc-1", "a b", "50%", "a\"b", "é", "W/x", "\"", "a,b"] {
            assert!(!is_quoted(text), "{text}");
            let shown = quoted(text);
            assert!(is_quoted(&shown), "{shown}");
            assert!(
                shown.bytes().all(|byte| (b'!'..=b'~').contains(&byte)),
                "{shown}"
            );
            assert_eq!(bare(&shown).as_deref(), Some(text));
        }
        assert_eq!(bare("W/\"a\""), None);
        assert_eq!(bare("\"\""), None);
    }

    #[test]
    fn answers_are_in_quotes_once() {
        let form = Form::default();
        for (given, shown) in [
            ("abc", "\"abc\""),
            ("\"abc\"", "\"abc\""),
            ("W/\"abc\"", "W/\"abc\""),
        ] {
            let mut etag = Some(given.to_owned());
            form.show(&mut etag);
            assert_eq!(etag.as_deref(), Some(shown));
        }
        let mut none = None;
        form.show(&mut none);
        assert_eq!(none, None);
    }
}
