//! Page tokens: opaque to callers, the same on every server with the same configuration.
//!
//! A token is base64url without padding of: one byte of version, then backend, prefix, delimiter,
//! the plugin's own token, and the last key and group of the listing so far, each as a length in four
//! little-endian bytes and the text (a missing one has the length `u32::MAX`), then the CRC-32C of all
//! that. Version 1 has neither key nor group. The checksum tells damage
//! from a token of another listing; it is no protection, because a token grants nothing that the
//! listing itself would not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdall_plugin_api::{Error, List, Result};

const VERSION: u8 = 2;
const NONE: u32 = u32::MAX;

/// The largest names of the pages so far, of a backend that lists in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Last {
    pub(crate) key: Option<String>,
    pub(crate) group: Option<String>,
}

/// Wraps the plugin's token of the next page.
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

/// The plugin's own token, and where the listing is.
///
/// # Errors
///
/// `InvalidArgument`: damaged, or of another listing. Never a silent restart.
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
