//! Static keys of a profile in a shared credentials file.
//!
//! The file is read when keys are wanted and it has changed since; a rotated key needs no restart.
//! Profiles that name another program, a role or a single sign-on are refused and say so: what they
//! do is the job of tools that know all of it.

use async_trait::async_trait;
use ini::Ini;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

#[derive(Debug)]
pub(crate) struct Profile {
    file: PathBuf,
    name: String,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    modified: SystemTime,
    keys: Arc<AwsCredential>,
}

impl Profile {
    /// `file`: `~/.aws/credentials` when left out.
    pub(crate) fn new(file: Option<PathBuf>, name: String) -> Self {
        let file = file.unwrap_or_else(|| {
            let home = std::env::home_dir().unwrap_or_default();
            home.join(".aws/credentials")
        });
        Self {
            file,
            name,
            known: Mutex::default(),
        }
    }

    fn keys(&self) -> Result<Arc<AwsCredential>> {
        let modified = std::fs::metadata(&self.file)
            .and_then(|facts| facts.modified())
            .map_err(|cause| self.refused(cause))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.modified == modified) {
            return Ok(Arc::clone(&known.keys));
        }
        let keys = read(&self.file, &self.name).map_err(|cause| self.refused(cause))?;
        let keys = Arc::new(keys);
        *known = Some(Known {
            modified,
            keys: Arc::clone(&keys),
        });
        Ok(keys)
    }

    fn refused(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Unauthenticated {
            path: self.file.display().to_string(),
            source: cause.into(),
        }
    }
}

fn read(
    file: &Path,
    name: &str,
) -> std::result::Result<AwsCredential, Box<dyn std::error::Error + Send + Sync>> {
    let profiles = Ini::load_from_file_noescape(file)?;
    let section = profiles
        .section(Some(name))
        .or_else(|| profiles.section(Some(format!("profile {name}"))))
        .ok_or_else(|| format!("no profile is called {name:?}"))?;
    let field = |field: &str| section.get(field).map(|value| value.trim().to_owned());
    let (Some(key_id), Some(secret_key)) =
        (field("aws_access_key_id"), field("aws_secret_access_key"))
    else {
        let other = [
            "credential_process",
            "role_arn",
            "sso_session",
            "sso_start_url",
        ];
        let other = other.into_iter().find(|name| section.contains_key(name));
        return Err(match other {
            Some(other) => format!(
                "the profile has no keys but `{other}`, which is not followed here: use the \
                 credentials `web_identity`, `instance` or `container`, or a file that a tool keeps \
                 current"
            )
            .into(),
            None => "the profile lacks `aws_access_key_id` or `aws_secret_access_key`".into(),
        });
    };
    Ok(AwsCredential {
        key_id,
        secret_key,
        token: field("aws_session_token"),
    })
}

#[async_trait]
impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    // A few hundred bytes, nearly always in the page cache: no hop to another thread.
    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        self.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str, name: &str) -> (tempfile::NamedTempFile, Profile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let profile = Profile::new(Some(file.path().to_owned()), name.to_owned());
        (file, profile)
    }

    const FILE: &str = "[default]\naws_access_key_id = A\naws_secret_access_key = S/x+y=\n\n\
        [temporary]\naws_access_key_id=B\naws_secret_access_key=T\naws_session_token=tok\n\n\
        [profile named]\naws_access_key_id=C\naws_secret_access_key=U\n\n\
        [process]\ncredential_process = /bin/keys\n";

    #[test]
    fn profiles() {
        let keys = profile(FILE, "default").1.keys().unwrap();
        assert_eq!((&*keys.key_id, &*keys.secret_key), ("A", "S/x+y="));
        let keys = profile(FILE, "temporary").1;
        // The file is gone, the profile says so.
        assert!(keys.keys().is_err());
        let (_file, keys) = profile(FILE, "temporary");
        assert_eq!(keys.keys().unwrap().token.as_deref(), Some("tok"));
        let (_file, keys) = profile(FILE, "named");
        assert_eq!(keys.keys().unwrap().key_id, "C");
    }

    #[test]
    fn what_is_not_followed_is_named() {
        let (_file, other) = profile(FILE, "process");
        let error = other.keys().unwrap_err().to_string();
        assert!(error.contains("credential_process"), "{error}");
        let (_file, none) = profile(FILE, "nobody");
        assert!(none.keys().unwrap_err().to_string().contains("nobody"));
    }

    #[test]
    fn a_rotated_key_is_seen() {
        let (file, keys) = profile(FILE, "default");
        assert_eq!(keys.keys().unwrap().key_id, "A");
        std::fs::write(file.path(), FILE.replace("= A", "= Z")).unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        let opened = std::fs::File::options().write(true).open(file.path());
        opened.unwrap().set_modified(later).unwrap();
        assert_eq!(keys.keys().unwrap().key_id, "Z");
    }
}
