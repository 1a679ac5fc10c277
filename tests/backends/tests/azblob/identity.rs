//! Identities of Entra ID: scripted services hand out tokens, over which Azurite has the last word. It
//! looks at issuer, audience and times, and does so over TLS only: so the authority that the server's
//! certificate is from is part of it.

use crate::container::{Container, WRONG};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdall_backends::Holdall;
use holdall_conformance::wire::{Endpoint, Reply, Seen, refused_url};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const TENANT: &str = "7a52e4b1-0000-4000-8000-000000000001";
const CLIENT: &str = "7a52e4b1-0000-4000-8000-000000000002";
const SECRET: &str = "the-secret-of-the-application";
const ASSERTION: &str = "the-token-of-this-pod";

/// A token for this service that began so many seconds ago and lives an hour; Azurite does not verify
/// its signature.
fn token(audience: &str, age: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        - age;
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encoded(json!({"alg": "RS256", "typ": "JWT", "kid": "1"}));
    let claims = encoded(json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{TENANT}/"),
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600,
        "oid": CLIENT, "sub": CLIENT, "tid": TENANT, "ver": "1.0",
    }));
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode("signature"))
}

fn handed_out(token: &str) -> Reply {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let answer = json!({
        "token_type": "Bearer",
        "expires_in": 3600,
        "expires_on": (now + 3600).to_string(),
        "access_token": token,
    });
    Reply::new(200)
        .header("content-type", "application/json")
        .body(answer.to_string())
}

/// Hands out this token to who asks with all of these.
fn source(wanted: Vec<String>, token: String) -> (tokio::runtime::Runtime, Endpoint) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let judge = move |seen: &Seen| {
        let asked = format!(
            "{} {} {}",
            seen.target,
            seen.header("metadata"),
            String::from_utf8_lossy(&seen.body)
        );
        match wanted.iter().all(|text| asked.contains(text)) {
            true => handed_out(&token),
            false => Reply::new(401)
                .header("content-type", "application/json")
                .body(r#"{"error":"invalid_client"}"#),
        }
    };
    let script = move |_: &Seen| Reply::later(judge.clone());
    let endpoint = runtime.block_on(Endpoint::start(script));
    (runtime, endpoint)
}

const STORAGE: &str = "https://storage.azure.com";

fn config(container: &Container, credentials: &str, more: Value) -> Value {
    let mut config = container.over_tls(&format!("identity-{credentials}/"));
    let fields = config.as_object_mut().unwrap();
    fields.remove("account_key");
    fields.insert("credentials".into(), credentials.into());
    fields.extend(more.as_object().unwrap().clone());
    config
}

/// Stores in blocks, reads and removes.
fn works(config: &Value) {
    let holdall = Holdall::new("azblob", config);
    let bytes = vec![7; 3 << 20];
    holdall.put("b:an object", &bytes);
    assert!(holdall.get("b:an object") == Some(bytes), "{config}");
    assert_eq!(holdall.remove("b:an object"), Some(0));
}

/// What the service says to who is not known: Azurite has two words for it.
const STRANGER: &[&str] = &["unauthenticated", "permission_denied"];

/// The command ends with this code and one of these errors, and with nothing secret in all that it says.
fn refused(container: &Container, config: &Value, exit: i32, codes: &[&str]) {
    let holdall = Holdall::new("azblob", config);
    let (ended, text) = holdall.told(&["get", "b:an object", "-"]);
    assert_eq!(ended, Some(exit), "{text}");
    let found = |code: &&str| text.contains(&format!("\"code\":\"{code}\""));
    assert!(codes.iter().any(found), "{codes:?}: {text}");
    let sas = container.text("sas");
    let signature = sas.split("sig=").nth(1).unwrap();
    let key = container.text("key");
    for secret in [SECRET, ASSERTION, WRONG, &key, signature, "hunter2", "eyJ"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

/// A key of the account, alone and in a connection string, and a signature made with it.
pub(crate) fn of_the_account(container: &Container) {
    let mut key = container.below("identity-account/");
    key["account_key"] = WRONG.into();
    refused(container, &key, 8, STRANGER);

    let mut string = container.below_with_connection_string("identity-account/");
    let text = string["connection_string"].as_str().unwrap();
    string["connection_string"] = text.replace(&container.text("key"), WRONG).into();
    refused(container, &string, 8, STRANGER);
    string["connection_string"] = "AccountName=x;AccountKey".into();
    refused(container, &string, 8, &["config_invalid"]);

    let mut signature = container.below_with_sas("identity-account/");
    let text = signature["sas_token"].as_str().unwrap();
    let altered = text.replace("sp=rwdlac", "sp=rwdlacu");
    assert_ne!(altered, text);
    signature["sas_token"] = altered.into();
    refused(container, &signature, 8, STRANGER);
}

/// Who says nothing reads what is public, and nothing else.
pub(crate) fn of_an_anonymous_client(container: &Container) {
    let mut known = container.below("identity-anonymous/");
    known["container"] = container.text("public").into();
    Holdall::new("azblob", &known).put("b:an object", b"public");
    let anonymous = |mut config: Value| {
        config["credentials"] = "anonymous".into();
        config.as_object_mut().unwrap().remove("account_key");
        config
    };
    let public = anonymous(known);
    let holdall = Holdall::new("azblob", &public);
    assert_eq!(holdall.get("b:an object").as_deref(), Some(&b"public"[..]));
    assert_eq!(holdall.remove("b:an object"), Some(8));
    let private = anonymous(container.below("identity-anonymous/"));
    refused(container, &private, 8, STRANGER);
}

pub(crate) fn of_an_application(container: &Container) {
    let wanted = [
        format!("/{TENANT}/oauth2/v2.0/token"),
        format!("client_id={CLIENT}"),
        format!("client_secret={SECRET}"),
    ];
    let (_runtime, endpoint) = source(wanted.to_vec(), token(STORAGE, 0));
    let with = |field: &str, value: &str| {
        let mut more = json!({
            "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET,
            "authority_host": endpoint.url(), "retries": 1,
        });
        more[field] = value.into();
        config(container, "client_secret", more)
    };
    works(&with("client_secret", SECRET));
    for (field, wrong) in [
        ("client_secret", "hunter2"),
        ("client_id", "another"),
        ("tenant_id", "another"),
    ] {
        refused(container, &with(field, wrong), 8, &["unauthenticated"]);
    }
    let gone = with("authority_host", &refused_url());
    refused(container, &gone, 7, &["unavailable"]);
    // The source is content, and the store has the last word.
    let wanted = format!("client_id={CLIENT}");
    let (_runtime, endpoint) = source(vec![wanted], token(STORAGE, 2 * 3600));
    let expired = with("authority_host", &endpoint.url());
    refused(container, &expired, 8, STRANGER);
}

pub(crate) fn of_a_pod(container: &Container) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let wanted = [
        format!("/{TENANT}/oauth2/v2.0/token"),
        format!("client_id={CLIENT}"),
        format!("client_assertion={ASSERTION}"),
    ];
    let (_runtime, endpoint) = source(wanted.to_vec(), token(STORAGE, 0));
    let more = json!({
        "tenant_id": TENANT, "client_id": CLIENT, "federated_token_file": file.path(),
        "authority_host": endpoint.url(),
    });
    let config = config(container, "workload_identity", more);
    std::fs::write(file.path(), ASSERTION).unwrap();
    works(&config);
    std::fs::write(file.path(), "hunter2").unwrap();
    refused(container, &config, 8, &["unauthenticated"]);
}

pub(crate) fn of_a_machine(container: &Container) {
    let at = |endpoint: &str, client: &str| {
        let address = format!("{endpoint}/metadata/identity/oauth2/token");
        let more = json!({"client_id": client, "identity_endpoint": address, "retries": 1});
        config(container, "managed_identity", more)
    };
    let for_service = |service: &str| {
        let wanted = [
            "resource=https%3A%2F%2Fstorage.azure.com".to_owned(),
            format!("client_id={CLIENT}"),
            "true".to_owned(),
        ];
        source(wanted.to_vec(), token(service, 0))
    };
    let (_runtime, endpoint) = for_service(STORAGE);
    works(&at(&endpoint.url(), CLIENT));
    // The machine has no such identity.
    let other = at(&endpoint.url(), "another");
    refused(container, &other, 8, &["unauthenticated"]);
    // No machine at Azure.
    refused(container, &at(&refused_url(), CLIENT), 7, &["unavailable"]);
    // A token for another service.
    let (_runtime, endpoint) = for_service("https://graph.microsoft.com");
    let other = at(&endpoint.url(), CLIENT);
    refused(container, &other, 8, STRANGER);
}

/// Without the authority no certificate is trusted.
pub(crate) fn of_the_server(container: &Container) {
    let mut config = container.over_tls("identity-server/");
    works(&config);
    config.as_object_mut().unwrap().remove("ca_file");
    refused(container, &config, 7, &["unavailable"]);
}
