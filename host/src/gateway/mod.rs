//! URLs that work without credentials, for backends that cannot sign their own.
//!
//! ```text
//! {public_url}/v1/{backend}/{key}?hd-v=1&hd-m=GET&hd-exp=1767225600&hd-kid=2026-01&hd-sig=...
//! ```
//!
//! The holder of the URL may do one thing with one object until a moment in time. The server that
//! `public_url` reaches hands each request to [`Gateway::verify`], and does what the [`Grant`]
//! says. No state is kept: any server with the same keys verifies what another has signed.
//!
//! # The URL
//!
//! - `backend` and `key` are percent-encoded, segment by segment of the key: every byte but
//!   `A-Z a-z 0-9 - . _ ~` becomes `%XX` with upper-case digits; the `/` between segments stays.
//!   They are decoded exactly once.
//! - Parameters stand in this order, each at most once, their values encoded in the same way:
//!
//! | name | value | with |
//! | --- | --- | --- |
//! | `hd-v` | `1` | always |
//! | `hd-m` | `GET` (which allows HEAD too), `PUT`, `HEAD` or `DELETE` | always |
//! | `hd-exp` | end of its life, in seconds since 1970 | always |
//! | `hd-kid` | id of the key that signed | always |
//! | `hd-ct` | the only content type that is taken | PUT |
//! | `hd-max` | most bytes that are taken | PUT |
//! | `hd-crc32c` | CRC-32C of the body, 8 lower-case hexadecimal digits | PUT |
//! | `hd-md5` | MD5 of the body, 32 digits | PUT |
//! | `hd-sha256` | SHA-256 of the body, 64 digits | PUT |
//! | `hd-name` | file name that a browser saves as | GET, HEAD |
//! | `hd-rct` | content type of the answer | GET, HEAD |
//! | `hd-own` | owner to whom the object is charged | PUT |
//! | `hd-grp` | group to which it is charged | PUT |
//! | `hd-rsv` | number of the bytes that the quota has reserved for it | PUT |
//! | `hd-sig` | the signature | always, last |
//!
//! # The signature
//!
//! HMAC-SHA-256 under the key's secret (the bytes of the text as configured), in base64url without
//! padding, over this text, whose lines end in one line feed, the last one not:
//!
//! ```text
//! HOLDALL-URL-1
//! <path from "/v1/" on, as in the URL>
//! <query without "&hd-sig=...", as in the URL>
//! ```
//!
//! What is signed are the bytes of the URL and not what they mean: a parameter that is added,
//! removed, repeated, moved, or only encoded in another way makes another text. Host and scheme
//! are not part of it, so that proxies may change them, nor is a path that `public_url` has before
//! `/v1/`.
//!
//! A test vector, with the secret `correct horse battery staple` of key `2026-01`:
//!
//! ```text
//! HOLDALL-URL-1
//! /v1/avatars/u/7%20%C3%A9.png
//! hd-v=1&hd-m=GET&hd-exp=1767225600&hd-kid=2026-01
//! ```
//!
//! gives `rounxb8ckZxoeTlCG3u6ACcIZedI7cl6UfKjZ7aZiYY`. More of them, with every parameter, are in this module's tests.
//!
//! # Keys
//!
//! The first key signs, all verify. To rotate: put a new key first, wait for the longest life of a
//! URL, remove the old one. Removing a key kills its URLs at once.
//!
//! # Refusals
//!
//! Tampered, expired, another method, unknown key, another content type: the answer is one
//! [`Refused`] without a reason, so that nothing can be probed. The reason goes to the log, at
//! level debug.

mod sign;
mod terms;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use holdall_plugin_api::{Cause, Error, ErrorKind};
use sha2::Sha256;

use crate::config::{ConfigProblems, Environment, GatewayConfig, SecretText, Secrets};

pub use crate::config::MIN_SECRET;
pub use holdall_plugin_api::attachment;
pub use verify::{Grant, Refused};

/// The shortest life of a URL.
pub const MIN_LIFE: Duration = Duration::from_secs(1);
/// The longest life of a URL: 7 days, as with the large providers.
pub const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the operator must add before anything can be signed.
const LINES_TO_ADD: &str = r#"[gateway]
public_url = "https://files.example.org"
keys = [{ id = "1", secret = "env:HOLDALL_GATEWAY_SECRET" }]"#;

/// Signs URLs and verifies them. Cheap to share, safe from any thread.
///
/// ```
/// use std::time::Duration;
/// use holdall::config::{Environment, GatewayConfig, Secrets};
/// use holdall::gateway::Gateway;
/// use holdall_plugin_api::{Method, SignUrl};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = GatewayConfig::new("https://files.example.org").key("1", "a secret of 16 or more");
/// let gateway = Gateway::new(&config, &Environment::none(), &Secrets::new())?;
/// let sign = SignUrl::new(Method::Get, "u/7.png", Duration::from_secs(900));
/// let url = gateway.sign("avatars", &sign)?.url;
///
/// let grant = gateway.verify("GET", &url, [("host", "files.example.org")])?;
/// assert_eq!((&*grant.backend, &*grant.key), ("avatars", "u/7.png"));
/// assert!(gateway.verify("PUT", &url, [("host", "files.example.org")]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    public_url: String,
    /// The path of `public_url`, without a `/` at its end; usually empty.
    base: String,
    keys: Vec<Key>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// Who is charged for what a URL stores.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account<'a> {
    pub(crate) owner: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    /// Number of what was reserved of the quota.
    pub(crate) reservation: Option<u64>,
}

#[derive(Clone)]
struct Key {
    id: String,
    secret: SecretText,
}

impl Gateway {
    /// A gateway that signs nothing and refuses everything: what there is without `[gateway]`.
    pub fn unconfigured() -> Self {
        Self {
            public_url: String::new(),
            base: String::new(),
            keys: Vec::new(),
            clock: Arc::new(SystemTime::now),
        }
    }

    /// A gateway with these keys. References to secrets are followed now.
    ///
    /// # Errors
    ///
    /// Every problem: `public_url` no http or https URL, an id twice or of odd characters, a
    /// secret that cannot be found or has less than [`MIN_SECRET`] bytes.
    pub fn new(
        config: &GatewayConfig,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Self, ConfigProblems> {
        let resolved = config.resolve(environment, secrets)?;
        let mut gateway = Self::unconfigured();
        gateway.set_public_url(resolved.public_url);
        let keys = resolved.keys.into_iter();
        gateway.keys = keys.map(|(id, secret)| Key { id, secret }).collect();
        Ok(gateway)
    }

    fn set_public_url(&mut self, url: String) {
        let authority = url.find("://").map_or(0, |at| at + 3);
        self.base = url[authority..]
            .find('/')
            .map_or("", |at| &url[authority + at..])
            .to_owned();
        self.public_url = url;
    }

    /// Takes the time from elsewhere, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Whether anything can be signed.
    pub fn is_configured(&self) -> bool {
        !self.keys.is_empty() && !self.public_url.is_empty()
    }

    /// Time since 1970; `None` when the clock is before that and nothing can be judged by it.
    fn now(&self) -> Option<Duration> {
        (self.clock)().duration_since(UNIX_EPOCH).ok()
    }

    fn not_configured() -> Error {
        let fix = format!("add to holdall.toml:\n{LINES_TO_ADD}");
        Error::new(ErrorKind::ConfigInvalid)
            .with_message("no gateway key is configured, and this backend signs no URL itself")
            .with_cause(Some(Cause::new("fix", fix.as_str())))
            .with_fact("missing", "gateway.keys")
            .with_fact("fix", fix)
    }
}

impl Key {
    fn mac(&self, path: &str, query: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        for part in ["HOLDALL-URL-1\n", path, "\n", query] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// Ids of the keys, in order; no secret.
impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("public_url", &self.public_url)
            .field(
                "keys",
                &self.keys.iter().map(|key| &key.id).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
