//! Keys: the names of objects, borrowed and owned.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// The name of an object: opaque text, byte-exact, never rewritten.
///
/// A borrowed view of a `str`, as `Path` is of an `OsStr`, so that passing one costs nothing.
/// The type itself checks nothing; the host applies the backend's [`KeyPolicy`] before a plugin
/// sees the key.
///
/// ```
/// use holdall_plugin_api::{Key, KeyPolicy};
///
/// let key = Key::new("logs/2026/07.txt");
/// assert!(KeyPolicy::Portable.check(key.text()).is_ok());
/// assert!(KeyPolicy::Portable.check("a/../b").is_err());
/// ```
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Key(str);

impl Key {
    /// Views a text as a key.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &K) -> &Key {
        key.as_ref()
    }

    /// The text.
    // Not `as_str`: that name on `&str` resolves to an unstable method.
    pub const fn text(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The parts between `/`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl AsRef<Key> for Key {
    fn as_ref(&self) -> &Key {
        self
    }
}

impl AsRef<Key> for String {
    fn as_ref(&self) -> &Key {
        self.as_str().as_ref()
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for &'a Key {
    fn from(text: &'a str) -> Self {
        text.as_ref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ToOwned for Key {
    type Owned = KeyBuf;

    fn to_owned(&self) -> KeyBuf {
        KeyBuf(self.0.to_owned())
    }
}

/// An owned [`Key`], as `PathBuf` is an owned `Path`.
///
/// ```
/// use holdall_plugin_api::{Download, Key, KeyBuf};
///
/// let owned: KeyBuf = Key::new("logs/07.txt").to_owned();
/// assert_eq!(owned.file_name(), "07.txt");
/// assert_eq!(Download::new(&owned).key, &*owned);
/// assert_eq!(String::from(owned), "logs/07.txt");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyBuf(String);

impl Deref for KeyBuf {
    type Target = Key;

    fn deref(&self) -> &Key {
        self.0.as_str().as_ref()
    }
}

impl AsRef<Key> for KeyBuf {
    fn as_ref(&self) -> &Key {
        self
    }
}

impl AsRef<str> for KeyBuf {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<Key> for KeyBuf {
    fn borrow(&self) -> &Key {
        self
    }
}

impl From<String> for KeyBuf {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for KeyBuf {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&Key> for KeyBuf {
    fn from(key: &Key) -> Self {
        key.to_owned()
    }
}

impl From<KeyBuf> for String {
    fn from(key: KeyBuf) -> Self {
        key.0
    }
}

impl fmt::Debug for KeyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for KeyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// Which keys a backend accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyPolicy {
    /// Keys that every store keeps apart: 1 to 1024 bytes of UTF-8; segments of 1 to 255 bytes,
    /// none of them `.` or `..`; no leading, trailing or doubled `/`; no control character or
    /// backslash; no white space at either end.
    #[default]
    Portable,
    /// The rules of S3: 1 to 1024 bytes of UTF-8.
    Opaque,
}

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest segment of a portable key, in bytes: what file systems keep.
pub const MAX_SEGMENT_BYTES: usize = 255;

/// The rule that a key breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// No bytes.
    #[error("the key is empty")]
    Empty,
    /// More than [`MAX_KEY_BYTES`].
    #[error("a key has at most 1024 bytes, this one has {0}")]
    TooLong(usize),
    /// More than [`MAX_SEGMENT_BYTES`] between two `/`.
    #[error("a segment has at most 255 bytes, this key has one of {0}")]
    SegmentTooLong(usize),
    /// Leading, trailing or doubled `/`.
    #[error("a key has no leading, trailing or doubled \"/\"")]
    EmptySegment,
    /// `.` or `..`.
    #[error("no segment of a key is \".\" or \"..\"")]
    Dots,
    /// C0, DEL, C1 or backslash.
    #[error("a key has no control character and no backslash, this one has U+{:04X} at byte {at}", *.found as u32)]
    Character {
        /// The character.
        found: char,
        /// Its offset.
        at: usize,
    },
    /// White space at an end.
    #[error("a key has no white space at its ends")]
    OuterSpace,
}

impl KeyPolicy {
    /// Checks a key.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check(self, key: &str) -> Result<(), KeyFault> {
        if key.is_empty() {
            return Err(KeyFault::Empty);
        }
        self.check_text(key, false)
    }

    /// Checks the prefix of a listing: any text of at most 1024 bytes, for portable keys without
    /// control characters. It is compared with keys as text and never used as a path: no key begins
    /// with `../` or `a//b`, so that a listing of them is empty.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check_prefix(self, prefix: &str) -> Result<(), KeyFault> {
        if prefix.len() > MAX_KEY_BYTES {
            return Err(KeyFault::TooLong(prefix.len()));
        }
        let control = match self {
            KeyPolicy::Opaque => None,
            KeyPolicy::Portable => prefix.char_indices().find(|(_, c)| c.is_control()),
        };
        match control {
            Some((at, found)) => Err(KeyFault::Character { found, at }),
            None => Ok(()),
        }
    }

    /// Checks a prefix by the rule of ABI 1.0: a key, but it may be empty and may end in `/`.
    ///
    /// Plugins get no other prefix, and return no other common prefix. For the rest of what
    /// [`check_prefix`](Self::check_prefix) admits the host asks with a shorter prefix and filters.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check_plugin_prefix(self, prefix: &str) -> Result<(), KeyFault> {
        if prefix.is_empty() {
            Ok(())
        } else {
            self.check_text(prefix, true)
        }
    }

    fn check_text(self, text: &str, prefix: bool) -> Result<(), KeyFault> {
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyFault::TooLong(text.len()));
        }
        if self == KeyPolicy::Opaque {
            return Ok(());
        }
        if let Some((at, found)) = text
            .char_indices()
            .find(|(_, c)| c.is_control() || *c == '\\')
        {
            return Err(KeyFault::Character { found, at });
        }
        let body = if prefix {
            text.strip_suffix('/').unwrap_or(text)
        } else {
            text
        };
        for segment in body.split('/') {
            match segment {
                "" => return Err(KeyFault::EmptySegment),
                "." | ".." => return Err(KeyFault::Dots),
                _ if segment.len() > MAX_SEGMENT_BYTES => {
                    return Err(KeyFault::SegmentTooLong(segment.len()));
                }
                _ => {}
            }
        }
        if text.trim() != text {
            return Err(KeyFault::OuterSpace);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_rules() {
        let long_segment = "s".repeat(255);
        let longest = format!(
            "{long_segment}/{long_segment}/{long_segment}/{}/a",
            &long_segment[..254]
        );
        assert_eq!(longest.len(), MAX_KEY_BYTES);
        for good in [
            "a",
            "a/b",
            "a b",
            "a%2Fb",
            "é",
            "File",
            ".tmp",
            "...",
            "a..b",
            &long_segment,
            &longest,
        ] {
            assert_eq!(KeyPolicy::Portable.check(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", KeyFault::Empty),
            ("/a", KeyFault::EmptySegment),
            ("a/", KeyFault::EmptySegment),
            ("a//b", KeyFault::EmptySegment),
            ("a/./b", KeyFault::Dots),
            ("..", KeyFault::Dots),
            (" a", KeyFault::OuterSpace),
            ("a\u{3000}", KeyFault::OuterSpace),
            ("a\\b", KeyFault::Character { found: '\\', at: 1 }),
            ("a\0", KeyFault::Character { found: '\0', at: 1 }),
            (
                "\u{85}",
                KeyFault::Character {
                    found: '\u{85}',
                    at: 0,
                },
            ),
            (
                "\u{7f}",
                KeyFault::Character {
                    found: '\u{7f}',
                    at: 0,
                },
            ),
        ] {
            assert_eq!(KeyPolicy::Portable.check(bad), Err(why), "{bad:?}");
        }
        assert_eq!(
            KeyPolicy::Portable.check(&"s".repeat(256)),
            Err(KeyFault::SegmentTooLong(256))
        );
        assert_eq!(
            KeyPolicy::Portable.check(&format!("{longest}a")),
            Err(KeyFault::TooLong(1025))
        );
    }

    #[test]
    fn plugins_get_prefixes_that_are_empty_or_keys_with_a_slash() {
        for good in ["", "a", "a/", "a/b/"] {
            assert_eq!(
                KeyPolicy::Portable.check_plugin_prefix(good),
                Ok(()),
                "{good}"
            );
        }
        for bad in ["/", "a//", "../", " a", ".", "a ", "a\\"] {
            assert!(
                KeyPolicy::Portable.check_plugin_prefix(bad).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_prefix_is_any_text_without_control_characters() {
        let longest = "é".repeat(512);
        for good in [
            "", "a", "a/", "/", "//", ".", "..", "../", "a/../b", " ", "d/my ", "a\\b", &longest,
        ] {
            assert_eq!(KeyPolicy::Portable.check_prefix(good), Ok(()), "{good:?}");
        }
        for (bad, at) in [("\0", 0), ("a\nb", 1), ("a/\u{7f}", 2), ("\u{85}", 0)] {
            let fault = KeyPolicy::Portable.check_prefix(bad);
            assert!(
                matches!(fault, Err(KeyFault::Character { at: found, .. }) if found == at),
                "{bad:?}: {fault:?}"
            );
        }
        let too_long = format!("{longest}a");
        for policy in [KeyPolicy::Portable, KeyPolicy::Opaque] {
            let fault = policy.check_prefix(&too_long);
            assert_eq!(fault, Err(KeyFault::TooLong(1025)));
        }
        assert_eq!(KeyPolicy::Opaque.check_prefix("\u{1}"), Ok(()));
    }

    #[test]
    fn opaque_takes_what_s3_takes() {
        for good in ["/a", "a//b", "..", "a\\b", "\u{1}"] {
            assert_eq!(KeyPolicy::Opaque.check(good), Ok(()), "{good:?}");
        }
        assert_eq!(KeyPolicy::Opaque.check(""), Err(KeyFault::Empty));
        assert_eq!(
            KeyPolicy::Opaque.check(&"a".repeat(1025)),
            Err(KeyFault::TooLong(1025))
        );
    }

    #[test]
    fn a_key_is_its_text() {
        let owned = String::from("a/b.txt");
        assert_eq!(Key::new(&owned).file_name(), "b.txt");
        assert_eq!(Key::new("x").text(), "x");
        assert_eq!(Key::new("a/b").segments().collect::<Vec<_>>(), ["a", "b"]);
    }
}
