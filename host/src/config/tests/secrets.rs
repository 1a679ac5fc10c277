//! A canary in every secret field, and every output searched for it.

use std::fmt::Write as _;

use holdall_plugin_api::Error;
use serde_json::json;

use super::super::{BackendConfig, Config, ConfigProblems, Environment, Secrets, check};
use super::{read, schemas};

const CANARY: &str = "Zq7canary9Xw";

/// All that anybody could print of a configuration and its judgement.
fn every_output(config: &Config, problems: Vec<super::Problem>) -> String {
    let secrets = Secrets::new();
    let report = check(config, &schemas(), &secrets);
    let mut out = format!("{config:?} {config:#?} {report:?} {secrets:?}");
    out += &serde_json::to_string(&report).unwrap();
    let problems: ConfigProblems = problems.into_iter().chain(report.problems).collect();
    write!(
        out,
        "{problems} {problems:?} {}",
        serde_json::to_string(&problems).unwrap()
    )
    .unwrap();
    let error = Error::from(problems);
    write!(out, "{error} {error:?}").unwrap();
    for backend in config.backends.values() {
        let schema = schemas()
            .remove(&backend.plugin)
            .unwrap_or_else(|| json!(true).into());
        match backend.resolve(&schema, config.environment(), &secrets) {
            Ok(resolved) => write!(out, "{resolved:?}").unwrap(),
            Err(problems) => write!(out, "{problems:?}").unwrap(),
        }
    }
    out
}

fn silent(text: &str, variables: &[(&str, &str)]) {
    let (config, problems) = read(text, variables);
    let out = every_output(&config, problems);
    assert!(!out.contains(CANARY), "{text}\n{out}");
}

fn document() -> String {
    format!(
        r#"[backend.s3.config]
bucket = "pictures"
secret_access_key = "{CANARY}"
tokens = ["{CANARY}", "{CANARY}"]
retry = {{ count = 1 }}
[backend.opendal.config]
service = "oss"
key = "{CANARY}"
[gateway]
public_url = "https://files.example.org"
keys = [{{ id = "a", secret = "{CANARY}{CANARY}" }}]
"#
    )
}

#[test]
fn right_configurations_are_silent() {
    silent(&document(), &[]);
    let (config, problems) = read(&document(), &[]);
    assert_eq!(problems, []);
    let report = check(&config, &schemas(), &Secrets::new());
    assert!(report.is_ok(), "{}", report.problems);
}

#[test]
fn cut_anywhere() {
    let text = document();
    for end in 0..text.len() {
        silent(&text[..end], &[]);
    }
}

#[test]
fn with_any_one_character_missing_or_wrong() {
    let text = document();
    for at in 0..text.len() {
        silent(&format!("{}{}", &text[..at], &text[at + 1..]), &[]);
        for other in ["7", "\"", "'", "[", "\n"] {
            silent(&format!("{}{other}{}", &text[..at], &text[at + 1..]), &[]);
        }
    }
}

#[test]
fn of_wrong_type_or_in_a_field_that_does_not_exist() {
    for field in [
        format!("secret_access_key = [\"{CANARY}\"]"),
        format!("secret_access_key = {{ {CANARY}a = 1, b = \"{CANARY}\" }}")
            .replace(&format!("{CANARY}a"), "a"),
        format!("secret_acces_key = \"{CANARY}\""),
        format!("secret = {{ deep = [\"{CANARY}\"] }}"),
        format!("pin = \"{CANARY}\""),
        format!("tokens = \"{CANARY}\""),
        format!(
            "secret_access_key = \"{CANARY}\"\nregion = \"{CANARY}\"\ndurability = \"x{CANARY}\""
        ),
        format!("endpoint = \"https://user:{CANARY}@host name/\""),
        format!("region = \"https://user:{CANARY}@host\""),
    ] {
        silent(&format!("[backend.s3.config]\n{field}\n"), &[]);
    }
    silent(
        &format!("[backend.s3]\nsecret_access_key = \"{CANARY}\"\n"),
        &[],
    );
    silent(
        &format!(
            "[gateway]\npublic_url = \"https://u:{CANARY}@h\"\nsecret = \"{CANARY}\"\nkeys = [\"{CANARY}\"]\n"
        ),
        &[],
    );
    silent(
        &format!("[backend.opendal.config]\nservice = \"fs\"\nroot = 7\nkey = \"{CANARY}\"\n"),
        &[],
    );
}

#[test]
fn in_variables() {
    let pin = ("HOLDALL_BACKEND_S3_PIN", CANARY);
    let key = ("HOLDALL_BACKEND_S3_SECRET_ACCESS_KEY", CANARY);
    let unknown = ("HOLDALL_BACKEND_S3_SECRET", CANARY);
    let stray = ("HOLDALL_BACKEND_S4_SECRET", CANARY);
    silent(
        "[backend.s3]\n",
        &[pin, key, unknown, stray, ("OTHER", CANARY)],
    );
}

#[test]
fn what_a_plugin_says_is_cleaned() {
    let secrets = Secrets::new();
    let environment = Environment::from_iter([("KEY", CANARY)]);
    let config = json!({ "bucket": "pictures", "secret_access_key": "env:KEY", "pin": 4321 });
    let backend = BackendConfig::new("a", "s3", config).unwrap();
    let resolved = backend
        .resolve(&schemas()["s3"], &environment, &secrets)
        .unwrap();
    assert!(
        resolved.json.expose().contains(CANARY),
        "the plugin itself gets it"
    );
    let said = format!("403 for key {CANARY}");
    assert_eq!(secrets.redact(&said), "403 for key [redacted]");
    // A short secret: a gap would show which word it is.
    assert_eq!(secrets.redact("403 for pin 4321"), "[redacted]");
}

#[test]
fn a_rotated_secret_is_another_configuration() {
    let secrets = Secrets::new();
    let config = json!({ "bucket": "pictures", "secret_access_key": "env:KEY" });
    let backend = BackendConfig::new("a", "s3", config).unwrap();
    let fingerprint = |key: &str| {
        let environment = Environment::from_iter([("KEY", key)]);
        backend
            .resolve(&schemas()["s3"], &environment, &secrets)
            .unwrap()
            .fingerprint
    };
    assert_eq!(fingerprint("first secret"), fingerprint("first secret"));
    assert_ne!(fingerprint("first secret"), fingerprint("second secret"));
}
