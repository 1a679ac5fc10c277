//! How a name is written on disk: every name can be, and each is read back as itself.
//!
//! Win32 gives some names a meaning of their own, see [Naming Files, Paths, and Namespaces]: it takes `con` and
//! `nul.txt` for devices, drops a dot or a blank at the end, and splits at a colon or a backslash. A character with such
//! a meaning is written as the one of the private use area that is [`MOVED`] above it, as Cygwin does: `a:b` as
//! `a`, U+F03A, `b`, and `con` as U+F063, `on`. A character of that area that a name has itself follows an [`ESCAPE`].
//! No name becomes longer than its UTF-8 has bytes.
//!
//! [Naming Files, Paths, and Namespaces]: https://learn.microsoft.com/windows/win32/fileio/naming-a-file

use super::Errno;

/// Units of UTF-16 in the longest name.
pub(super) const LONGEST: usize = 255;
/// Distance to what stands for a character.
const MOVED: u16 = 0xf000;
/// The next unit is itself.
const ESCAPE: u16 = 0xf07f;

/// A name as it is written.
///
/// # Errors
///
/// `ILSEQ`: it is no name. `NAMETOOLONG`.
pub(super) fn segment(name: &str) -> Result<Vec<u16>, Errno> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(Errno::ILSEQ);
    }
    let mut units = Vec::with_capacity(name.len());
    for unit in name.encode_utf16() {
        match unit {
            MOVED..=ESCAPE => units.extend([ESCAPE, unit]),
            _ if has_meaning(unit) => units.push(unit + MOVED),
            _ => units.push(unit),
        }
    }
    if let Some(last) = units.last_mut()
        && matches!(u8::try_from(*last), Ok(b'.' | b' '))
    {
        *last += MOVED;
    }
    if is_device(&units)
        && let Some(first) = units.first_mut()
    {
        *first += MOVED;
    }
    match units.len() {
        ..=LONGEST => Ok(units),
        _ => Err(Errno::NAMETOOLONG),
    }
}

/// The name that is written so; `None`: no name is.
pub(super) fn name_of_segment(units: &[u16]) -> Option<String> {
    let mut escaped = false;
    let plain: Vec<u16> = units
        .iter()
        .filter_map(|&unit| match unit {
            _ if std::mem::take(&mut escaped) => Some(unit),
            ESCAPE => {
                escaped = true;
                None
            }
            MOVED..ESCAPE => Some(unit - MOVED),
            _ => Some(unit),
        })
        .collect();
    let name = String::from_utf16(&plain).ok()?;
    // Of two files, one whose name is written otherwise has no name here.
    (segment(&name).ok()? == units).then_some(name)
}

fn has_meaning(unit: u16) -> bool {
    u8::try_from(unit).is_ok_and(|byte| {
        byte < b' ' || matches!(byte, b'<' | b'>' | b':' | b'"' | b'\\' | b'|' | b'?' | b'*')
    })
}

/// Whether Win32 takes a name for a device, whatever its extension.
fn is_device(units: &[u16]) -> bool {
    let stem = units.split(|unit| *unit == u16::from(b'.')).next();
    let Ok(stem) = String::from_utf16(stem.unwrap_or_default()) else {
        return false;
    };
    let stem = stem.trim_end().to_ascii_lowercase();
    let numbered = |number: &str| {
        matches!(number.as_bytes(), [b'0'..=b'9'])
            || matches!(number, "\u{b9}" | "\u{b2}" | "\u{b3}")
    };
    matches!(
        stem.as_str(),
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$"
    ) || stem.strip_prefix("com").is_some_and(numbered)
        || stem.strip_prefix("lpt").is_some_and(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [(&str, &str); 20] = [
        ("con", "\u{f063}on"),
        ("CON", "\u{f043}ON"),
        ("Nul.txt", "\u{f04e}ul.txt"),
        ("aux.tar.gz", "\u{f061}ux.tar.gz"),
        ("com1", "\u{f063}om1"),
        ("LPT9.log", "\u{f04c}PT9.log"),
        ("com\u{b9}", "\u{f063}om\u{b9}"),
        ("con .x", "\u{f063}on .x"),
        ("con. ", "\u{f063}on.\u{f020}"),
        ("conin$", "\u{f063}onin$"),
        ("a.", "a\u{f02e}"),
        ("...", "..\u{f02e}"),
        ("nul ", "nul\u{f020}"),
        ("c:", "c\u{f03a}"),
        ("a::$DATA", "a\u{f03a}\u{f03a}$DATA"),
        ("a\\b", "a\u{f05c}b"),
        (
            "<>\"|?*",
            "\u{f03c}\u{f03e}\u{f022}\u{f07c}\u{f03f}\u{f02a}",
        ),
        ("a\tb\u{1f}", "a\u{f009}b\u{f01f}"),
        // What looks like one that was written.
        ("\u{f063}on", "\u{f07f}\u{f063}on"),
        ("\u{f07f}", "\u{f07f}\u{f07f}"),
    ];

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn names_with_a_meaning_of_their_own_are_written_otherwise() {
        for (name, written) in SPECIAL {
            assert_eq!(segment(name), Ok(units(written)), "{name:?}");
            assert_eq!(name_of_segment(&units(written)).as_deref(), Some(name));
        }
        for name in [
            "a",
            "a.b",
            ".a",
            "..a",
            "console",
            "com",
            "com10",
            "xaux",
            "auxiliary.txt",
            " a",
            "a b",
            "a~1",
            "\u{e9}",
            "\u{1f600}",
            "#%&{}'",
            "\u{efff}\u{f080}",
        ] {
            assert_eq!(segment(name), Ok(units(name)), "{name:?}");
            assert_eq!(name_of_segment(&units(name)).as_deref(), Some(name));
        }
        for name in ["", ".", "..", "a/b", "a\0"] {
            assert_eq!(segment(name), Err(Errno::ILSEQ), "{name:?}");
        }
    }

    #[test]
    fn what_is_written_otherwise_has_no_name() {
        for written in [
            "con",
            "a.",
            "a:b",
            "\u{f061}",
            "\u{f061}on",
            "\u{f07f}",
            "\u{f07f}a",
            "a\u{f02e}b",
            "\u{f02f}",
            "\u{f000}",
        ] {
            assert_eq!(name_of_segment(&units(written)), None, "{written:?}");
        }
        assert_eq!(name_of_segment(&[0xd83d]), None);
    }

    /// Every text of up to four of these is another text on disk, and none is what Win32 gives a meaning.
    #[test]
    fn no_two_names_are_written_alike() {
        const LETTERS: [char; 10] = [
            'n',
            'u',
            'l',
            '.',
            ' ',
            ':',
            '\u{f06e}',
            '\u{f02e}',
            '\u{f07f}',
            '\u{1f600}',
        ];
        let mut seen = std::collections::HashMap::new();
        for number in 0..11_usize.pow(4) {
            let letters = (0..4).filter_map(|place| LETTERS.get(number / 11_usize.pow(place) % 11));
            let name: String = letters.collect();
            let Ok(written) = segment(&name) else {
                continue;
            };
            assert_eq!(name_of_segment(&written).as_ref(), Some(&name));
            let last = char::from_u32(u32::from(written[written.len() - 1]));
            assert!(
                !matches!(last, Some('.' | ' ')) && !is_device(&written),
                "{name:?}"
            );
            assert!(written.len() <= name.len(), "{name:?}");
            assert_eq!(*seen.entry(written).or_insert(name.clone()), name);
        }
        assert!(seen.len() > 10_000);
    }

    #[test]
    fn names_that_are_too_long_are_refused() {
        let longest = "*".repeat(LONGEST);
        assert!(segment(&longest).is_ok());
        assert_eq!(segment(&format!("{longest}x")), Err(Errno::NAMETOOLONG));
        // Two units each.
        assert!(segment(&"\u{1f600}".repeat(127)).is_ok());
        assert!(segment(&"\u{f03a}".repeat(128)).is_err());
    }
}
