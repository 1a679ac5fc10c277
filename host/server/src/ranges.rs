//! `Range`: RFC 9110, 14. One range of bytes is served; whatever else may be ignored is ignored,
//! which answers the whole object.

use holdall::ByteRange;
use http::header::{HeaderMap, RANGE};

/// The one range that is asked for; `None`: none, or none that this server understands.
///
/// Numbers too large for any object stay what they mean: a last byte past the end is cut to it, a
/// first byte past the end cannot be satisfied.
pub(crate) fn asked(headers: &HeaderMap) -> Option<ByteRange> {
    let mut lines = headers.get_all(RANGE).iter();
    let line = lines.next()?.to_str().ok()?;
    if lines.next().is_some() {
        return None;
    }
    parse(line)
}

fn parse(line: &str) -> Option<ByteRange> {
    let (unit, set) = line.split_once('=')?;
    // Units are case-insensitive (14.1).
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = set
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty());
    let (first, last) = specs.next()?.split_once('-')?;
    if specs.next().is_some() {
        return None;
    }
    let (first, last) = (first.trim(), last.trim());
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => Some(ByteRange::From(first)),
        (None, Some(count)) if first.is_empty() => Some(ByteRange::Last(count)),
        (Some(first), Some(last)) if first <= last => Some(match last.checked_add(1) {
            Some(end) => ByteRange::Bounded(first..end),
            None => ByteRange::From(first),
        }),
        _ => None,
    }
}

/// Digits only; what is over 64 bits is the largest number.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes() {
        use ByteRange::{Bounded, From, Last};
        for (line, range) in [
            ("bytes=0-499", Some(Bounded(0..500))),
            ("bytes=0-0", Some(Bounded(0..1))),
            ("BYTES=9500-", Some(From(9500))),
            ("bytes=-500", Some(Last(500))),
            ("bytes=-0", Some(Last(0))),
            ("bytes= 1-2 , ", Some(Bounded(1..3))),
            ("bytes=1-18446744073709551615", Some(From(1))),
            ("bytes=1-99999999999999999999999", Some(From(1))),
            ("bytes=99999999999999999999999-", Some(From(u64::MAX))),
            ("bytes=-99999999999999999999999", Some(Last(u64::MAX))),
            // Ignored: another unit, several ranges, and what is no range at all.
            ("items=0-1", None),
            ("bytes=0-1,5-6", None),
            ("bytes=5-4", None),
            ("bytes=", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=1", None),
            ("bytes 0-1", None),
            ("bytes=--1", None),
        ] {
            assert_eq!(parse(line), range, "{line}");
        }
    }

    #[test]
    fn two_headers_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, "bytes=0-1".parse().unwrap());
        assert_eq!(asked(&headers), Some(ByteRange::Bounded(0..2)));
        headers.append(RANGE, "bytes=5-6".parse().unwrap());
        assert_eq!(asked(&headers), None);
    }
}
