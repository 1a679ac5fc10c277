//! Texts that are not shown, and their redaction in every other text.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::TrustPolicy;
use super::owner::FileRules;

/// Everything but the unreserved characters of RFC 3986, 2.3.
pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Secrets shorter than this many bytes are not looked for in texts: taking every `a` out of a
/// message would hide the message and show the secret.
const SHORTEST_SOUGHT: usize = 4;
/// Shortest secret that is cut out of a text, in bytes; with a shorter one nothing of it is shown.
const SHORTEST_CUT_OUT: usize = 8;
/// Lines of a secret of several lines (a private key) are looked for one by one from this length.
const SHORTEST_LINE: usize = 12;

/// Text that `Debug` and `Display` do not show; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Name the reason when you call this.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Every secret that this process has resolved, so that it can be taken out of any text.
///
/// Cheap to clone; clones share what they know. Secrets are kept until the last clone is gone,
/// because a plugin may quote an old one long after it was rotated.
#[derive(Clone)]
pub struct Secrets(Arc<Shared>);

struct Shared {
    needles: RwLock<BTreeSet<Needle>>,
    /// Random, per process: equal secrets can be told from different ones, and nothing else.
    key: Zeroizing<[u8; 32]>,
    /// For files that hold a secret.
    rules: FileRules,
}

/// A text to look for. A set of them takes a configuration with thousands of keys.
#[derive(PartialEq, Eq)]
struct Needle(Zeroizing<String>);

impl Borrow<str> for Needle {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialOrd for Needle {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Needle {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(&other.0)
    }
}

impl Secrets {
    /// An empty set with a fresh random key.
    ///
    /// # Panics
    ///
    /// When the operating system gives no random bytes; the standard library's `HashMap` panics
    /// then too.
    pub fn new() -> Self {
        Self::under(&TrustPolicy::default())
    }

    /// As [`Secrets::new`]; files of secrets are read under the rules of this policy.
    ///
    /// # Panics
    ///
    /// As [`Secrets::new`].
    pub fn under(policy: &TrustPolicy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("the operating system gives random bytes");
        Self(Arc::new(Shared {
            needles: RwLock::default(),
            key,
            rules: FileRules::of_secrets(policy),
        }))
    }

    /// Remembers a secret, with the spellings in which it may come back: as in JSON, as in
    /// `Debug`, percent-encoded, and line by line.
    pub fn remember(&self, secret: &str) {
        // A panic while the lock is held leaves a whole set: nothing between its steps can panic.
        let mut needles = self
            .0
            .needles
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut add = |text: &str, shortest: usize| {
            if text.len() >= shortest && !needles.contains(text) {
                needles.insert(Needle(Zeroizing::new(text.to_owned())));
            }
        };
        let trimmed = secret.trim();
        for text in [secret, trimmed] {
            add(text, SHORTEST_SOUGHT);
            add(
                inside_quotes(&serde_json::Value::from(text).to_string()),
                SHORTEST_SOUGHT,
            );
            add(inside_quotes(&format!("{text:?}")), SHORTEST_SOUGHT);
            add(
                &utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
                SHORTEST_SOUGHT,
            );
            add(
                &utf8_percent_encode(text, UNRESERVED).to_string(),
                SHORTEST_SOUGHT,
            );
        }
        if trimmed.contains('\n') {
            trimmed
                .lines()
                .for_each(|line| add(line.trim(), SHORTEST_LINE));
        }
    }

    /// The text with every secret in it replaced by [`REDACTED`]. A text that contains a secret of
    /// less than eight bytes is replaced as a whole: a gap in a message that is known would show which
    /// word the secret is.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for Needle(needle) in self.needles().iter() {
            if needle.len() < SHORTEST_CUT_OUT && text.contains(needle.as_str()) {
                return Cow::Borrowed(REDACTED);
            }
            let mut from = 0;
            while let Some(at) = text[from..].find(needle.as_str()) {
                let start = from + at;
                spans.push((start, start + needle.len()));
                // One character on, not one match: occurrences may overlap.
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            }
        }
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        spans.sort_unstable();
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in spans {
            // Overlapping occurrences become one: what sticks out of the first is secret too.
            if start >= done {
                clean.push_str(&text[done..start]);
                clean.push_str(REDACTED);
            }
            done = done.max(end);
        }
        clean.push_str(&text[done..]);
        Cow::Owned(clean)
    }

    /// Stands for a secret where two must be compared and none may be seen: 64 hexadecimal
    /// digits of HMAC-SHA-256 under the random key of this set.
    pub(crate) fn fingerprint(&self, secret: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0.key).expect("HMAC takes any key");
        mac.update(secret.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    /// The same set, without keeping it alive.
    pub(crate) fn downgrade(&self) -> WeakSecrets {
        WeakSecrets(Arc::downgrade(&self.0))
    }

    /// What files of secrets must keep to.
    pub(super) fn rules(&self) -> FileRules {
        self.0.rules
    }

    fn needles(&self) -> RwLockReadGuard<'_, BTreeSet<Needle>> {
        self.0
            .needles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of secrets as long as anybody else has it.
#[derive(Clone)]
pub(crate) struct WeakSecrets(Weak<Shared>);

impl WeakSecrets {
    /// The set, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<Secrets> {
        self.0.upgrade().map(Secrets)
    }

    /// Whether both are one set.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.needles().len())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn inside_quotes(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(known: &[&str]) -> Secrets {
        let secrets = Secrets::new();
        known.iter().for_each(|secret| secrets.remember(secret));
        secrets
    }

    #[test]
    fn a_text_without_secret_is_left_alone() {
        assert!(matches!(
            secrets(&["hunter2"]).redact("all is well"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn overlapping_secrets_leave_nothing() {
        let secrets = secrets(&["abcdefgh", "efghijkl", "éaéaéa"]);
        assert_eq!(
            secrets.redact("x abcdefghijkl y abcdefgh"),
            "x [redacted] y [redacted]"
        );
        assert_eq!(secrets.redact("éaéaéaéa!"), "[redacted]!");
    }

    #[test]
    fn a_secret_inside_another_does_not_uncover_its_end() {
        let secrets = secrets(&["bcdefghi", "abcdefghijkl"]);
        assert_eq!(
            secrets.redact("abcdefghijkl bcdefghi"),
            "[redacted] [redacted]"
        );
    }

    #[test]
    fn other_spellings_are_found() {
        let secret = "p/w \"é\"\n";
        let secrets = secrets(&[secret]);
        for text in [
            serde_json::json!({ "key": secret }).to_string(),
            format!("{secret:?}"),
            format!(
                "https://u:{}@h/",
                utf8_percent_encode(secret, NON_ALPHANUMERIC)
            ),
            "got p/w \"é\" from you".to_owned(),
        ] {
            let clean = secrets.redact(&text);
            assert!(clean.contains(REDACTED), "{clean}");
            assert!(!clean.contains("p/w") && !clean.contains("%22"), "{clean}");
        }
    }

    #[test]
    fn each_line_of_a_private_key_is_a_secret() {
        let secrets = secrets(&["-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----\n"]);
        assert_eq!(
            secrets.redact("near \"MIIEowIBAAKCAQEA\" at 2"),
            "near \"[redacted]\" at 2"
        );
    }

    #[test]
    fn very_short_secrets_do_not_garble_everything() {
        assert_eq!(secrets(&["a", ""]).redact("a banana"), "a banana");
    }

    #[test]
    fn a_short_secret_that_is_a_word_of_the_message_is_not_shown_by_a_gap() {
        let secrets = secrets(&["denied"]);
        assert_eq!(secrets.redact("access denied to a.txt"), REDACTED);
    }

    #[test]
    fn clones_share_and_debug_shows_nothing() {
        let secrets = Secrets::new();
        let clone = secrets.clone();
        secrets.remember("hunter2");
        assert_eq!(clone.redact("hunter2"), REDACTED);
        assert!(!format!("{clone:?} {:?}", SecretText::new("hunter2")).contains("hunter2"));
    }

    #[test]
    fn fingerprints_tell_equal_from_different_within_one_process_only() {
        let (one, other) = (Secrets::new(), Secrets::new());
        assert_eq!(one.fingerprint("a"), one.fingerprint("a"));
        assert_ne!(one.fingerprint("a"), one.fingerprint("b"));
        assert_ne!(one.fingerprint("a"), other.fingerprint("a"));
    }
}
