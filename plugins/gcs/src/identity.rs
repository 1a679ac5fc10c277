//! Who we are to the store: what the configuration names, read and judged.
//!
//! Application default credentials are looked for where Google's tools put them, with two differences.
//! No variable of the environment is read, `GOOGLE_APPLICATION_CREDENTIALS` included: a plugin shares its
//! process with others, and what it is configured with is in its configuration. And the types that
//! `object_store` does not follow are refused by name, before anything is asked of anybody.

use crate::config::{Credentials, GcsConfig};
use holdall_plugin_api::Problems;
use holdall_plugin_api_object_store::Secret;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What proves who we are.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A key, as JSON: makes its own tokens, and signs. `field`: the one that it came by.
    ServiceAccount { field: &'static str, key: Secret },
    /// A person, or a tool that acts for one: this file has a refresh token, changed for short ones.
    User(PathBuf),
    /// The account of this machine, whose tokens the metadata service hands out.
    Machine,
}

const OF_A_SERVICE_ACCOUNT: [&str; 3] = ["client_email", "private_key", "private_key_id"];
const OF_A_USER: [&str; 3] = ["client_id", "client_secret", "refresh_token"];

impl Identity {
    /// The one that this configuration names; `None` after a problem.
    pub(crate) fn of(config: &GcsConfig, problems: &mut Problems) -> Option<Self> {
        let allowed: &[_] = match config.credentials {
            Credentials::ServiceAccount => &["service_account_key", "service_account_file"],
            Credentials::ApplicationDefault => &["application_credentials_file"],
        };
        let fields = [
            ("service_account_key", config.service_account_key.is_some()),
            (
                "service_account_file",
                config.service_account_file.is_some(),
            ),
            (
                "application_credentials_file",
                config.application_credentials_file.is_some(),
            ),
        ];
        problems.choice("these credentials", &fields, &[], allowed);
        match config.credentials {
            Credentials::ServiceAccount => service_account(config, problems),
            Credentials::ApplicationDefault => application_default(config, problems),
        }
    }
}

fn service_account(config: &GcsConfig, problems: &mut Problems) -> Option<Identity> {
    let (field, text) = match (&config.service_account_key, &config.service_account_file) {
        (Some(_), Some(_)) => {
            problems.add(
                "service_account_file",
                "beside `service_account_key`: which one?",
            );
            return None;
        }
        (None, None) => {
            problems.add(
                "service_account_file",
                "needed for these credentials, or `service_account_key`",
            );
            return None;
        }
        (Some(key), None) => ("service_account_key", key.reveal().to_owned()),
        (None, Some(file)) => {
            let field = "service_account_file";
            (field, read(field, file, problems)?)
        }
    };
    let fields = fields(field, "this", &text, problems)?;
    key(field, &fields, text, problems)
}

fn key(
    field: &'static str,
    fields: &Value,
    text: String,
    problems: &mut Problems,
) -> Option<Identity> {
    let key = text.into();
    has(field, fields, OF_A_SERVICE_ACCOUNT, problems)
        .then_some(Identity::ServiceAccount { field, key })
}

fn application_default(config: &GcsConfig, problems: &mut Problems) -> Option<Identity> {
    let field = "application_credentials_file";
    let file = match &config.application_credentials_file {
        Some(file) => file.clone(),
        None => match well_known().filter(|file| file.exists()) {
            Some(file) => file,
            None => return Some(Identity::Machine),
        },
    };
    let text = read(field, &file, problems)?;
    let shown = file.display().to_string();
    let fields = fields(field, &shown, &text, problems)?;
    match fields["type"].as_str() {
        Some("service_account") => key(field, &fields, text, problems),
        Some("authorized_user") => {
            has(field, &fields, OF_A_USER, problems).then_some(Identity::User(file))
        }
        // Of a type that has a name nothing is secret; anything else is not quoted.
        found => {
            let found = found.filter(|name| name.len() < 64);
            problems.add(
                field,
                format!(
                    "{shown} is of the type {:?}, which is not followed here: expected \
                     \"authorized_user\", as `gcloud auth application-default login` writes it, or \
                     \"service_account\"",
                    found.unwrap_or("unknown")
                ),
            );
            None
        }
    }
}

/// Where `gcloud` writes them: <https://cloud.google.com/docs/authentication/application-default-credentials#personal>.
fn well_known() -> Option<PathBuf> {
    let folder = match cfg!(windows) {
        true => std::env::var_os("APPDATA").map(PathBuf::from),
        false => std::env::home_dir().map(|home| home.join(".config")),
    };
    Some(folder?.join("gcloud/application_default_credentials.json"))
}

fn read(field: &'static str, file: &Path, problems: &mut Problems) -> Option<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Some(text),
        Err(cause) => {
            let problem = format!("{} cannot be read: {cause}", file.display());
            problems.add(field, problem);
            None
        }
    }
}

// What is wrong is said without quoting any of it.
fn fields(field: &'static str, what: &str, text: &str, problems: &mut Problems) -> Option<Value> {
    match serde_json::from_str::<Value>(text) {
        Ok(fields) if fields.is_object() => Some(fields),
        _ => {
            problems.add(field, format!("{what} is no JSON object"));
            None
        }
    }
}

fn has(field: &'static str, fields: &Value, wanted: [&str; 3], problems: &mut Problems) -> bool {
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|name| !fields[name].is_string())
        .collect();
    if !missing.is_empty() {
        problems.add(
            field,
            format!("these are no whole credentials: {missing:?} missing"),
        );
    }
    missing.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::Result;
    use serde_json::json;

    fn of_file(text: &str) -> Result<Identity> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        of(&json!({"application_credentials_file": file.path()}))
    }

    fn of(more: &Value) -> Result<Identity> {
        let mut whole = json!({"bucket": "photos", "credentials": "application_default"});
        let fields = whole.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let config: GcsConfig = serde_json::from_value(whole).unwrap();
        let mut problems = Problems::default();
        let found = Identity::of(&config, &mut problems);
        problems.none()?;
        Ok(found.unwrap())
    }

    #[test]
    fn the_type_in_the_file_counts() {
        let user = json!({"type": "authorized_user", "client_id": "a", "client_secret": "b",
            "refresh_token": "c", "quota_project_id": "d"});
        assert!(matches!(of_file(&user.to_string()), Ok(Identity::User(_))));
        let account = json!({"type": "service_account", "client_email": "a@b", "private_key": "c",
            "private_key_id": "d"});
        let account = of_file(&account.to_string());
        assert!(matches!(account, Ok(Identity::ServiceAccount { .. })));
    }

    #[test]
    fn what_is_not_followed_is_named_and_nothing_quoted() {
        for (text, said) in [
            (
                r#"{"type": "external_account", "x": "hunter2"}"#,
                "\"external_account\"",
            ),
            (r#"{"client_secret": "hunter2"}"#, "\"unknown\""),
            (
                r#"{"type": "authorized_user", "client_secret": "hunter2"}"#,
                r#"["client_id", "refresh_token"] missing"#,
            ),
            (
                r#"{"type": "service_account", "private_key": "hunter2"}"#,
                r#"["client_email", "private_key_id"] missing"#,
            ),
            ("hunter2", "no JSON object"),
            ("\"hunter2\"", "no JSON object"),
        ] {
            let error = of_file(text).unwrap_err();
            let problem = error.fact("application_credentials_file").unwrap();
            assert!(problem.contains(said), "{problem}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_file_that_is_named_is_there() {
        let error = of(&json!({"application_credentials_file": "/does/not/exist"})).unwrap_err();
        assert!(error.fact("application_credentials_file").is_some());
    }
}
