//! The schema of the configuration, made from the services themselves, so that the host knows every
//! option of each and which of them are secrets. Only the test that keeps the checked-in file
//! current needs it.

use crate::config::{self, OpendalConfig};
use crate::services::{SERVICES, Service};
use holdall_plugin_api::Capability;
use serde_json::{Map, Value};

impl schemars::JsonSchema for OpendalConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpendalConfig".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let services: Map<_, _> = SERVICES
            .iter()
            .map(|service| (service.name.to_owned(), schema_of(service)))
            .collect();
        let names: Vec<_> = Capability::ALL.iter().map(|one| one.name()).collect();
        let names = |description: &str| {
            serde_json::json!({
                "description": description,
                "type": "array",
                "items": { "type": "string", "enum": names },
                "uniqueItems": true,
                "default": [],
            })
        };
        let number = |description: &str, default: u64, minimum: u64, maximum: u64| {
            serde_json::json!({
                "description": description,
                "type": "integer",
                "minimum": minimum,
                "maximum": maximum,
                "default": default,
            })
        };
        schemars::json_schema!({
            "description": "One service of OpenDAL as a store.",
            "type": "object",
            "additionalProperties": false,
            "required": ["service"],
            "properties": {
                "service": {
                    "description": "The service, with its options.",
                    "type": "object",
                    "additionalProperties": false,
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": services,
                },
                "part_bytes": number(
                    "Size of the parts of a large upload, which holds three of them at most. A service with a larger smallest part gets that one.",
                    config::part_bytes() as u64, 1 << 20, 512 << 20,
                ),
                "whole_bytes": number(
                    "Largest object where the service takes it in one piece only; it is held in memory.",
                    config::whole_bytes() as u64, 0, 4 << 30,
                ),
                "connect_timeout_ms": number(
                    "Longest time to connect.", config::connect_timeout_ms(), 1, 3_600_000,
                ),
                "idle_timeout_ms": number(
                    "Longest time without an answer, or between two pieces of one.",
                    config::idle_timeout_ms(), 1, 3_600_000,
                ),
                "assert": names("Capabilities that the service keeps although the plugin does not know it, such as `atomic_put` of a WebDAV server that replaces files in one step."),
                "disable": names("Capabilities that are not claimed, for servers that do not keep what their kind does."),
            },
        })
    }
}

fn schema_of(service: &Service) -> Value {
    let properties: Map<_, _> = (service.options)()
        .into_iter()
        .map(|(name, default)| {
            let mut schema = Map::new();
            schema.insert(
                "type".to_owned(),
                match &default {
                    Value::Bool(_) => "boolean".into(),
                    Value::String(_) => "string".into(),
                    _ if is_secret(&name) => "string".into(),
                    _ => serde_json::json!(["string", "integer", "boolean"]),
                },
            );
            if is_secret(&name) {
                schema.insert("x-secret".to_owned(), true.into());
            } else if !default.is_null() && default != "" {
                schema.insert("default".to_owned(), default);
            }
            if service.required.contains(&name.as_str()) {
                schema.insert("minLength".to_owned(), 1.into());
            }
            (name, schema.into())
        })
        .collect();
    serde_json::json!({
        "description": service.summary,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": service.required,
    })
}

/// Whether an option is a secret: by its name, and rather once too often.
pub(crate) fn is_secret(name: &str) -> bool {
    let public = name.ends_with("_id")
        || name.ends_with("_file")
        || name.ends_with("_path")
        || name.ends_with("_endpoint")
        || name.ends_with("_algorithm")
        || name.ends_with("_md5")
        || name.ends_with("_sha256");
    let secret = ["secret", "password", "token", "credential", "delegation"]
        .iter()
        .any(|word| name.contains(word))
        || name.ends_with("_key")
        || name == "key";
    // Tencent calls the name of its key so.
    (secret && !public) || name == "secret_id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_secret() {
        for secret in [
            "access_key_secret",
            "secret_access_key",
            "secret_key",
            "security_token",
            "session_token",
            "token",
            "password",
            "account_key",
            "application_key",
            "sas_token",
            "refresh_token",
            "client_secret",
            "temp_url_key",
            "encryption_key",
            "credential",
            "delegation",
            "server_side_encryption_customer_key",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in [
            "bucket",
            "endpoint",
            "access_key_id",
            "application_key_id",
            "oidc_token_file",
            "credential_path",
            "presign_endpoint",
            "username",
            "server_side_encryption_aws_kms_key_id",
        ] {
            assert!(!is_secret(open), "{open}");
        }
    }
}
