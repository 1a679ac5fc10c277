//! Lengths of time as people write them.

use std::time::Duration;

/// Reads a whole number and a unit: `500ms`, `30s`, `15m`, `12h`, `7d`.
///
/// ```
/// use std::time::Duration;
/// use holdall::config::parse_duration;
///
/// assert_eq!(parse_duration("15m"), Some(Duration::from_secs(900)));
/// assert_eq!(parse_duration("15"), None); // no unit: seconds or minutes?
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, millis) in [
            ("0s", 0),
            ("7ms", 7),
            ("2s", 2_000),
            ("3m", 180_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(604_800)));
        for text in [
            "",
            "s",
            "1",
            "-1s",
            "1 s",
            "1.5s",
            "1S",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
            "١s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
