//! What a URL says, and its one way of saying it.

use std::fmt::Write as _;

use holdall_plugin_api::{Checksums, Method};
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::config::{UNRESERVED, hex};

/// Everything in the query but the signature.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Terms {
    pub(super) method: Method,
    /// Seconds since 1970.
    pub(super) expires: u64,
    pub(super) key_id: String,
    pub(super) content_type: Option<String>,
    pub(super) max_size: Option<u64>,
    pub(super) checksums: Checksums,
    pub(super) download_name: Option<String>,
    pub(super) response_content_type: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    pub(super) reservation: Option<u64>,
}

impl Terms {
    pub(super) fn new(method: Method, expires: u64, key_id: &str) -> Self {
        Self {
            method,
            expires,
            key_id: key_id.to_owned(),
            content_type: None,
            max_size: None,
            checksums: Checksums::NONE,
            download_name: None,
            response_content_type: None,
            owner: None,
            group: None,
            reservation: None,
        }
    }

    /// The query, parameters in their order.
    pub(super) fn query(&self) -> String {
        let mut query = "hd-v=1".to_owned();
        let mut add = |name: &str, value: &str| {
            // Writing to a String does not fail.
            let _ = write!(query, "&{name}={}", encode(value));
        };
        add("hd-m", self.method.name());
        add("hd-exp", &self.expires.to_string());
        add("hd-kid", &self.key_id);
        self.content_type.iter().for_each(|text| add("hd-ct", text));
        self.max_size
            .iter()
            .for_each(|size| add("hd-max", &size.to_string()));
        let Checksums {
            crc32c,
            md5,
            sha256,
            ..
        } = &self.checksums;
        crc32c
            .iter()
            .for_each(|digest| add("hd-crc32c", &hex(&digest.to_be_bytes())));
        md5.iter().for_each(|digest| add("hd-md5", &hex(digest)));
        sha256
            .iter()
            .for_each(|digest| add("hd-sha256", &hex(digest)));
        self.download_name
            .iter()
            .for_each(|text| add("hd-name", text));
        self.response_content_type
            .iter()
            .for_each(|text| add("hd-rct", text));
        self.owner.iter().for_each(|text| add("hd-own", text));
        self.group.iter().for_each(|text| add("hd-grp", text));
        self.reservation
            .iter()
            .for_each(|id| add("hd-rsv", &id.to_string()));
        query
    }

    /// Reads what [`Terms::query`] wrote, and nothing else: another order, a repetition, an
    /// unknown name or another spelling of a value is `None`.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let mut terms = Terms::new(Method::Get, 0, "");
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=')?;
            let value = decode(value)?;
            match name {
                "hd-v" if value == "1" => {}
                "hd-m" => terms.method = method(&value)?,
                "hd-exp" => terms.expires = value.parse().ok()?,
                "hd-kid" => terms.key_id = value,
                "hd-ct" => terms.content_type = Some(value),
                "hd-max" => terms.max_size = Some(value.parse().ok()?),
                "hd-crc32c" => terms.checksums.crc32c = Some(u32::from_be_bytes(unhex(&value)?)),
                "hd-md5" => terms.checksums.md5 = Some(unhex(&value)?),
                "hd-sha256" => terms.checksums.sha256 = Some(unhex(&value)?),
                "hd-name" => terms.download_name = Some(value),
                "hd-rct" => terms.response_content_type = Some(value),
                "hd-own" => terms.owner = Some(value),
                "hd-grp" => terms.group = Some(value),
                "hd-rsv" => terms.reservation = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        // One way of saying it: whatever was read loosely above does not come out the same.
        (terms.query() == query).then_some(terms)
    }
}

/// The method of this name, which is case-sensitive (RFC 9110, 9.1).
pub(super) fn method(name: &str) -> Option<Method> {
    [Method::Get, Method::Put, Method::Head, Method::Delete]
        .into_iter()
        .find(|method| method.name() == name)
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Decodes once; what is not UTF-8 then is `None`.
pub(super) fn decode(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_way_of_saying_it_is_read() {
        let right = "hd-v=1&hd-m=PUT&hd-exp=7&hd-kid=a&hd-ct=a%2Fb&hd-max=10&hd-crc32c=0a0b0c0d";
        let terms = Terms::parse(right).unwrap();
        assert_eq!(terms.query(), right);
        assert_eq!(
            (terms.max_size, terms.checksums.crc32c),
            (Some(10), Some(0x0a0b_0c0d))
        );
        for (from, to) in [
            ("hd-v=1", "hd-v=2"),
            ("hd-v=1&", ""),
            ("hd-m=PUT", "hd-m=put"),
            ("hd-exp=7", "hd-exp=07"),
            ("hd-exp=7", "hd-exp=+7"),
            ("hd-exp=7", "hd-exp=18446744073709551616"),
            ("hd-exp=7&hd-kid=a", "hd-kid=a&hd-exp=7"),
            ("hd-max=10", "hd-max=10&hd-max=10"),
            ("hd-max=10", "hd-max=10&hd-md5=00"),
            ("hd-max=10", "hd-max=10&x=y"),
            ("hd-max=10", "hd-max=10&"),
            ("hd-max=10", "hd-max"),
            ("a%2Fb", "a/b"),
            ("a%2Fb", "a%2fb"),
            ("a%2Fb", "%FF"),
            ("0a0b0c0d", "0A0B0C0D"),
            ("0a0b0c0d", "+a0b0c0d"),
        ] {
            let wrong = right.replacen(from, to, 1);
            assert_ne!(wrong, right);
            assert_eq!(Terms::parse(&wrong), None, "{wrong}");
        }
        assert_eq!(Terms::parse(""), None);
    }
}
