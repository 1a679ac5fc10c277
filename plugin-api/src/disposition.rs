//! `Content-Disposition`, safe for any file name ([RFC 6266], [RFC 8187]): one spelling for the gateway
//! and for every backend that signs on its own.
//!
//! [RFC 6266]: https://www.rfc-editor.org/rfc/rfc6266
//! [RFC 8187]: https://www.rfc-editor.org/rfc/rfc8187

use std::fmt::Write;

/// A `Content-Disposition` of `attachment` with this name, in printable ASCII: as it is where every
/// client understands it, else with a plain fallback beside it.
pub fn attachment(name: &str) -> String {
    // Not escaped with backslashes but replaced: clients disagree on what an escape means, and
    // some decode "%41" inside the quotes.
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' | '/' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    let mut header = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        header += "; filename*=UTF-8''";
        for byte in name.bytes() {
            if is_attr_char(byte) {
                header.push(char::from(byte));
            } else {
                let _ = write!(header, "%{byte:02X}");
            }
        }
    }
    header
}

/// `attr-char` of RFC 8187, 3.2.1.
fn is_attr_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, header) in [
            ("a b.png", r#"attachment; filename="a b.png""#),
            (
                "naïve.txt",
                r#"attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt"#,
            ),
            (
                r#"a"b\c"#,
                r#"attachment; filename="a_b_c"; filename*=UTF-8''a%22b%5Cc"#,
            ),
            (
                "50%41",
                r#"attachment; filename="50_41"; filename*=UTF-8''50%2541"#,
            ),
            ("a;b=c'd", r#"attachment; filename="a;b=c'd""#),
            (
                "a\r\nSet-Cookie: x",
                r#"attachment; filename="a__Set-Cookie: x"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"#,
            ),
            (
                "../x",
                r#"attachment; filename=".._x"; filename*=UTF-8''..%2Fx"#,
            ),
            (
                "😀",
                r#"attachment; filename="_"; filename*=UTF-8''%F0%9F%98%80"#,
            ),
        ] {
            assert_eq!(attachment(name), header);
            assert!(
                header.bytes().all(|byte| matches!(byte, b' '..=b'~')),
                "{header}"
            );
        }
    }
}
