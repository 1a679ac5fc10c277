//! Values of options: ranges, sizes, durations, times, `name=value`.

use std::time::{Duration, SystemTime};

use holdall::ByteRange;

/// `A-B` (both included, as in HTTP), `A-` (to the end) or `-N` (the last N bytes).
pub(crate) fn range(text: &str) -> Result<ByteRange, String> {
    let wrong = || format!("expected A-B (both included), A- or -N in bytes, found {text:?}");
    let number = |part: &str| -> Result<u64, String> {
        // `parse` alone would take a plus sign.
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            part.parse().map_err(|_| wrong())
        } else {
            Err(wrong())
        }
    };
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    match (first, last) {
        ("", "") => Err(wrong()),
        ("", last) => match number(last)? {
            0 => Err("the last 0 bytes are no range: it has at least one byte".to_owned()),
            count => Ok(ByteRange::Last(count)),
        },
        (first, "") => Ok(ByteRange::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            let end = last.checked_add(1).ok_or_else(wrong)?;
            if first >= end {
                return Err(format!("the range {text} ends before it starts"));
            }
            Ok(ByteRange::Bounded(first..end))
        }
    }
}

/// A number of bytes: `4096`, `64KiB`, `10MB`. Units of 1000 are `kB MB GB TB`, of 1024
/// `KiB MiB GiB TiB`; case does not count.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000_u64.pow(2),
        "gb" => 1000_u64.pow(3),
        "tb" => 1000_u64.pow(4),
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => {
            return Err(format!(
                "expected a size such as 4096, 64KiB or 10MB, found {text:?}"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("expected a size such as 4096, 64KiB or 10MB, found {text:?}"))?;
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("{text} is more than any file has"))
}

/// `15m`, `1h 30m`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|why| format!("expected a time such as 90s, 15m or 7d: {why}"))
}

/// RFC 3339, in UTC or with an offset of zero: `2026-07-01T12:00:00Z`.
pub(crate) fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|why| format!("expected a time such as 2026-07-01T12:00:00Z: {why}"))
}

/// `name=value`; the value may hold more equal signs, or nothing.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, found {text:?}")),
    }
}

/// A SHA-256 as 64 hexadecimal digits.
pub(crate) fn sha256(text: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("expected 64 hexadecimal digits, found {text:?}");
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

/// A moment for people and programs: RFC 3339 in UTC.
pub(crate) fn moment(time: SystemTime) -> String {
    // The formatter panics before 1970 and after 9999, and a store may answer anything.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since <= LAST => humantime::format_rfc3339_seconds(time).to_string(),
        Ok(since) => format!("@{}", since.as_secs()),
        Err(before) => format!("@-{}", before.duration().as_secs()),
    }
}

/// Hexadecimal digits, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text on one line of a terminal: control characters are shown instead of sent.
pub(crate) fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let shown = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(shown).collect()
}

/// An owner or a group.
pub(crate) fn account(text: &str) -> Result<String, String> {
    match (1..=255).contains(&text.len()) && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 255 bytes and no control character".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range("0-0"), Ok(ByteRange::Bounded(0..1)));
        assert_eq!(range("5-9"), Ok(ByteRange::Bounded(5..10)));
        assert_eq!(range("5-"), Ok(ByteRange::From(5)));
        assert_eq!(range("-5"), Ok(ByteRange::Last(5)));
        for bad in [
            "",
            "-",
            "5",
            "a-b",
            "9-5",
            "-0",
            "+1-2",
            "1-2-3",
            " 1-2",
            "0-18446744073709551615",
        ] {
            assert!(range(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1kB", 1000),
            ("64KiB", 65_536),
            ("10 MiB", 10 << 20),
            ("2g", 2 << 30),
            ("1TB", 1_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "KiB",
            "-1",
            "1.5G",
            "1XB",
            "99999999999999999999",
            "18446744073709551615KiB",
        ] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert!(duration("15").is_err() && duration("soon").is_err());
        let noon = time("2026-07-01T12:00:00Z").unwrap();
        assert_eq!(moment(noon), "2026-07-01T12:00:00Z");
        assert_eq!(
            moment(SystemTime::UNIX_EPOCH - Duration::from_secs(5)),
            "@-5"
        );
        assert_eq!(
            moment(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)),
            "@1099511627776"
        );
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn pairs_and_digests() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("a").is_err() && pair("=b").is_err());
        let digest = sha256(&"0F".repeat(32)).unwrap();
        assert_eq!(hex(&digest), "0f".repeat(32));
        assert!(
            sha256("0f").is_err()
                && sha256(&"zz".repeat(32)).is_err()
                && sha256(&"é".repeat(32)).is_err()
        );
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a b é"), "a b é");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
