//! Who the server is: the key that it must show.

use russh::client::Handler;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use std::sync::{Arc, Mutex, PoisonError};

/// A pinned key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostKey {
    /// `SHA256:...`
    pub(crate) fingerprint: String,
    /// Known when the whole key was given: then the server is asked for one of this kind.
    pub(crate) algorithm: Option<Algorithm>,
}

impl HostKey {
    /// From a fingerprint, a line of `known_hosts`, or a public key.
    ///
    /// # Errors
    ///
    /// What was expected and found.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(digest) = text.strip_prefix("SHA256:") {
            // 32 bytes in base64, without padding.
            let digest = digest.trim_end_matches('=');
            let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
            if digest.len() != 43 || !digest.bytes().all(is_base64) {
                return Err(
                    "expected SHA256: and 43 characters, as `ssh-keygen -lf` prints them"
                        .to_owned(),
                );
            }
            return Ok(Self {
                fingerprint: format!("SHA256:{digest}"),
                algorithm: None,
            });
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let is_kind = |word: &&str| {
            ["ssh-", "ecdsa-", "sk-"]
                .iter()
                .any(|kind| word.starts_with(kind))
        };
        let Some(at) = words.iter().position(is_kind) else {
            return Err("expected `SHA256:...` or a line of known_hosts".to_owned());
        };
        let key = words[at..]
            .iter()
            .take(2)
            .copied()
            .collect::<Vec<_>>()
            .join(" ");
        match PublicKey::from_openssh(&key) {
            Ok(key) if key.algorithm().is_rsa() => Err(
                "an RSA key, of which this plugin has none; pin the server's ed25519 or ecdsa key"
                    .to_owned(),
            ),
            Ok(key) => Ok(Self {
                fingerprint: fingerprint(&key),
                algorithm: Some(key.algorithm()),
            }),
            Err(cause) => Err(format!("no public key that can be read: {cause}")),
        }
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// What the server has shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) fingerprint: String,
    pub(crate) kind: String,
}

/// Accepts one key and no other, and keeps what it saw.
pub(crate) struct Checker {
    pub(crate) pinned: HostKey,
    pub(crate) shown: Arc<Mutex<Option<Shown>>>,
}

impl Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let shown = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => Shown {
                fingerprint: fingerprint(key),
                kind: key.algorithm().to_string(),
            },
            PublicKeyOrCertificate::Certificate(_) => Shown {
                fingerprint: "a certificate".to_owned(),
                kind: "certificate".to_owned(),
            },
        };
        let is_right = shown.fingerprint == self.pinned.fingerprint;
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(is_right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_pin_is_a_fingerprint_or_a_key() {
        let key = HostKey::parse(KEY).unwrap();
        assert_eq!(key.algorithm, Some(Algorithm::Ed25519));
        let pin = HostKey::parse(&key.fingerprint).unwrap();
        assert_eq!((&pin.fingerprint, pin.algorithm), (&key.fingerprint, None));
        for line in [
            format!("[nas.example]:2222 {KEY}"),
            format!("|1|a=|b= {KEY} comment"),
        ] {
            assert_eq!(HostKey::parse(&line).unwrap(), key);
        }
        for bad in [
            "",
            "SHA256:short",
            "MD5:ab:cd",
            "nas.example",
            "ssh-ed25519 nonsense",
        ] {
            assert!(HostKey::parse(bad).is_err(), "{bad}");
        }
    }
}
