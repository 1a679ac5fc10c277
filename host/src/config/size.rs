//! Numbers of bytes as people write them.

/// Reads a whole number and a unit: `512B`, `64KiB`, `10MiB`, `1GiB`, `2TiB`.
///
/// ```
/// use holdall::config::parse_size;
///
/// assert_eq!(parse_size("10MiB"), Some(10 << 20));
/// assert_eq!(parse_size("10MB"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("0B", 0),
            ("3KiB", 3 << 10),
            ("10MiB", 10 << 20),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "1", "MiB", "1MB", "1 MiB", "-1B", "99999999999TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
