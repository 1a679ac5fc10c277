//! Names of directories: what the system answers, and how the engine has them.

use super::Errno;
use super::spelling::{LONGEST, name_of_segment, segment};

/// A name that was read from a directory.
pub(super) struct Found<'b> {
    pub(super) attributes: u32,
    pub(super) name: Units<'b>,
}

impl Found<'_> {
    /// The directory itself, or the one above it.
    pub(super) fn is_dots(&self) -> bool {
        let dot = u16::from(b'.');
        self.name.clone().eq([dot]) || self.name.clone().eq([dot, dot])
    }
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

/// The end of a name that [`listed`] gives to what no key can name.
const NO_KEY: u8 = 0xff;

/// Writes a name as the engine has it: as it is in keys, in UTF-8. What is written otherwise than the engine writes it
/// is no key's, and becomes what is not UTF-8: [WTF-8] and one byte more.
///
/// [WTF-8]: https://simonsapin.github.io/wtf-8/
pub(super) fn listed(name: Units<'_>, text: &mut Vec<u8>) {
    text.clear();
    let units: Vec<u16> = name.collect();
    if let Some(name) = name_of_segment(&units) {
        text.extend(name.bytes());
        return;
    }
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(c) => text.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            Err(half) => {
                let half = half.unpaired_surrogate();
                let [high, low] = [half >> 6, half].map(|bits| 0x80 | (bits & 0x3f) as u8);
                text.extend([0xe0 | (half >> 12) as u8, high, low]);
            }
        }
    }
    text.push(NO_KEY);
}

/// The units of a name that [`listed`] gave.
pub(super) fn of_listed(name: &[u8]) -> Result<Vec<u16>, Errno> {
    if let Ok(name) = std::str::from_utf8(name) {
        return segment(name);
    }
    let mut rest = name.strip_suffix(&[NO_KEY]).ok_or(Errno::ILSEQ)?;
    let mut units = Vec::with_capacity(LONGEST);
    while !rest.is_empty() {
        let text = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => {
                let valid = rest.get(..error.valid_up_to()).unwrap_or_default();
                std::str::from_utf8(valid).map_err(|_| Errno::ILSEQ)?
            }
        };
        units.extend(text.encode_utf16());
        rest = rest.get(text.len()..).unwrap_or_default();
        if let Some((half, after)) = rest.split_first_chunk() {
            let [high, middle, low] = half.map(u16::from);
            units.push((high & 0x0f) << 12 | (middle & 0x3f) << 6 | low & 0x3f);
            rest = after;
        } else if !rest.is_empty() {
            return Err(Errno::ILSEQ);
        }
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_keys_have_them() {
        let mut text = Vec::new();
        let mut read = |units: &[u16]| {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            listed(Units(bytes.chunks_exact(2)), &mut text);
            assert_eq!(of_listed(&text), Ok(units.to_vec()));
            text.clone()
        };
        let plain: Vec<u16> = "a\u{e9}\u{1f600}".encode_utf16().collect();
        assert_eq!(read(&plain), "a\u{e9}\u{1f600}".as_bytes());
        assert_eq!(read(&[u16::from(b'a'), 0xf03a]), b"a:");
        // Nothing that a key can have: halves of pairs, and names that are written otherwise.
        for (units, bytes) in [
            (&[0xd83d][..], &[0xed, 0xa0, 0xbd, 0xff][..]),
            (&[0x61, 0xdc00, 0x62], b"a\xed\xb0\x80b\xff"),
            (&[0x61, 0x3a], b"a:\xff"),
            (&[0xf061], b"\xef\x81\xa1\xff"),
        ] {
            assert_eq!(read(units), bytes);
            assert!(std::str::from_utf8(bytes).is_err());
        }
        assert_eq!(of_listed(b"\xed\xff"), Err(Errno::ILSEQ));
        assert_eq!(of_listed(b"\xed"), Err(Errno::ILSEQ));
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
