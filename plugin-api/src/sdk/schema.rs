//! What a configuration's schema should say, for the test that `export_plugin!` emits and for
//! `holdall check`.

use serde_json::{Map, Value};

/// Fields of these texts are secrets by their names, but their schema does not say `x-secret`, so that the
/// host would show them and would take a reference such as `env:NAME` for the text itself.
///
/// The [`Secret`](crate::Secret) type says it by itself. A field that is none in spite of its name says
/// `"x-secret": false`.
pub fn unmarked_secrets(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    properties(
        schema,
        schema,
        String::new(),
        0,
        &mut |path, name, field| {
            let is_text = match &field["type"] {
                Value::String(one) => one == "string",
                Value::Array(several) => several.iter().any(|one| one == "string"),
                _ => false,
            };
            if is_text && is_secret_name(name) && field.get("x-secret").is_none() {
                found.push(path.to_owned());
            }
        },
    );
    found
}

/// Calls `see` with the path, the name and the schema of each field, references followed.
fn properties(
    root: &Value,
    schema: &Value,
    path: String,
    depth: usize,
    see: &mut impl FnMut(&str, &str, &Value),
) {
    // Deep enough for any configuration; a schema may refer to itself.
    if depth > 8 {
        return;
    }
    let empty = Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&empty);
    for (name, field) in fields {
        let path = match path.as_str() {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        let whole = resolved(root, field);
        see(&path, name, &whole);
        properties(root, &whole, path, depth + 1, see);
    }
    for combined in ["anyOf", "oneOf", "allOf"] {
        for one in schema[combined].as_array().into_iter().flatten() {
            properties(root, &resolved(root, one), path.clone(), depth + 1, see);
        }
    }
}

/// A field with what its reference says, and with the one of several forms that is no null.
fn resolved(root: &Value, field: &Value) -> Value {
    let mut whole = field.as_object().cloned().unwrap_or_default();
    let mut take = |from: &Value| {
        for (name, value) in from.as_object().into_iter().flatten() {
            whole.entry(name.clone()).or_insert_with(|| value.clone());
        }
    };
    let target = |field: &Value| {
        let pointer = field["$ref"].as_str()?.strip_prefix('#')?;
        root.pointer(pointer).cloned()
    };
    if let Some(target) = target(field) {
        take(&target);
    }
    for form in field["anyOf"].as_array().into_iter().flatten() {
        if form["type"] != "null" {
            take(form);
            if let Some(target) = target(form) {
                take(&target);
            }
        }
    }
    Value::Object(whole)
}

/// Whether a field of this name usually holds a secret.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(['_', '-', '.']).collect();
    let Some(last) = words.last() else {
        return false;
    };
    let is_one =
        |word: &&str| ["secret", "password", "passphrase", "passwd", "token"].contains(word);
    // `token_url`, `password_file` and `access_key_id` tell of a secret and are none.
    let about = [
        "url", "file", "path", "id", "name", "type", "seconds", "ttl", "endpoint",
    ];
    // Keys that everyone may see.
    let public = words.contains(&"public") || words.contains(&"host");
    !public && !about.contains(last) && (words.iter().any(is_one) || *last == "key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "mac_key",
            "key",
            "password",
            "client-secret",
            "session_token",
            "token_value",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "access_key_id",
            "keys",
            "token_url",
            "password_file",
            "public_key",
            "host_key",
            "root",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn fields_are_found_wherever_they_are() {
        let schema = json!({
            "properties": {
                "mac_key": { "type": "string" },
                "token": { "type": ["string", "null"] },
                "known": { "type": "string", "x-secret": true },
                "sort_key": { "type": "string", "x-secret": false },
                "key": { "type": "integer" },
                "nested": { "$ref": "#/$defs/Nested" },
                "optional": { "anyOf": [{ "$ref": "#/$defs/Nested" }, { "type": "null" }] }
            },
            "$defs": { "Nested": { "type": "object", "properties": {
                "password": { "type": "string" },
                "again": { "$ref": "#/$defs/Nested" }
            }}}
        });
        let found = unmarked_secrets(&schema);
        for field in ["mac_key", "token", "nested.password", "optional.password"] {
            assert!(found.contains(&field.to_owned()), "{field}: {found:?}");
        }
        for field in ["known", "sort_key", "key"] {
            assert!(!found.contains(&field.to_owned()), "{field}: {found:?}");
        }
    }
}
