//! Etags on the wire: RFC 9110, 8.8.3.
//!
//! A store's etag is any text. In a header it stands in quotes, and what may not stand there, and
//! `%` itself, is percent-encoded, so that every etag comes back as it was.

use holdall::Error;
use http::header::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Everything but `etagc`, and `%`. Encoding takes care of all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// As it stands in a header, in quotes.
pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{}\"", utf8_percent_encode(etag, ENCODED))
}

pub(crate) fn header(etag: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(quoted(etag)).ok()
}

/// An etag that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) weak: bool,
    pub(crate) text: String,
}

/// `*`, or a list of etags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    Any,
    These(Vec<Tag>),
}

impl Tags {
    /// Whether one of them is this etag. `weakly`: for caches, where `W/` makes no difference.
    pub(crate) fn match_etag(&self, etag: Option<&str>, weakly: bool) -> bool {
        match self {
            Tags::Any => true,
            Tags::These(tags) => tags
                .iter()
                .any(|tag| (weakly || !tag.weak) && Some(&*tag.text) == etag),
        }
    }

    /// Reads a header's lines.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`: no list of etags.
    pub(crate) fn parse(name: &str, lines: &[&str]) -> Result<Self, Error> {
        if let [one] = lines
            && one.trim() == "*"
        {
            return Ok(Tags::Any);
        }
        let wrong = || {
            Error::invalid(format!(
                "{name} is \"*\" or a list of etags in quotes, such as \"\\\"abc\\\"\""
            ))
        };
        let mut tags = Vec::new();
        for line in lines {
            let mut rest = line.trim();
            while !rest.is_empty() {
                let (tag, after) = tag(rest).ok_or_else(wrong)?;
                tags.push(tag);
                rest = after.trim_start();
                match rest.strip_prefix(',') {
                    Some(next) => rest = next.trim_start(),
                    None if rest.is_empty() => {}
                    None => return Err(wrong()),
                }
            }
        }
        if tags.is_empty() {
            return Err(wrong());
        }
        Ok(Tags::These(tags))
    }
}

/// The first etag of a text, and what follows it.
pub(crate) fn tag(text: &str) -> Option<(Tag, &str)> {
    let opaque = text.strip_prefix("W/");
    let (text, weak) = (opaque.unwrap_or(text), opaque.is_some());
    let (inner, rest) = text.strip_prefix('"')?.split_once('"')?;
    // A text that is no encoding of ours matches no object, and is still a well-formed etag.
    let text = percent_decode_str(inner).decode_utf8_lossy().into_owned();
    Some((Tag { weak, text }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_etag_comes_back() {
        for etag in ["abc-1", "a\"b", "50%", "é", "a b", "W/\"x\""] {
            let header = quoted(etag);
            assert!(
                header.bytes().all(|byte| matches!(byte, b'!'..=b'~')),
                "{header}"
            );
            let (tag, rest) = tag(&header).unwrap();
            assert_eq!((&*tag.text, tag.weak, rest), (etag, false, ""));
        }
        assert_eq!(quoted("abc-1"), "\"abc-1\"");
    }

    #[test]
    fn lists() {
        let tags = Tags::parse("If-Match", &["\"a\" , W/\"b\",", "\"c,d\""]).unwrap();
        assert!(tags.match_etag(Some("a"), false));
        assert!(!tags.match_etag(Some("b"), false), "a weak one is no proof");
        assert!(tags.match_etag(Some("b"), true));
        assert!(tags.match_etag(Some("c,d"), false));
        assert!(!tags.match_etag(None, true));
        assert_eq!(Tags::parse("If-Match", &[" * "]).unwrap(), Tags::Any);
        for wrong in ["abc", "\"a", "\"a\" \"b\"", "", "*, \"a\"", "w/\"a\""] {
            assert!(Tags::parse("If-Match", &[wrong]).is_err(), "{wrong}");
        }
    }
}
