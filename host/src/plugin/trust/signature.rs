//! minisign signatures of plugins, in `X.so.minisig` beside `X.so`.

use super::{Signatures, TrustPolicy, TrustedKey, signature_file};
use crate::config::parse_time;
use crate::plugin::fault::{Code, Fault};
use crate::plugin::load::Image;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};
use std::path::Path;
use std::time::SystemTime;

/// Four lines; minisign's comments have at most 8 KiB.
const MAX_FILE: u64 = 64 << 10;

/// The signature that lies beside a file.
pub(super) struct Beside {
    signature: Signature,
    /// As minisign shows it.
    key_id: String,
}

/// Who signed a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// The publisher of a trusted key.
    By(String),
    /// The holder of no trusted key.
    Untrusted,
}

fn malformed(why: impl std::fmt::Display, path: &Path) -> Box<Fault> {
    let fault = Fault::new(Code::SignatureMalformed).expected("a signature as minisign writes it");
    Box::new(
        fault
            .found(why.to_string())
            .location(signature_file(path).display().to_string()),
    )
}

/// Reads the signature of the file at `path`; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Beside>, Box<Fault>> {
    let file = signature_file(path);
    let bytes = match crate::config::read_whole(&file, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(_) if matches!(file.try_exists(), Ok(false)) => return Ok(None),
        Err(why) => return Err(malformed(why, path)),
    };
    let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8", path))?;
    let signature = Signature::decode(&text).map_err(|why| malformed(why, path))?;
    // Algorithm (2 bytes), key id (8), signature (64): decoded a moment ago.
    let second = text.lines().nth(1).unwrap_or_default();
    let decoded = STANDARD.decode(second.trim()).unwrap_or_default();
    let id = decoded.get(2..10).and_then(|id| id.try_into().ok());
    let key_id = format!("{:016X}", u64::from_le_bytes(id.unwrap_or_default()));
    Ok(Some(Beside { signature, key_id }))
}

/// The id of a public key, as minisign shows it.
fn id_of(key: &str) -> Option<String> {
    let decoded = STANDARD.decode(key.trim()).ok()?;
    let id = decoded.get(2..10)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

/// Judges a signature of the bytes of an image by the keys for this plugin.
pub(super) fn judge(
    policy: &TrustPolicy,
    beside: Option<&Beside>,
    image: &Image,
    plugin: &str,
) -> Result<Signed, Box<Fault>> {
    let required = policy.signatures == Signatures::Required;
    let Some(beside) = beside else {
        return match required {
            true => Err(Box::new(
                Fault::new(Code::SignatureMissing)
                    .expected("a signature of a trusted key")
                    .found("no .minisig file beside it"),
            )),
            false => Ok(Signed::Untrusted),
        };
    };
    let id = &beside.key_id;
    let is_revoked =
        |revoked: &String| revoked.eq_ignore_ascii_case(id) || id_of(revoked).as_ref() == Some(id);
    if policy.revoked_keys.iter().any(is_revoked) {
        let fault = Fault::new(Code::KeyRevoked).expected("a key that is not revoked");
        return Err(Box::new(fault.found(format!("key {id}"))));
    }
    let keys = policy.keys.iter();
    let named: Vec<&TrustedKey> = keys
        .filter(|key| id_of(&key.key).as_ref() == Some(id))
        .collect();
    if named.is_empty() {
        return match required {
            true => Err(Box::new(
                Fault::new(Code::KeyUnknown)
                    .expected("a signature of a trusted key")
                    .found(format!("one of key {id}")),
            )),
            false => Ok(Signed::Untrusted),
        };
    }
    let mut last = None;
    for key in named {
        match verify(key, beside, image, plugin) {
            Ok(()) => return Ok(Signed::By(key.publisher.clone())),
            Err(fault) => last = Some(fault),
        }
    }
    // Not empty, so that there is one.
    Err(last.unwrap_or_else(|| Box::new(Fault::new(Code::KeyUnknown))))
}

fn verify(
    key: &TrustedKey,
    beside: &Beside,
    image: &Image,
    plugin: &str,
) -> Result<(), Box<Fault>> {
    let id = &beside.key_id;
    let invalid = |why: String| {
        let expected = format!("the bytes that key {id} of {:?} signed", key.publisher);
        Box::new(
            Fault::new(Code::SignatureInvalid)
                .expected(expected)
                .found(why),
        )
    };
    let public = PublicKey::from_base64(&key.key).map_err(|why| invalid(why.to_string()))?;
    let verifier = public.verify_stream(&beside.signature);
    let mut verifier = verifier.map_err(|why| invalid(format!("{why}; sign it again")))?;
    image
        .read_whole(&mut |bytes| verifier.update(bytes))
        .map_err(|cause| invalid(cause.to_string()))?;
    verifier
        .finalize()
        .map_err(|_| invalid("other bytes, or another trusted comment".to_owned()))?;
    // From here on the comment is the signer's word.
    if !key.may_sign(plugin) {
        return Err(Box::new(
            Fault::new(Code::KeyScope)
                .expected(format!("a key that may sign {plugin:?}"))
                .found(format!(
                    "key {id} of {:?}, for {}",
                    key.publisher,
                    key.plugins.join(", ")
                )),
        ));
    }
    let now = SystemTime::now();
    if let Some(end) = key.not_after.filter(|end| *end < now) {
        let fault = Fault::new(Code::KeyExpired).expected("a key within its period");
        let end = humantime::format_rfc3339_seconds(end);
        return Err(Box::new(fault.found(format!("key {id} until {end}"))));
    }
    let expires = expires(beside.signature.trusted_comment());
    match expires.map_err(|text| malformed_expiry(&text))? {
        Some(end) if end < now => {
            let fault =
                Fault::new(Code::SignatureExpired).expected("a signature within its period");
            let end = humantime::format_rfc3339_seconds(end);
            Err(Box::new(fault.found(format!("one until {end}"))))
        }
        _ => Ok(()),
    }
}

fn malformed_expiry(text: &str) -> Box<Fault> {
    let expected = "expires=YYYY-MM-DD, or a time of RFC 3339, in the trusted comment";
    let fault = Fault::new(Code::SignatureMalformed).expected(expected);
    Box::new(fault.found(format!("expires={text}")))
}

/// `expires=` of a trusted comment, whose parts are separated by white space.
fn expires(comment: &str) -> Result<Option<SystemTime>, String> {
    let mut parts = comment.split_whitespace();
    match parts.find_map(|part| part.strip_prefix("expires=")) {
        None => Ok(None),
        Some(text) => parse_time(text).map(Some).ok_or_else(|| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_says_when_it_expires() {
        assert_eq!(expires("timestamp:1\tfile:x.so\thashed"), Ok(None));
        let day = parse_time("2027-01-31");
        assert_eq!(expires("file:x.so\texpires=2027-01-31"), Ok(day));
        assert_eq!(expires("expires=soon"), Err("soon".to_owned()));
    }
}
