//! Where keys come from: each source hands out the keys of a session that the store itself has made,
//! so that a store which verifies has the last word.

use crate::bucket::Bucket;
use holdall_backends::Holdall;
use holdall_conformance::wire::{Endpoint, Reply, Seen};
use serde_json::{Value, json};
use std::path::Path;

/// What a source of keys is asked, and by whom.
const ROLE: &str = "arn:aws:iam::123456789012:role/files";
const TOKEN: &str = "the-token-of-this-machine";

/// A configuration whose keys come from elsewhere.
fn without_keys(bucket: &Bucket, credentials: &str, more: Value) -> Value {
    let mut config = bucket.below(&format!("identity-{credentials}/"));
    let fields = config.as_object_mut().unwrap();
    fields.remove("access_key_id");
    fields.remove("secret_access_key");
    fields.insert("credentials".into(), credentials.into());
    fields.extend(more.as_object().unwrap().clone());
    config
}

/// Stores, reads, signs and removes.
fn works(config: &Value) {
    let holdall = Holdall::new("s3", config);
    // Two parts, so that their requests are signed too.
    let bytes = vec![7; 6 << 20];
    holdall.put("b:an object", &bytes);
    assert!(holdall.get("b:an object") == Some(bytes), "{config}");
    let url = holdall.signed("b:an object", "GET", "2m");
    let (status, _) = holdall_backends::curl(&["-o", "/dev/null"], &url);
    assert_eq!(status, "200", "{config}");
    assert_eq!(holdall.remove("b:an object"), Some(0));
}

/// The status that the command ends with, for a read.
fn refused(config: &Value) -> Option<i32> {
    let holdall = Holdall::new("s3", config);
    let mut get = holdall.start(&["get", "b:an object", "-"]);
    get.wait().unwrap().code()
}

/// A source of keys for as long as the test runs.
fn source(
    script: impl FnMut(&Seen) -> Reply + Send + 'static,
) -> (tokio::runtime::Runtime, Endpoint) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let endpoint = runtime.block_on(Endpoint::start(script));
    (runtime, endpoint)
}

/// The session's keys, as the metadata services of Amazon say them.
fn handed_out(bucket: &Bucket) -> Reply {
    let session = bucket.session();
    let keys = json!({
        "Code": "Success",
        "AccessKeyId": session["key"],
        "SecretAccessKey": session["secret"],
        "Token": session["token"],
        "Expiration": "2099-01-01T00:00:00Z",
    });
    Reply::new(200)
        .header("content-type", "application/json")
        .body(keys.to_string())
}

pub(crate) fn of_a_session(bucket: &Bucket) {
    let session = bucket.session();
    let mut config = bucket.below("identity-session/");
    config["access_key_id"] = session["key"].clone();
    config["secret_access_key"] = session["secret"].clone();
    config["session_token"] = session["token"].clone();
    works(&config);
    let token = session["token"].as_str().unwrap();
    config["session_token"] = format!("x{token}").into();
    assert_eq!(refused(&config), Some(8), "the token counts");
}

pub(crate) fn of_a_profile(bucket: &Bucket) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |secret: &Value| {
        let session = bucket.session();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let lines = format!(
            "[default]\naws_access_key_id = unknown\naws_secret_access_key = nothing\n\n\
             [files]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
            text(&session["key"]),
            text(secret),
            text(&session["token"]),
        );
        std::fs::write(file.path(), lines).unwrap();
    };
    let named = json!({"profile": "files", "profile_file": file.path()});
    let config = without_keys(bucket, "profile", named);
    write(&bucket.session()["secret"]);
    works(&config);
    write(&json!("another-secret"));
    assert_eq!(refused(&config), Some(8), "the secret counts");
    std::fs::write(file.path(), "[files]\ncredential_process = keys\n").unwrap();
    assert_eq!(refused(&config), Some(8), "a profile without keys");
}

/// The second version of the metadata service: a token first.
pub(crate) fn of_a_machine(bucket: &Bucket) {
    let keys = handed_out(bucket);
    let (_runtime, endpoint) = source(move |seen| {
        let knows = seen.header("x-aws-ec2-metadata-token") == TOKEN;
        match (seen.method.as_str(), seen.target.as_str()) {
            ("PUT", "/latest/api/token") => Reply::new(200).body(TOKEN),
            _ if !knows => Reply::new(401),
            ("GET", "/latest/meta-data/iam/security-credentials/") => Reply::new(200).body("files"),
            ("GET", "/latest/meta-data/iam/security-credentials/files") => keys.clone(),
            _ => Reply::new(404),
        }
    });
    let more = json!({"metadata_endpoint": endpoint.url()});
    works(&without_keys(bucket, "instance", more.clone()));
    assert!(!endpoint.seen().is_empty());
    // A service that hands out none: never taken for an absent object.
    endpoint.then_always(Reply::new(404));
    assert_eq!(refused(&without_keys(bucket, "instance", more)), Some(8));
}

pub(crate) fn of_a_container(bucket: &Bucket) {
    let file = written(TOKEN);
    let keys = handed_out(bucket);
    let (_runtime, endpoint) = source(move |seen| {
        let good = seen.target == "/v1/credentials" && seen.header("authorization") == TOKEN;
        if good { keys.clone() } else { Reply::new(401) }
    });
    let config = |path: &Path| {
        let uri = format!("{}/v1/credentials", endpoint.url());
        let more = json!({"container_credentials_uri": uri, "container_token_file": path});
        without_keys(bucket, "container", more)
    };
    works(&config(file.path()));
    let other = written("another-token");
    assert_eq!(refused(&config(other.path())), Some(8));
}

/// The token of a file, changed for the keys of a role.
pub(crate) fn of_the_web(bucket: &Bucket) {
    let file = written(TOKEN);
    let session = bucket.session();
    let text = |field: &str| session[field].as_str().unwrap().to_owned();
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        text("key"),
        text("secret"),
        text("token"),
    );
    let (_runtime, endpoint) = source(move |seen| {
        let wanted = [
            "Action=AssumeRoleWithWebIdentity",
            "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ffiles",
            "RoleSessionName=nightly",
            "WebIdentityToken=the-token-of-this-machine",
        ];
        let query = seen.target.split_once('?').map_or("", |(_, query)| query);
        let asked: Vec<_> = query.split('&').collect();
        match wanted.iter().all(|pair| asked.contains(pair)) {
            true => Reply::new(200)
                .header("content-type", "text/xml")
                .body(answer.clone()),
            false => Reply::new(403)
                .body("<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        }
    });
    let config = |path: &Path| {
        let more = json!({
            "role_arn": ROLE,
            "role_session_name": "nightly",
            "web_identity_token_file": path,
            "sts_endpoint": endpoint.url(),
        });
        without_keys(bucket, "web_identity", more)
    };
    works(&config(file.path()));
    let other = written("another-token");
    assert_eq!(refused(&config(other.path())), Some(8));
}

/// An anonymous client reads public objects only.
pub(crate) fn of_an_anonymous_client(bucket: &Bucket) {
    let config = without_keys(bucket, "anonymous", json!({}));
    assert_eq!(refused(&config), Some(8));
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}
