//! The fields of a configuration that every store over HTTP has.
//!
//! A plugin flattens them into its own:
//!
//! ```
//! # use holdall_plugin_api::Problems;
//! # use holdall_plugin_api_object_store::ServiceSettings;
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     bucket: String,
//!     #[serde(flatten)]
//!     settings: ServiceSettings,
//! }
//!
//! let text = r#"{"bucket": "photos", "retries": 3, "prefix": "a"}"#;
//! let config: Config = serde_json::from_str(text).unwrap();
//! let mut problems = Problems::default();
//! config.settings.check(&mut problems);
//! assert!(problems.none().unwrap_err().fact("prefix").is_some());
//! ```

use crate::{HttpOptions, Proxy};
use holdall_plugin_api::{Capabilities, Capability, KeyPolicy, Problems};
use object_store::{BackoffConfig, RetryConfig};
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// How a store over HTTP is reached, and what it is asked for.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceSettings {
    /// Keeps all objects below this prefix, such as `team/a/`. Ends in `/`.
    #[serde(default)]
    pub prefix: String,

    /// What this store is not to be asked for, by the names of capabilities: `["create_only"]`.
    #[serde(default)]
    pub without: Vec<String>,

    /// Allows an address with `http://` that is not on this machine: everything but a secret key
    /// travels readable, tokens included.
    #[serde(default)]
    pub allow_http: bool,

    /// How often a request that failed for a passing reason is made again.
    #[serde(default = "default_retries")]
    #[cfg_attr(feature = "schema", schemars(range(max = 10)))]
    pub retries: u32,

    /// Longest time to a connection, in seconds.
    #[serde(default = "default_connect_timeout_seconds")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 600)))]
    pub connect_timeout_seconds: u32,

    /// Longest time from a request to the beginning of its answer, the sending of a part included,
    /// in seconds.
    #[serde(default = "default_answer_timeout_seconds")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub answer_timeout_seconds: u32,

    /// Longest silence while an object is read, in seconds. Not counted while the caller waits.
    #[serde(default = "default_idle_timeout_seconds")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub idle_timeout_seconds: u32,

    /// A file of certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,

    /// How to get out.
    #[serde(default)]
    pub proxy: Proxy,
}

fn default_retries() -> u32 {
    2
}
fn default_connect_timeout_seconds() -> u32 {
    5
}
fn default_answer_timeout_seconds() -> u32 {
    60
}
fn default_idle_timeout_seconds() -> u32 {
    30
}

/// Checks a name of the configuration that becomes part of an address, such as that of a bucket: so
/// many letters and digits, and these characters between them; no `..`.
pub fn check_name(
    field: &'static str,
    text: &str,
    lengths: RangeInclusive<usize>,
    between: &str,
    problems: &mut Problems,
) {
    let is_inner =
        |character: char| character.is_ascii_alphanumeric() || between.contains(character);
    let is_outer = |character: Option<char>| character.is_some_and(|it| it.is_ascii_alphanumeric());
    let good = lengths.contains(&text.len())
        && text.chars().all(is_inner)
        && is_outer(text.chars().next())
        && is_outer(text.chars().next_back())
        && !text.contains("..");
    if !good {
        let (least, most) = lengths.into_inner();
        problems.add(
            field,
            format!(
                "not a name: {least} to {most} letters and digits, between them also `{between}`, and no `..`"
            ),
        );
    }
}

impl ServiceSettings {
    /// Looks at what can be wrong in these fields; answers the capabilities that `without` names.
    pub fn check(&self, problems: &mut Problems) -> Capabilities {
        let inner = self.prefix.strip_suffix('/');
        let good = inner.is_some_and(|inner| KeyPolicy::Portable.check(inner).is_ok());
        if !self.prefix.is_empty() && !good {
            problems.add(
                "prefix",
                "a prefix is `a/b/`: segments as in a key, and a slash at its end",
            );
        }
        let mut without = Capabilities::EMPTY;
        for name in &self.without {
            match Capability::from_name(name) {
                Some(capability) => without = without.with(capability.into()),
                None => problems.add("without", format!("no capability is called {name:?}")),
            }
        }
        without
    }

    /// Reads an address: `https://`, or `http://` on this machine or where it is allowed.
    pub fn address(
        &self,
        field: &'static str,
        text: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Url> {
        let url = match Url::parse(text.trim_end_matches('/')) {
            Ok(url) if url.has_host() => url,
            _ => {
                problems.add(field, format!("not a URL such as `{example}`"));
                return None;
            }
        };
        if url.query().is_some() || !url.username().is_empty() {
            problems.add(field, format!("more than an address such as `{example}`"));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http || url.host_str().is_some_and(is_loopback) => {}
            "http" => problems.add(
                field,
                "`http://` is readable on the way: use `https://`, or say `allow_http = true`",
            ),
            _ => problems.add(field, "neither `https://` nor `http://`"),
        }
        Some(url)
    }

    /// What the connector wants to know. `store_authority`: see [`HttpOptions::store_authority`].
    pub fn http(&self, store_authority: &str) -> HttpOptions {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        HttpOptions {
            connect_timeout: seconds(self.connect_timeout_seconds),
            answer_timeout: seconds(self.answer_timeout_seconds),
            idle_timeout: seconds(self.idle_timeout_seconds),
            ca_file: self.ca_file.clone(),
            proxy: self.proxy.clone(),
            store_authority: store_authority.to_owned(),
        }
    }

    /// What the store's client wants to know.
    pub fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: self.retries as usize,
            // The host has deadlines; this only ends requests without a waiting caller.
            retry_timeout: Duration::from_secs(180),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::Secret;
    use serde_json::json;

    fn settings(value: serde_json::Value) -> ServiceSettings {
        serde_json::from_value(value).unwrap()
    }

    fn wrong_fields(check: impl FnOnce(&mut Problems)) -> Vec<String> {
        let mut problems = Problems::default();
        check(&mut problems);
        match problems.none() {
            Ok(()) => Vec::new(),
            Err(error) => error.facts().map(|(field, _)| field.to_owned()).collect(),
        }
    }

    #[test]
    fn prefixes_and_names_of_capabilities() {
        for good in ["", "a/", "team/a b/"] {
            let settings = settings(json!({"prefix": good}));
            assert!(wrong_fields(|p| _ = settings.check(p)).is_empty(), "{good}");
        }
        for bad in ["a", "/", "/a/", "a//", "a/../"] {
            let settings = settings(json!({"prefix": bad}));
            assert_eq!(wrong_fields(|p| _ = settings.check(p)), ["prefix"], "{bad}");
        }
        let both = settings(json!({"without": ["create_only", "speed"]}));
        assert_eq!(wrong_fields(|p| _ = both.check(p)), ["without"]);
        let without = both.check(&mut Problems::default());
        assert_eq!(without, Capabilities::create_only);
    }

    #[test]
    fn names_that_become_part_of_an_address() {
        let wrong = |text: &str| wrong_fields(|p| check_name("bucket", text, 3..=63, ".-", p));
        for good in ["photos", "a.b", "a-b.c1", "012"] {
            assert!(wrong(good).is_empty(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            "ab",
            "../x",
            "a/b",
            "a..b",
            "-ab",
            "ab-",
            ".ab",
            "a b",
            "a?b",
            "a#b",
            "a%2fb",
            "a@b",
            "a:b",
            "a\\b",
            "b\u{fc}cher",
            &long,
        ] {
            assert_eq!(wrong(bad), ["bucket"], "{bad}");
        }
    }

    #[test]
    fn addresses() {
        let wrong = |text: &str, allow: bool| {
            let settings = settings(json!({"allow_http": allow}));
            let example = "https://s3.example";
            wrong_fields(|p| drop(settings.address("endpoint", text, example, p)))
        };
        for good in [
            "https://a.example",
            "https://a.example:8443/",
            "http://127.0.0.1:9000",
            "http://localhost/",
            "http://[::1]:9000",
        ] {
            assert!(wrong(good, false).is_empty(), "{good}");
        }
        for bad in [
            "a.example",
            "https://",
            "ftp://a.example",
            "http://a.example",
            "http://127.0.0.1.a.example",
            "https://user@a.example",
            "https://a.example/?x",
        ] {
            assert_eq!(wrong(bad, false), ["endpoint"], "{bad}");
        }
        assert!(wrong("http://a.example", true).is_empty());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret: Secret = serde_json::from_value(json!("hunter2")).unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!format!("{secret:?} {:?}", Some(&secret)).contains("hunter2"));
    }
}
