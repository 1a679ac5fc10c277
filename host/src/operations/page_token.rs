//! Tokens of pages, and the checks that every page of a plugin passes.
//!
//! A token is opaque to callers and valid on every server with the same configuration. It is the following bytes, in
//! base64url without padding:
//!
//! - one byte: the version of the format;
//! - six texts: backend, prefix, delimiter, the plugin's own token, the last key and the last common prefix of the pages
//!   so far; each is its length in four little-endian bytes, then its bytes. A missing text has the length `u32::MAX`
//!   and no bytes. Version 1 has only the first four texts;
//! - the CRC-32C of all bytes before it. It tells a damaged token from one of another listing. It is no protection
//!   against forgery: a token allows nothing that the listing does not allow.

use super::fault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdall_plugin_api::{Error, List, Result};

const VERSION: u8 = 2;
const NONE: u32 = u32::MAX;

/// The last key and the last common prefix of the pages so far, of a backend that lists in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Last {
    pub(crate) key: Option<String>,
    pub(crate) group: Option<String>,
}

/// Makes our token of the next page from the plugin's own.
pub(crate) fn encode(backend: &str, list: &List<'_>, inner: &str, last: &Last) -> String {
    let mut bytes = vec![VERSION];
    for text in [
        Some(backend),
        Some(list.prefix),
        list.delimiter,
        Some(inner),
        last.key.as_deref(),
        last.group.as_deref(),
    ] {
        let length = text.map_or(NONE, |text| text.len() as u32);
        bytes.extend(length.to_le_bytes());
        bytes.extend(text.unwrap_or_default().as_bytes());
    }
    let crc = crc_fast::crc32_iscsi(&bytes);
    bytes.extend(crc.to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads our token: returns the plugin's own, and the last names of the pages so far.
///
/// # Errors
///
/// `InvalidArgument`: the token is damaged, or it belongs to another listing. The listing never begins anew instead.
pub(crate) fn decode(backend: &str, list: &List<'_>, token: &str) -> Result<(String, Last)> {
    let fields = parse(token)
        .ok_or_else(|| Error::invalid("the page token is damaged, or not one of ours"))?;
    let [of_backend, prefix, delimiter, inner, key, group] = fields;
    for (what, of_token, asked) in [
        ("backend", of_backend.as_deref(), Some(backend)),
        ("prefix", prefix.as_deref(), Some(list.prefix)),
        ("delimiter", delimiter.as_deref(), list.delimiter),
    ] {
        if of_token != asked {
            return Err(
                Error::invalid(format!("the page token belongs to another {what}"))
                    .with_fact("expected", asked.unwrap_or("none"))
                    .with_fact("found", of_token.unwrap_or("none")),
            );
        }
    }
    Ok((inner.unwrap_or_default(), Last { key, group }))
}

/// Reads our token of a listing that one text names, and returns the plugin's own.
///
/// # Errors
///
/// As [`decode`].
pub(super) fn inner_token(
    backend: &str,
    listing: &str,
    token: Option<&str>,
) -> Result<Option<String>> {
    let list = List::new(listing);
    let decoded = token.map(|token| decode(backend, &list, token));
    Ok(decoded.transpose()?.map(|(inner, _)| inner))
}

/// Makes our token of the next page of such a listing from the plugin's own.
pub(super) fn outer_token(backend: &str, listing: &str, next: &str) -> String {
    encode(backend, &List::new(listing), next, &Last::default())
}

/// Checks that a page of a plugin has at most `limit` entries and that its next page is another one.
///
/// # Errors
///
/// `PluginFault`.
pub(super) fn check_page(
    found: usize,
    limit: u32,
    next: Option<&str>,
    asked: Option<&str>,
) -> Result<()> {
    if found > limit as usize {
        return Err(fault("a page of more entries than were asked for")
            .with_fact("limit", limit)
            .with_fact("found", found));
    }
    if next.is_some() && next == asked {
        return Err(fault("a page that leads to itself"));
    }
    Ok(())
}

/// The fault of a plugin whose page has a name that does not belong into it.
pub(super) fn stray(what: &'static str, prefix: &str, found: &str) -> Error {
    fault(what)
        .with_fact("prefix", prefix)
        .with_fact("found", found)
}

fn parse(token: &str) -> Option<[Option<String>; 6]> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (bytes, crc) = bytes.split_last_chunk::<4>()?;
    if crc_fast::crc32_iscsi(bytes) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (version, mut rest) = bytes.split_first()?;
    let count = match *version {
        1 => 4,
        VERSION => 6,
        _ => return None,
    };
    let mut fields = [const { None }; 6];
    for field in &mut fields[..count] {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        rest = after;
        if length != NONE {
            let (text, after) = rest.split_at_checked(length as usize)?;
            *field = Some(std::str::from_utf8(text).ok()?.to_owned());
            rest = after;
        }
    }
    rest.is_empty().then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;

    #[test]
    fn a_token_comes_back_to_its_own_listing_only() {
        let list = List::new("a/").delimiter("/");
        let last = Last {
            key: Some("a/k".to_owned()),
            group: None,
        };
        let token = encode("one", &list, "inner é", &last);
        let inner = "inner é".to_owned();
        assert_eq!(decode("one", &list, &token).unwrap(), (inner, last));
        for (backend, list) in [
            ("two", list),
            ("one", List::new("a").delimiter("/")),
            ("one", List::new("a/")),
        ] {
            let error = decode(backend, &list, &token).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().contains("another"), "{error}");
        }
        let plain = encode("one", &List::new(""), "", &Last::default());
        let (inner, last) = decode("one", &List::new(""), &plain).unwrap();
        assert_eq!((inner.as_str(), last), ("", Last::default()));
    }

    #[test]
    fn a_token_of_version_1_is_taken() {
        let mut bytes = vec![1];
        for text in ["one", "a/", "/", "inner"] {
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let crc = crc_fast::crc32_iscsi(&bytes);
        bytes.extend(crc.to_le_bytes());
        let list = List::new("a/").delimiter("/");
        let decoded = decode("one", &list, &URL_SAFE_NO_PAD.encode(bytes)).unwrap();
        assert_eq!(decoded, ("inner".to_owned(), Last::default()));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let list = List::new("p");
        let token = encode("one", &list, "t", &Last::default());
        for at in 0..token.len() {
            for byte in ["A", "_", "=", " "] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, byte);
                if changed != token {
                    assert!(decode("one", &list, &changed).is_err(), "{changed}");
                }
            }
            assert!(decode("one", &list, &token[..at]).is_err());
        }
        assert!(decode("one", &list, &format!("{token}AAAA")).is_err());
    }
}
