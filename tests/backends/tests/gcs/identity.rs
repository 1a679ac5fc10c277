//! Application default credentials: a person, a service account in the same file, and the account of a
//! machine. The stub hands out their tokens and has the last word on them.

use crate::bucket::Bucket;
use holdall_backends::{Holdall, Serving, curl};
use holdall_conformance::wire::{Endpoint, Reply, refused_url};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};

/// Where `gcloud` writes its file, below the home of a person.
const USUAL: &str = ".config/gcloud/application_default_credentials.json";

/// A configuration whose credentials come from elsewhere; tokens of people from the stub.
fn config(bucket: &Bucket, more: Value) -> Value {
    let mut config = bucket.below("identity/");
    let fields = config.as_object_mut().unwrap();
    fields.remove("service_account_key");
    fields.insert("credentials".into(), "application_default".into());
    let tokens = format!("{}/token", bucket.text("tokens"));
    fields.insert("token_endpoint".into(), tokens.into());
    fields.extend(more.as_object().unwrap().clone());
    config
}

/// The command in a home without files, and with variables that name nothing good: a reader of them
/// would fail.
fn command(config: &Value) -> (Holdall, TempDir) {
    let home = tempfile::tempdir().unwrap();
    let nowhere = refused_url().replace("http://", "");
    let holdall = Holdall::new("gcs", config)
        .with_variable("HOME", home.path())
        .with_variable("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist.json")
        .with_variable("GOOGLE_SERVICE_ACCOUNT", "/does/not/exist.json")
        .with_variable("GCE_METADATA_HOST", &nowhere)
        .with_variable("GCE_METADATA_ROOT", &nowhere)
        .with_variable("GCE_METADATA_IP", &nowhere);
    (holdall, home)
}

/// Stores in parts, reads and removes: one token for each command, whatever its requests.
fn works(bucket: &Bucket, holdall: &Holdall) {
    let before = bucket.tokens();
    let bytes = vec![7; 6 << 20];
    holdall.put("b:an object", &bytes);
    assert!(holdall.get("b:an object") == Some(bytes));
    assert_eq!(holdall.remove("b:an object"), Some(0));
    assert_eq!(bucket.tokens() - before, 3);
}

/// What the command says when it is refused with this code; nothing secret is in it.
fn refused(bucket: &Bucket, holdall: &Holdall, exit: i32, code: &str) -> String {
    let (ended, text) = holdall.told(&["get", "b:an object", "-"]);
    assert_eq!(ended, Some(exit), "{text}");
    assert!(text.contains(&format!("\"code\":\"{code}\"")), "{text}");
    shows_nothing(bucket, &text);
    text
}

fn shows_nothing(bucket: &Bucket, text: &str) {
    let user: Value = serde_json::from_str(&bucket.text("user")).unwrap();
    let word = |field: &str| user[field].as_str().unwrap().to_owned();
    let mut secrets = vec![word("client_secret"), word("refresh_token")];
    for key in ["key", "wrong"] {
        let key: Value = serde_json::from_str(&bucket.text(key)).unwrap();
        let pem = key["private_key"].as_str().unwrap().to_owned();
        secrets.push(pem.lines().nth(5).unwrap().to_owned());
    }
    // How each token begins, and what the tests put in the place of a secret.
    secrets.extend(["ya29.".to_owned(), "hunter2".to_owned()]);
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in {text}");
    }
}

fn written(text: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn with_file(bucket: &Bucket, file: &Path) -> Value {
    config(bucket, json!({"application_credentials_file": file}))
}

/// The file of the person whom the stub knows, with one field changed.
fn person(bucket: &Bucket, field: &str, value: &str) -> String {
    let mut user: Value = serde_json::from_str(&bucket.text("user")).unwrap();
    user[field] = value.into();
    user.to_string()
}

pub(crate) fn of_a_person(bucket: &Bucket) {
    let file = written(bucket.text("user"));
    let (holdall, _home) = command(&with_file(bucket, file.path()));
    works(bucket, &holdall);
    let (ended, text) = holdall.told(&["ls", "b:"]);
    assert_eq!(ended, Some(0), "{text}");
    assert!(text.contains("TRACE"), "the log is there: {text}");
    shows_nothing(bucket, &text);
    // A person has no key to sign with, and no gateway is configured.
    let (ended, text) = holdall.told(&["sign", "b:an object"]);
    assert_eq!(ended, Some(8), "{text}");

    // Who wants a variable to name the file says so, with the host's own.
    let (holdall, _home) = command(&config(bucket, json!({})));
    let variable = "HOLDALL_BACKEND_B_APPLICATION_CREDENTIALS_FILE";
    works(bucket, &holdall.with_variable(variable, file.path()));
}

pub(crate) fn of_a_person_at_the_usual_place(bucket: &Bucket) {
    let (holdall, home) = command(&config(bucket, json!({})));
    let path = home.path().join(USUAL);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bucket.text("user")).unwrap();
    works(bucket, &holdall);
    std::fs::write(&path, person(bucket, "refresh_token", "hunter2")).unwrap();
    refused(bucket, &holdall, 8, "unauthenticated");
}

pub(crate) fn of_an_unknown_person(bucket: &Bucket) {
    let before = bucket.tokens();
    for (field, wrong, status) in [
        ("refresh_token", "hunter2", 400),
        ("client_secret", "hunter2", 401),
        ("client_id", "another", 401),
    ] {
        let file = written(person(bucket, field, wrong));
        let (holdall, _home) = command(&with_file(bucket, file.path()));
        let text = refused(bucket, &holdall, 8, "unauthenticated");
        assert!(text.contains(&format!("\"status\":{status},")), "{text}");
        assert!(text.contains("hands out none"), "{text}");
        // Never taken for an object that is not there.
        let (ended, text) = holdall.told(&["exists", "b:an object"]);
        assert_eq!(ended, Some(8), "{text}");
    }
    assert_eq!(bucket.tokens(), before);
}

pub(crate) fn of_a_person_without_an_issuer_of_tokens(bucket: &Bucket) {
    let file = written(bucket.text("user"));
    let at = |url: &str| {
        let mut config = with_file(bucket, file.path());
        config["token_endpoint"] = format!("{url}/token").into();
        config["retries"] = 1.into();
        command(&config)
    };
    let (holdall, _home) = at(&refused_url());
    let text = refused(bucket, &holdall, 7, "unavailable");
    assert!(text.contains("no connection to the source"), "{text}");

    let (_runtime, endpoint) = source(Reply::new(503));
    let (holdall, _home) = at(&endpoint.url());
    let text = refused(bucket, &holdall, 7, "unavailable");
    assert!(text.contains("does not answer properly"), "{text}");
    // The first time, and again as configured.
    assert_eq!(endpoint.take_seen().len(), 2);

    // A page of a login, say.
    let page = Reply::new(200).header("content-type", "text/html");
    endpoint.then_always(page.body("<html>hunter2</html>"));
    let text = refused(bucket, &holdall, 7, "unavailable");
    assert!(text.contains("not what is asked for"), "{text}");

    // A good answer with a token of another account in it: the store has the last word.
    endpoint.then_always(foreign_token());
    refused(bucket, &holdall, 8, "unauthenticated");
}

pub(crate) fn of_a_service_account(bucket: &Bucket) {
    let file = written(bucket.text("key"));
    let (holdall, _home) = command(&with_file(bucket, file.path()));
    let before = bucket.tokens();
    holdall.put("b:an object", b"stored");
    let url = holdall.signed("b:an object", "GET", "2m");
    assert_eq!(curl(&[], &url), ("200".into(), "stored".into()));
    assert_eq!(holdall.remove("b:an object"), Some(0));
    assert_eq!(bucket.tokens(), before, "it makes its own");
    std::fs::write(file.path(), bucket.text("wrong")).unwrap();
    refused(bucket, &holdall, 8, "unauthenticated");
}

/// Where the metadata service of the machine is said to be.
fn machine(bucket: &Bucket, url: &str) -> (Holdall, TempDir) {
    command(&config(
        bucket,
        json!({"metadata_endpoint": url, "retries": 1}),
    ))
}

pub(crate) fn of_a_machine(bucket: &Bucket) {
    let (holdall, _home) = machine(bucket, &bucket.text("tokens"));
    works(bucket, &holdall);
    let (ended, text) = holdall.told(&["ls", "b:"]);
    assert_eq!(ended, Some(0), "{text}");
    shows_nothing(bucket, &text);
}

pub(crate) fn of_a_machine_without_an_account(bucket: &Bucket) {
    let (_runtime, endpoint) = source(Reply::new(404));
    let (holdall, _home) = machine(bucket, &endpoint.url());
    let text = refused(bucket, &holdall, 8, "unauthenticated");
    assert!(text.contains("hands out none"), "{text}");
    for seen in endpoint.take_seen() {
        assert_eq!(seen.header("metadata-flavor"), "Google");
        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
        assert!(seen.target.starts_with(path), "{}", seen.target);
    }
    endpoint.then_always(foreign_token());
    refused(bucket, &holdall, 8, "unauthenticated");
    // A machine without credential files, somewhere else than at Google.
    let (holdall, _home) = machine(bucket, &refused_url());
    let text = refused(bucket, &holdall, 7, "unavailable");
    assert!(text.contains("no connection to the source"), "{text}");
}

pub(crate) fn of_a_file_that_is_none(bucket: &Bucket) {
    let before = bucket.tokens();
    let external = r#"{"type": "external_account", "token_url": "hunter2"}"#;
    for (text, said) in [
        (external, "external_account"),
        (
            r#"{"type": "authorized_user", "client_secret": "hunter2"}"#,
            "client_id",
        ),
        (
            r#"{"type": "service_account", "private_key": "hunter2"}"#,
            "client_email",
        ),
        ("hunter2", "no JSON object"),
    ] {
        let file = written(text);
        let (holdall, _home) = command(&with_file(bucket, file.path()));
        let text = refused(bucket, &holdall, 8, "config_invalid");
        assert!(text.contains("application_credentials_file"), "{text}");
        assert!(text.contains(said), "{text}");
    }
    let (holdall, _home) = command(&with_file(bucket, Path::new("/does/not/exist")));
    refused(bucket, &holdall, 8, "config_invalid");
    assert_eq!(bucket.tokens(), before);
}

/// In one process that goes on: with tokens that live an hour, two seconds, and until a person revokes
/// them.
pub(crate) fn kept_and_renewed(bucket: &Bucket) {
    let file = written(bucket.text("user"));
    let machine = json!({"metadata_endpoint": bucket.text("tokens")});
    for config in [with_file(bucket, file.path()), config(bucket, machine)] {
        let (holdall, _home) = command(&config);
        let serving = Serving::start(&holdall);
        let url = format!("{}/v1/b/never-stored", serving.url());
        let get = || curl(&["-H", serving.authorization()], &url);
        // How many tokens a read asks for.
        let asks = || {
            let before = bucket.tokens();
            let (status, answer) = get();
            assert_eq!(status, "404", "{answer}");
            bucket.tokens() - before
        };
        assert_eq!(asks(), 1);
        assert_eq!(asks(), 0, "kept while it lives");

        bucket.revoke_tokens();
        let (status, answer) = get();
        assert_eq!(status, "500", "{answer}");
        assert!(answer.contains("\"unauthenticated\""), "{answer}");
        shows_nothing(bucket, &answer);
        bucket.tokens_live(2);
        assert_eq!(asks(), 1, "a new instance has a new token");

        std::thread::sleep(Duration::from_secs(3));
        bucket.tokens_live(3600);
        assert_eq!(asks(), 1, "renewed: the stub refuses the old one");
        assert_eq!(asks(), 0);
    }
}

/// A source of tokens for as long as the test runs.
fn source(reply: Reply) -> (tokio::runtime::Runtime, Endpoint) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let endpoint = runtime.block_on(Endpoint::always(reply));
    (runtime, endpoint)
}

fn foreign_token() -> Reply {
    let answer = json!({"access_token": "ya29.other", "expires_in": 3600, "token_type": "Bearer"});
    Reply::new(200)
        .header("content-type", "application/json")
        .body(answer.to_string())
}
