//! What `[backend.NAME.config]` may say.

use crate::names::{basic, below};
use holdall_plugin_api::{Problems, Result};
use holdall_plugin_api_hierarchical_list::disjoint_folders;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A folder of a WebDAV server as a store.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WebdavConfig {
    /// The folder (collection) that holds everything, as an `http` or `https` URL. It must exist.
    /// For Nextcloud: `https://HOST/remote.php/dav/files/USER/FOLDER`.
    #[cfg_attr(test, schemars(length(min = 8)))]
    pub url: String,

    /// Name for basic authentication; needs `password`.
    pub username: Option<String>,

    /// Password for basic authentication. For Nextcloud an app password.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub password: Option<String>,

    /// Token for bearer authentication, instead of name and password.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub token: Option<String>,

    /// Allows a `url` with `http://` that is not on this machine although there is a password or
    /// token: both travel readable.
    #[serde(default)]
    pub allow_http: bool,

    /// Folder of the objects, below `url`: the object `a/b` is the file `URL/objects/a/b`.
    #[serde(default = "objects")]
    pub objects: String,

    /// Folder below `url` in which uploads grow until they are whole. Neither it nor `locks` may lie
    /// in `objects`.
    #[serde(default = "staging")]
    pub staging: String,

    /// Folder below `url` of the small files that conditional writes lock, on servers that have
    /// locks.
    #[serde(default = "locks")]
    pub locks: String,

    /// Makes `objects`, `staging` and `locks` at the opening when they are missing.
    #[serde(default = "yes")]
    pub create: bool,

    /// Tries out at the opening what the server can do (about 20 small requests in `staging`).
    /// Without it the least is claimed: no content type, no metadata, no etags, no conditions. With
    /// neither this nor `create` the opening asks the server nothing.
    #[serde(default = "yes")]
    pub probe: bool,

    /// A file with certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,

    /// Longest wait for a connection, in seconds.
    #[serde(default = "ten")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub connect_timeout_seconds: u32,

    /// Longest wait for an answer, and longest pause of the network within a body, in seconds.
    #[serde(default = "thirty")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub timeout_seconds: u32,

    /// Files in `staging` that did not change for this long, in seconds by the server's own clock,
    /// are removed at the opening: what a killed process has left. 0 removes none.
    #[serde(default = "day")]
    pub stale_after_seconds: u64,
}

fn objects() -> String {
    "objects".to_owned()
}

fn staging() -> String {
    "staging".to_owned()
}

fn locks() -> String {
    "locks".to_owned()
}

fn yes() -> bool {
    true
}

fn ten() -> u32 {
    10
}

fn thirty() -> u32 {
    30
}

fn day() -> u64 {
    24 * 3600
}

/// Without the secrets.
impl std::fmt::Debug for WebdavConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebdavConfig")
            .field("url", &self.url)
            .field("username", &self.username)
            .field("objects", &self.objects)
            .field("staging", &self.staging)
            .finish_non_exhaustive()
    }
}

/// A configuration that has been checked.
#[derive(Debug)]
pub(crate) struct CheckedConfig {
    /// Ends in `/`, as the next three.
    pub(crate) root: Url,
    pub(crate) objects: Url,
    pub(crate) staging: Url,
    pub(crate) locks: Url,
    /// Marked as sensitive.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
}

impl WebdavConfig {
    /// # Errors
    ///
    /// `ConfigInvalid`: everything that is wrong, each as a fact named after its field.
    pub(crate) fn checked(&self) -> Result<CheckedConfig> {
        let mut problems = Problems::default();
        let root = self.root(&mut problems);
        let folders = [
            ("objects", self.objects.as_str()),
            ("staging", self.staging.as_str()),
            ("locks", self.locks.as_str()),
        ];
        let folders = disjoint_folders(folders, &mut problems);
        let authorization = self.authorization().unwrap_or_else(|(field, why)| {
            problems.add(field, why);
            None
        });
        let root = problems.give(root)?;
        let [objects, staging, locks] = folders.map(|path| below(&root, &format!("{path}/")));
        let seconds = |seconds: u32| Duration::from_secs(seconds.max(1).into());
        Ok(CheckedConfig {
            root,
            objects,
            staging,
            locks,
            authorization,
            timeout: seconds(self.timeout_seconds),
            connect_timeout: seconds(self.connect_timeout_seconds),
        })
    }

    fn root(&self, problems: &mut Problems) -> Option<Url> {
        let mut url = match Url::parse(&self.url) {
            Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => url,
            Ok(_) => {
                problems.add("url", "expected https://HOST/PATH");
                return None;
            }
            Err(cause) => {
                problems.add(
                    "url",
                    format!("not a URL ({cause}), expected https://HOST/PATH"),
                );
                return None;
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            problems.add(
                "url",
                "a name or password in it; use `username` and `password`",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            problems.add(
                "url",
                "a query or fragment in it, which a folder does not have",
            );
        }
        let is_readable = url.scheme() == "http" && !is_this_machine(&url);
        let has_secret = self.password.is_some() || self.token.is_some();
        if is_readable && has_secret && !self.allow_http {
            problems.add(
                "url",
                "with `http://` the password or token is readable on the way: use `https://`, or say `allow_http = true`",
            );
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Some(url)
    }

    fn authorization(
        &self,
    ) -> std::result::Result<Option<HeaderValue>, (&'static str, &'static str)> {
        let text = match (&self.username, &self.password, &self.token) {
            (None, None, None) => return Ok(None),
            (None, None, Some(token)) => format!("Bearer {token}"),
            (Some(name), Some(_), None) if name.contains(':') => {
                return Err(("username", "a name for basic authentication has no colon"));
            }
            (Some(name), Some(password), None) => basic(name, password),
            (_, _, Some(_)) => {
                return Err(("token", "either `token`, or `username` and `password`"));
            }
            (Some(_), None, None) => return Err(("password", "missing beside `username`")),
            (None, Some(_), None) => return Err(("username", "missing beside `password`")),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| ("token", "has characters that a header cannot have"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;

    fn config(text: &str) -> WebdavConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn folders_lie_below_the_url() {
        let settings = config(
            r#"{"url": "https://nas.example/dav/My%20Files", "objects": "2026/photos é", "token": "t"}"#,
        )
        .checked()
        .unwrap();
        assert_eq!(
            settings.objects.as_str(),
            "https://nas.example/dav/My%20Files/2026/photos%20%C3%A9/"
        );
        assert_eq!(
            settings.staging.as_str(),
            "https://nas.example/dav/My%20Files/staging/"
        );
        let bearer = settings.authorization.unwrap();
        assert!(bearer.is_sensitive() && bearer == "Bearer t");
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let error = config(
            r#"{"url": "ftp://x", "objects": "a", "staging": "a/b", "locks": "../c", "username": "u"}"#,
        )
        .checked()
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        for field in ["url", "staging", "locks", "password"] {
            assert!(error.fact(field).is_some(), "{field}: {error}");
        }
        for url in ["https://u:p@h/", "https://h/?q", "nonsense", "https:"] {
            let error = config(&format!(r#"{{"url": "{url}"}}"#)).checked();
            assert!(error.is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_sent_readable_unless_it_may_be() {
        let with = |url: &str, more: &str| {
            let text = format!(r#"{{"url": "{url}", "username": "u", "password": "p"{more}}}"#);
            config(&text).checked().map(drop)
        };
        for url in [
            "https://nas/",
            "http://localhost/",
            "http://127.0.0.1:8/",
            "http://[::1]/",
        ] {
            assert!(with(url, "").is_ok(), "{url}");
        }
        for url in ["http://nas/", "http://127.0.0.1.nas/", "http://10.0.0.1/"] {
            let refused = with(url, "").unwrap_err();
            assert!(refused.message().contains("allow_http"), "{refused}");
            assert!(with(url, r#", "allow_http": true"#).is_ok(), "{url}");
        }
        let open = config(r#"{"url": "http://nas/"}"#);
        assert!(open.checked().is_ok(), "there is no secret");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = config(r#"{"url": "https://h/", "username": "u", "password": "hunter2"}"#);
        let settings = config.checked().unwrap();
        assert!(!format!("{config:?} {settings:?}").contains("hunter2"));
        assert_eq!(settings.authorization.unwrap(), "Basic dTpodW50ZXIy");
    }
}
