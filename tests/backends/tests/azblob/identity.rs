//! Identities of Entra ID: scripted services hand out tokens, over which Azurite has the last word. It
//! looks at issuer, audience and times, and does so over TLS only: so the authority that the server's
//! certificate is from is part of it.

use crate::container::Container;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdall_backends::Holdall;
use holdall_wire::{Endpoint, Reply, Seen};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const TENANT: &str = "7a52e4b1-0000-4000-8000-000000000001";
const CLIENT: &str = "7a52e4b1-0000-4000-8000-000000000002";
const SECRET: &str = "the-secret-of-the-application";
const ASSERTION: &str = "the-token-of-this-pod";

/// A token for the storage service; Azurite does not verify its signature.
fn token(audience: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
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

fn handed_out(audience: &str) -> Reply {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let answer = json!({
        "token_type": "Bearer",
        "expires_in": 3600,
        "expires_on": (now + 3600).to_string(),
        "access_token": token(audience),
    });
    Reply::new(200)
        .header("content-type", "application/json")
        .body(answer.to_string())
}

/// Hands out a token to who asks with all of these.
fn source(wanted: Vec<String>, audience: &'static str) -> (tokio::runtime::Runtime, Endpoint) {
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
            true => handed_out(audience),
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

fn refused(config: &Value) -> Option<i32> {
    let holdall = Holdall::new("azblob", config);
    holdall
        .start(&["get", "b:an object", "-"])
        .wait()
        .unwrap()
        .code()
}

pub(crate) fn of_an_application(container: &Container) {
    let wanted = [
        format!("/{TENANT}/oauth2/v2.0/token"),
        format!("client_id={CLIENT}"),
        format!("client_secret={SECRET}"),
    ];
    let (_runtime, endpoint) = source(wanted.to_vec(), STORAGE);
    let with = |secret: &str| {
        let more = json!({
            "tenant_id": TENANT, "client_id": CLIENT, "client_secret": secret,
            "authority_host": endpoint.url(),
        });
        config(container, "client_secret", more)
    };
    works(&with(SECRET));
    assert_eq!(refused(&with("another")), Some(8));
}

pub(crate) fn of_a_pod(container: &Container) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let wanted = [
        format!("/{TENANT}/oauth2/v2.0/token"),
        format!("client_id={CLIENT}"),
        format!("client_assertion={ASSERTION}"),
    ];
    let (_runtime, endpoint) = source(wanted.to_vec(), STORAGE);
    let more = json!({
        "tenant_id": TENANT, "client_id": CLIENT, "federated_token_file": file.path(),
        "authority_host": endpoint.url(),
    });
    let config = config(container, "workload_identity", more);
    std::fs::write(file.path(), ASSERTION).unwrap();
    works(&config);
    std::fs::write(file.path(), "another").unwrap();
    assert_eq!(refused(&config), Some(8));
}

pub(crate) fn of_a_machine(container: &Container) {
    let with = |audience: &'static str| {
        let wanted = [
            "resource=https%3A%2F%2Fstorage.azure.com".to_owned(),
            format!("client_id={CLIENT}"),
            "true".to_owned(),
        ];
        let (runtime, endpoint) = source(wanted.to_vec(), audience);
        let address = format!("{}/metadata/identity/oauth2/token", endpoint.url());
        let more = json!({"client_id": CLIENT, "identity_endpoint": address});
        (
            (runtime, endpoint),
            config(container, "managed_identity", more),
        )
    };
    let (_source, good) = with(STORAGE);
    works(&good);
    let (_source, other) = with("https://graph.microsoft.com");
    assert_eq!(refused(&other), Some(8), "a token for another service");
}

/// Who is not told of the authority trusts nobody.
pub(crate) fn of_the_server(container: &Container) {
    let mut config = container.over_tls("identity-server/");
    works(&config);
    config.as_object_mut().unwrap().remove("ca_file");
    assert_eq!(refused(&config), Some(7), "no trust, so unavailable");
}
