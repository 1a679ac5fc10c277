//! `Content-Disposition: attachment` with any file name ([RFC 6266], [RFC 8187]).
//!
//! [RFC 6266]: https://www.rfc-editor.org/rfc/rfc6266
//! [RFC 8187]: https://www.rfc-editor.org/rfc/rfc8187

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 8187 lets stand: `attr-char`.
const ATTR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A browser saves as `name`. Old ones read the plain form, in which what is not ASCII is `_`.
pub(crate) fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    if plain == name {
        format!("attachment; filename=\"{name}\"")
    } else {
        let exact = utf8_percent_encode(name, ATTR);
        format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
    }
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn no_name_ends_the_quotes_or_the_line() {
        assert_eq!(attachment("a b.txt"), "attachment; filename=\"a b.txt\"");
        assert_eq!(
            attachment("ü\".txt"),
            "attachment; filename=\"__.txt\"; filename*=UTF-8''%C3%BC%22.txt"
        );
        assert!(!attachment("a\r\nb").contains(['\r', '\n']));
    }
}
