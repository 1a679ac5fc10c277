//! Texts of user metadata in the headers of a provider, which are ASCII.
//!
//! What a header cannot carry is written as an encoded word of [RFC 2047], as the SDKs of S3 do and
//! as S3 itself answers. Reading takes both of its encodings, writing makes base64. An empty value
//! is encoded too: several stores drop a header without a value.
//!
//! [RFC 2047]: https://www.rfc-editor.org/rfc/rfc2047

use crate::opened_store::MetadataNames;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

const WORD: &str = "=?UTF-8?B?";
const END: &str = "?=";

/// A value as a header carries it.
pub(crate) fn encode(value: &str) -> Cow<'_, str> {
    let plain = !value.is_empty()
        && !value.contains("=?")
        && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        // Some stores fold runs of blanks, as HTTP once allowed.
        && !value.contains("  ");
    if plain {
        return value.into();
    }
    format!("{WORD}{}{END}", STANDARD.encode(value)).into()
}

/// What a header carries, as it was given. A text that is no encoded word is itself.
pub(crate) fn decode(header: &str) -> String {
    words(header).unwrap_or_else(|| header.to_owned())
}

fn words(header: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = header.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let word = rest.strip_prefix("=?")?;
        let (charset, word) = word.split_once('?')?;
        let (encoding, word) = word.split_once('?')?;
        let (text, after) = word.split_once(END)?;
        if !charset.eq_ignore_ascii_case("utf-8") {
            return None;
        }
        match encoding {
            "B" | "b" => bytes.extend(STANDARD.decode(text).ok()?),
            "Q" | "q" => quoted(text, &mut bytes)?,
            _ => return None,
        }
        // White space between two words is not part of the text.
        rest = after.trim_start();
    }
    String::from_utf8(bytes).ok()
}

fn quoted(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'_' => out.push(b' '),
            b'=' => {
                let pair = [bytes.next()?, bytes.next()?];
                let hex = std::str::from_utf8(&pair).ok()?;
                out.push(u8::from_str_radix(hex, 16).ok()?);
            }
            byte => out.push(byte),
        }
    }
    Some(())
}

/// A name as the store takes it.
pub(crate) fn name(name: &str, names: MetadataNames) -> Cow<'_, str> {
    match names {
        MetadataNames::AsGiven => name.into(),
        MetadataNames::Identifiers => {
            let mut text = name.replace('-', "__");
            if text.starts_with(|first: char| first.is_ascii_digit()) {
                text.insert_str(0, "n___");
            }
            text.into()
        }
    }
}

/// A name as it was given.
pub(crate) fn name_back(name: &str, names: MetadataNames) -> String {
    match names {
        MetadataNames::AsGiven => name.to_ascii_lowercase(),
        MetadataNames::Identifiers => {
            let name = name.to_ascii_lowercase();
            name.strip_prefix("n___")
                .unwrap_or(&name)
                .replace("__", "-")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        for text in [
            "",
            " ",
            "plain text",
            " outer ",
            "two  blanks",
            "caf\u{e9} \u{1f98a}",
            "=?UTF-8?B?eA==?=",
            "a=?b",
            "100%",
            "\"quoted\"",
        ] {
            let header = encode(text);
            assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            assert!(!header.is_empty() && header.trim() == header);
            assert_eq!(decode(&header), text, "{header}");
        }
        assert_eq!(encode("plain text"), "plain text");
    }

    #[test]
    fn words_of_others_are_read() {
        assert_eq!(decode("=?UTF-8?Q?caf=C3=A9_x?="), "caf\u{e9} x");
        assert_eq!(decode("=?utf-8?B?Y2Fm?= =?utf-8?b?w6k=?="), "caf\u{e9}");
        for other in [
            "=?latin1?Q?=E9?=",
            "=?UTF-8?B?***?=",
            "=?UTF-8?B?eA==?= y",
            "=?",
        ] {
            assert_eq!(decode(other), other);
        }
    }

    #[test]
    fn names_of_azure_come_back() {
        for given in ["a", "a-b", "1-a", "x-", "n"] {
            let stored = name(given, MetadataNames::Identifiers);
            assert!(!stored.contains('-') && !stored.starts_with(|c: char| c.is_ascii_digit()));
            assert_eq!(name_back(&stored, MetadataNames::Identifiers), given);
        }
    }
}
