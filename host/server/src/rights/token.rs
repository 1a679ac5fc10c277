//! Bearer tokens.
//!
//! A token is `hd_<name>_<43 letters>`: its name, then 256 random bits. The configuration keeps its
//! SHA-256, from which it cannot be made again; a slow hash would protect passwords that can be
//! guessed, and this is none. The name finds the token, and the hashes are compared in constant time.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::rule::Rule;

const MARK: &str = "hd_";
const HASH_MARK: &str = "sha256:";

/// A token as the server knows it: everything but the token itself.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// Its name, as of a backend: for logs, and for who takes it away.
    pub name: String,
    /// What its holder may do.
    pub rule: Rule,
    /// When it expires; `None` for never.
    pub expires: Option<SystemTime>,
    /// To whom its uploads are charged; `None`: the owner `default`.
    pub owner: Option<String>,
    /// The group to which they are charged.
    pub group: Option<String>,
    hash: [u8; 32],
}

impl Token {
    /// A new token: the text for its holder, which is nowhere kept, and what the server knows.
    ///
    /// # Errors
    ///
    /// The system has no random bytes.
    pub fn create(
        name: &str,
        rule: Rule,
        expires: Option<SystemTime>,
    ) -> io::Result<(String, Self)> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let text = format!("{MARK}{name}_{}", URL_SAFE_NO_PAD.encode(secret));
        let token = Self {
            name: name.to_owned(),
            rule,
            expires,
            owner: None,
            group: None,
            hash: Sha256::digest(&text).into(),
        };
        Ok((text, token))
    }

    /// A token of the configuration; `None` when the hash is not `sha256:` and 64 hexadecimal digits.
    pub fn of(name: &str, hash: &str, rule: Rule, expires: Option<SystemTime>) -> Option<Self> {
        let digits = hash.strip_prefix(HASH_MARK)?;
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self {
            name: name.to_owned(),
            rule,
            expires,
            owner: None,
            group: None,
            hash: bytes,
        })
    }

    /// Charges its uploads to this owner and group.
    #[must_use]
    pub fn charge(mut self, owner: Option<String>, group: Option<String>) -> Self {
        (self.owner, self.group) = (owner, group);
        self
    }

    /// Its hash, as the configuration keeps it.
    pub fn hash(&self) -> String {
        let mut text = HASH_MARK.to_owned();
        for byte in self.hash {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The name that a token claims; `None` for what is no token.
    pub(crate) fn name_in(text: &str) -> Option<&str> {
        let (name, secret) = text.strip_prefix(MARK)?.split_once('_')?;
        (!name.is_empty() && !secret.is_empty()).then_some(name)
    }

    /// Whether this is the token, and still good.
    pub(crate) fn admits(&self, text: &str, now: SystemTime) -> bool {
        let hash: [u8; 32] = Sha256::digest(text).into();
        let same: bool = hash.ct_eq(&self.hash).into();
        same && self.expires.is_none_or(|end| now < end)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("rule", &self.rule)
            .field("expires", &self.expires)
            .field("owner", &self.owner)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_token_admits_its_own_text_until_it_expires() {
        let now = SystemTime::now();
        let soon = now + Duration::from_secs(60);
        let (text, token) = Token::create("ci-1", Rule::everything(), Some(soon)).unwrap();
        assert_eq!(Token::name_in(&text), Some("ci-1"));
        assert!(text.len() == "hd_ci-1_".len() + 43, "{text}");
        assert!(token.admits(&text, now));
        assert!(!token.admits(&text, soon));
        assert!(!token.admits(&text[..text.len() - 1], now));
        assert!(!token.admits(&format!("{text}A"), now));
        assert!(!token.admits("", now));
        let (other, _) = Token::create("ci-1", Rule::everything(), None).unwrap();
        assert_ne!(text, other);
        assert!(!token.admits(&other, now));
    }

    #[test]
    fn the_configuration_knows_it_by_its_hash_alone() {
        let (text, token) = Token::create("ci", Rule::default(), None).unwrap();
        let read = Token::of("ci", &token.hash(), Rule::default(), None).unwrap();
        assert_eq!(read, token);
        assert!(read.admits(&text, SystemTime::now()));
        let shown = format!("{token:?}");
        assert!(!shown.contains(&token.hash()[7..]), "{shown}");
        for wrong in [
            "",
            "sha256:",
            "sha256:+1",
            &token.hash()[7..],
            &token.hash()[..70],
        ] {
            assert!(
                Token::of("ci", wrong, Rule::default(), None).is_none(),
                "{wrong}"
            );
        }
        assert!(
            Token::of(
                "ci",
                &format!("sha256:{}", "+f".repeat(32)),
                Rule::default(),
                None
            )
            .is_none()
        );
    }

    #[test]
    fn what_is_no_token_has_no_name() {
        for text in [
            "",
            "hd_",
            "hd_x",
            "hd__y",
            "hd_x_",
            "xx_a_b",
            "Bearer hd_a_b",
        ] {
            assert_eq!(Token::name_in(text), None, "{text}");
        }
    }
}
