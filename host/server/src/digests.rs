//! Digests in headers: `Content-MD5`, `Content-Digest` and `Repr-Digest` (RFC 9530).
//!
//! What a client states is handed to the host, which verifies it before anything is visible. Here the
//! content is always the whole representation, so the two fields of RFC 9530 mean the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdall::Checksums;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::problem::Problem;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The fields that may state a digest.
pub(crate) const HEADERS: [HeaderName; 3] = [CONTENT_MD5, CONTENT_DIGEST, REPR_DIGEST];

/// The digests that a request states.
///
/// # Errors
///
/// 400: a field that is no digest, two that contradict each other, or none that can be verified.
pub(crate) fn stated(headers: &HeaderMap) -> Result<Checksums, Problem> {
    let mut stated = Checksums::NONE;
    if let Some(value) = headers.get(&CONTENT_MD5) {
        let digest = STANDARD.decode(value.as_bytes()).ok();
        let digest = digest.and_then(|bytes| bytes.try_into().ok());
        let wrong = || Problem::invalid("Content-MD5 is an MD5 of 16 bytes, in base64");
        state(&mut stated.md5, digest.ok_or_else(wrong)?, "md5")?;
    }
    for name in [CONTENT_DIGEST, REPR_DIGEST] {
        let lines: Vec<_> = headers
            .get_all(&name)
            .iter()
            .map(|line| line.as_bytes())
            .collect();
        if !lines.is_empty() {
            dictionary(&mut stated, &name, &lines.join(&b','))?;
        }
    }
    Ok(stated)
}

fn dictionary(stated: &mut Checksums, name: &HeaderName, line: &[u8]) -> Result<(), Problem> {
    let wrong = || {
        Problem::invalid(format!(
            "{name} is a dictionary of digests, such as sha-256=:base64:"
        ))
    };
    let digests: Dictionary = Parser::new(line).parse().map_err(|_| wrong())?;
    let mut known = false;
    for (algorithm, entry) in &digests {
        let ListEntry::Item(item) = entry else {
            return Err(wrong());
        };
        let BareItem::ByteSequence(bytes) = &item.bare_item else {
            return Err(wrong());
        };
        let bytes = bytes.as_slice();
        match algorithm.as_str() {
            "sha-256" => state(
                &mut stated.sha256,
                sized(bytes, algorithm.as_str())?,
                "sha-256",
            )?,
            "md5" => state(&mut stated.md5, sized(bytes, algorithm.as_str())?, "md5")?,
            "crc32c" => {
                let digest = u32::from_be_bytes(sized(bytes, algorithm.as_str())?);
                state(&mut stated.crc32c, digest, "crc32c")?;
            }
            // One more that cannot be computed here does no harm beside one that is verified.
            _ => continue,
        }
        known = true;
    }
    if known {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{name} has no digest that can be verified: sha-256, md5 and crc32c can"
    )))
}

fn sized<const N: usize>(bytes: &[u8], algorithm: &str) -> Result<[u8; N], Problem> {
    bytes.try_into().map_err(|_| {
        Problem::invalid(format!(
            "a {algorithm} has {N} bytes, found {}",
            bytes.len()
        ))
    })
}

fn state<T: PartialEq>(stated: &mut Option<T>, digest: T, algorithm: &str) -> Result<(), Problem> {
    match stated.replace(digest) {
        Some(before) if Some(&before) != stated.as_ref() => Err(Problem::invalid(format!(
            "two headers state different digests of algorithm {algorithm}"
        ))),
        _ => Ok(()),
    }
}

/// The `Repr-Digest` of an object, as far as its digests are known.
pub(crate) fn header(checksums: &Checksums) -> Option<HeaderValue> {
    let mut fields = Vec::new();
    let mut add =
        |name: &str, bytes: &[u8]| fields.push(format!("{name}=:{}:", STANDARD.encode(bytes)));
    if let Some(digest) = &checksums.sha256 {
        add("sha-256", digest);
    }
    if let Some(digest) = &checksums.md5 {
        add("md5", digest);
    }
    if let Some(digest) = &checksums.crc32c {
        add("crc32c", &digest.to_be_bytes());
    }
    if fields.is_empty() {
        return None;
    }
    HeaderValue::try_from(fields.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Option<Checksums> {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        stated(&pairs.iter().map(pair).collect()).ok()
    }

    /// Of the empty text.
    const MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";
    const SHA256: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

    #[test]
    fn what_is_stated_is_read() {
        assert_eq!(read(&[]), Some(Checksums::NONE));
        let md5 = read(&[("content-md5", MD5)]).unwrap().md5.unwrap();
        assert_eq!(md5[..2], [0xd4, 0x1d]);
        let both = format!("unknown=:AA==:, {SHA256}, crc32c=:AAAAAQ==:");
        for name in ["repr-digest", "content-digest"] {
            let read = read(&[(name, &both)]).unwrap();
            assert_eq!(read.sha256.unwrap()[..2], [0xe3, 0xb0]);
            assert_eq!(read.crc32c, Some(1));
        }
        let again = read(&[("repr-digest", SHA256), ("content-digest", SHA256)]);
        assert!(again.is_some(), "the same twice is no contradiction");
    }

    #[test]
    fn what_cannot_be_verified_is_refused() {
        for pairs in [
            &[("content-md5", "abc")][..],
            &[("content-md5", "AAAA")],
            &[("repr-digest", "sha-512=:AAAA:")],
            &[("repr-digest", "sha-256=:AAAA:")],
            &[("repr-digest", "sha-256=abc")],
            &[("repr-digest", "sha-256=(:AAAA:)")],
            &[("repr-digest", "not a dictionary")],
            &[
                ("repr-digest", "crc32c=:AAAAAQ==:"),
                ("content-digest", "crc32c=:AAAAAg==:"),
            ],
        ] {
            assert_eq!(read(pairs), None, "{pairs:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut checksums = Checksums::NONE;
        assert_eq!(header(&checksums), None);
        checksums.crc32c = Some(7);
        checksums.sha256 = Some([9; 32]);
        checksums.md5 = Some([3; 16]);
        let mut headers = HeaderMap::new();
        headers.insert(REPR_DIGEST, header(&checksums).unwrap());
        assert_eq!(stated(&headers).ok(), Some(checksums));
    }
}
