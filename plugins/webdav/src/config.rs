//! What `[backend.NAME.config]` may say.

use holdall_plugin_api::{Error, ErrorKind, Result};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;
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
pub(crate) struct Settings {
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
    /// Everything that is wrong, at once.
    pub(crate) fn checked(&self) -> Result<Settings> {
        let mut faults: Vec<(&'static str, String)> = Vec::new();
        let root = match self.root() {
            Ok(root) => Some(root),
            Err(why) => {
                faults.push(("url", why));
                None
            }
        };
        let mut folders = Vec::new();
        for (name, folder) in [
            ("objects", &self.objects),
            ("staging", &self.staging),
            ("locks", &self.locks),
        ] {
            match folder_path(folder) {
                Ok(path) => folders.push((name, path)),
                Err(why) => faults.push((name, why)),
            }
        }
        for (index, (name, path)) in folders.iter().enumerate() {
            for (other, beside) in &folders[..index] {
                if path.starts_with(beside.as_str()) || beside.starts_with(path.as_str()) {
                    faults.push((name, format!("`{name}` and `{other}` lie in one another")));
                }
            }
        }
        let authorization = self.authorization().unwrap_or_else(|(field, why)| {
            faults.push((field, why.to_owned()));
            None
        });
        let below = |name: &str| {
            let path = &folders.iter().find(|(own, _)| *own == name)?.1;
            root.as_ref()?.join(path).ok()
        };
        match (
            root.clone(),
            below("objects"),
            below("staging"),
            below("locks"),
        ) {
            (Some(root), Some(objects), Some(staging), Some(locks)) if faults.is_empty() => {
                Ok(Settings {
                    root,
                    objects,
                    staging,
                    locks,
                    authorization,
                    timeout: Duration::from_secs(self.timeout_seconds.max(1).into()),
                    connect_timeout: Duration::from_secs(
                        self.connect_timeout_seconds.max(1).into(),
                    ),
                })
            }
            _ => Err(invalid(faults)),
        }
    }

    fn root(&self) -> std::result::Result<Url, String> {
        let mut url = Url::parse(&self.url)
            .map_err(|cause| format!("not a URL ({cause}), expected https://HOST/PATH"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!(
                "scheme {:?}, expected http or https, with a host",
                url.scheme()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a name or password; use `username` and `password`".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a URL with a query or fragment, which a folder does not have".to_owned());
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(url)
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
            (Some(name), Some(password), None) => crate::names::basic(name, password),
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

/// Percent-encoded, with a `/` at its end.
fn folder_path(folder: &str) -> std::result::Result<String, String> {
    let path = folder.trim_matches('/');
    holdall_plugin_api::KeyPolicy::Portable
        .check(path)
        .map_err(|fault| format!("not the path of a folder: {fault}"))?;
    Ok(crate::names::encoded(path) + "/")
}

fn invalid(faults: Vec<(&'static str, String)>) -> Error {
    let all: Vec<String> = faults
        .iter()
        .map(|(field, why)| format!("`{field}`: {why}"))
        .collect();
    let error = Error::new(ErrorKind::ConfigInvalid).message(all.join("; "));
    faults
        .into_iter()
        .fold(error, |error, (field, why)| error.fact(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(error.fact_value(field).is_some(), "{field}: {error}");
        }
        for url in ["https://u:p@h/", "https://h/?q", "nonsense", "https:"] {
            let error = config(&format!(r#"{{"url": "{url}"}}"#)).checked();
            assert!(error.is_err(), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = config(r#"{"url": "http://h/", "username": "u", "password": "hunter2"}"#);
        let settings = config.checked().unwrap();
        assert!(!format!("{config:?} {settings:?}").contains("hunter2"));
        assert_eq!(settings.authorization.unwrap(), "Basic dTpodW50ZXIy");
    }
}
