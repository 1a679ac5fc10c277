//! Names: which ones a key may have, and how they are written.

use super::Errno;

/// Units of UTF-16 in the longest name.
pub(super) const LONGEST: usize = 255;

/// Whether the system gives this name no meaning of its own.
///
/// Refused are names that Win32 programs could not open by a path, or would take for something else: devices
/// (`con`, `nul.txt`), a trailing dot or blank, which is dropped, and characters with a meaning, among them the
/// colon of alternate data streams and of drives. The source is [Naming Files, Paths, and Namespaces].
///
/// [Naming Files, Paths, and Namespaces]: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
pub(crate) fn storable(name: &str) -> bool {
    let reserved =
        |c: char| c < ' ' || matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*');
    !name.is_empty() && !name.contains(reserved) && !name.ends_with(['.', ' ']) && !is_device(name)
}

/// Whether Win32 takes a name for a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    let numbered = |device: &str| {
        let Some((head, number)) = stem.split_at_checked(3) else {
            return false;
        };
        head.eq_ignore_ascii_case(device)
            && (matches!(number.as_bytes(), [b'0'..=b'9'])
                || matches!(number, "\u{b9}" | "\u{b2}" | "\u{b3}"))
    };
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
        .into_iter()
        .any(is)
        || ["com", "lpt"].into_iter().any(numbered)
}

/// A name as the system writes it.
///
/// # Errors
///
/// `ILSEQ`: it is not [`storable`]. `NAMETOOLONG`.
pub(super) fn segment(name: &str) -> Result<Vec<u16>, Errno> {
    if !storable(name) {
        return Err(Errno::ILSEQ);
    }
    let units: Vec<u16> = name.encode_utf16().collect();
    match units.len() {
        ..=LONGEST => Ok(units),
        _ => Err(Errno::NAMETOOLONG),
    }
}

/// A name that was read from a directory.
pub(super) struct Found<'b> {
    pub(super) attributes: u32,
    pub(super) name: Units<'b>,
}

/// Units of UTF-16, as bytes.
#[derive(Clone)]
pub(super) struct Units<'b>(std::slice::ChunksExact<'b, u8>);

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let unit = self.0.next()?;
        unit.try_into().ok().map(u16::from_le_bytes)
    }
}

/// Offsets in `FILE_DIRECTORY_INFORMATION`.
const ATTRIBUTES: usize = 56;
const NAME_LENGTH: usize = 60;
const NAME: usize = 64;

/// The first name of what [`read_directory`](super::native::read_directory) has read, and the offset of the next one;
/// 0: it is the last.
pub(super) fn name_of(bytes: &[u8]) -> Option<(Found<'_>, usize)> {
    let number = |at: usize| {
        let field = bytes.get(at..at + 4)?;
        field.try_into().ok().map(u32::from_le_bytes)
    };
    let length = usize::try_from(number(NAME_LENGTH)?).ok()?;
    let found = Found {
        attributes: number(ATTRIBUTES)?,
        name: Units(bytes.get(NAME..NAME.checked_add(length)?)?.chunks_exact(2)),
    };
    Some((found, usize::try_from(number(0)?).ok()?))
}

/// Writes a name in UTF-8. What is not UTF-16 becomes what is not UTF-8.
pub(super) fn utf8(name: Units<'_>, text: &mut Vec<u8>) {
    text.clear();
    for unit in char::decode_utf16(name) {
        match unit {
            Ok(c) => text.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            // Half of a pair, as WTF-8 writes it.
            Err(half) => {
                let half = half.unpaired_surrogate();
                let [high, low] = [half >> 6, half].map(|bits| 0x80 | (bits & 0x3f) as u8);
                text.extend([0xe0 | (half >> 12) as u8, high, low]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_meaning_of_their_own_are_refused() {
        for name in [
            "con",
            "CON",
            "Nul.txt",
            "aux.tar.gz",
            "prn",
            "com1",
            "LPT9.log",
            "com\u{b9}",
            "con .x",
            "conin$",
            "a.",
            "a ",
            "a:b",
            "c:",
            "a\\b",
            "a?",
            "a*",
            "<a",
            "a>",
            "a|b",
            "\"a\"",
            "a\tb",
            "",
            ".",
            "..",
            "nul ",
        ] {
            assert!(!storable(name), "{name:?}");
            assert!(segment(name).is_err(), "{name:?}");
        }
        for name in [
            "a",
            "a.b",
            ".a",
            "console",
            "com",
            "com10",
            "company",
            "nulls",
            "xaux",
            "auxiliary.txt",
            " a",
            "a~1",
            "\u{e9}",
            "\u{1f600}",
            "lpt",
            "a b",
            "#%&{}'",
            "..a",
        ] {
            assert!(storable(name), "{name:?}");
        }
        let longest = "x".repeat(LONGEST);
        assert!(segment(&longest).is_ok());
        assert_eq!(segment(&format!("{longest}x")), Err(Errno::NAMETOOLONG));
        // Two units each.
        assert!(segment(&"\u{1f600}".repeat(127)).is_ok());
        assert!(segment(&"\u{1f600}".repeat(128)).is_err());
    }

    #[test]
    fn names_are_read_as_utf_8() {
        let mut text = Vec::new();
        let mut read = |units: &[u16]| {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            utf8(Units(bytes.chunks_exact(2)), &mut text);
            text.clone()
        };
        let plain: Vec<u16> = "a\u{e9}\u{1f600}".encode_utf16().collect();
        assert_eq!(read(&plain), "a\u{e9}\u{1f600}".as_bytes());
        assert_eq!(read(&[0xd83d]), [0xed, 0xa0, 0xbd]);
        assert!(std::str::from_utf8(&read(&[b'a'.into(), 0xdc00])).is_err());
    }

    #[test]
    fn a_truncated_answer_ends_the_names() {
        let mut bytes = vec![0; 64];
        bytes[NAME_LENGTH] = 4;
        bytes.extend([b'a', 0, b'b', 0]);
        let (found, next) = name_of(&bytes).unwrap();
        assert_eq!((found.name.collect::<Vec<_>>(), next), (vec![97, 98], 0));
        for cut in 0..bytes.len() {
            assert!(name_of(&bytes[..cut]).is_none(), "{cut}");
        }
    }
}
