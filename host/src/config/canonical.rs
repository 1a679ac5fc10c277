//! One text for equal configurations, without any secret in it.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::schema::Node;
use super::{Secrets, hex};

/// Hexadecimal SHA-256 of the canonical JSON of a configuration: equal for equal ones, different
/// when anything in them differs, secrets included, and no way back to any of it.
///
/// Canonical means: members sorted by name, no white space, and in the place of each secret its
/// keyed hash. The key is random per process, so that the value is good for comparing within one.
pub(super) fn fingerprint(value: &Value, node: &Node<'_>, secrets: &Secrets) -> String {
    let mut text = String::new();
    write(value, node, false, secrets, &mut text);
    hex(&Sha256::digest(text.as_bytes()))
}

fn write(value: &Value, node: &Node<'_>, secret: bool, secrets: &Secrets, out: &mut String) {
    let secret = secret || node.is_secret();
    match value {
        Value::Object(members) => {
            // Sorted here: whether serde_json sorts depends on features of other crates.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, &node.member(key), secret, secrets, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, &node.element(), secret, secrets, out);
            }
            out.push(']');
        }
        Value::String(text) if secret => {
            // No JSON text begins so: a hash is never mistaken for a plain value.
            out.push('#');
            out.push_str(&secrets.fingerprint(text));
        }
        scalar if secret => {
            out.push_str("##");
            out.push_str(&secrets.fingerprint(&scalar.to_string()));
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_means_equal_whatever_the_order_and_different_means_different() {
        let schema =
            json!({ "properties": { "key": { "x-secret": true }, "list": { "items": {} } } });
        let secrets = Secrets::new();
        let of = |text: &str, secrets: &Secrets| {
            fingerprint(
                &serde_json::from_str(text).unwrap(),
                &Node::root(&schema),
                secrets,
            )
        };
        let one = of(r#"{"a": 1, "key": "s", "list": [1, 2]}"#, &secrets);
        assert_eq!(one, of(r#"{"list":[1,2],"key":"s","a":1}"#, &secrets));
        for other in [
            r#"{"a": 2, "key": "s", "list": [1, 2]}"#,
            r#"{"a": 1, "key": "t", "list": [1, 2]}"#,
            r#"{"a": 1, "key": "s", "list": [2, 1]}"#,
            r#"{"a": "1", "key": "s", "list": [1, 2]}"#,
            r#"{"a": 1, "key": "s"}"#,
            r#"{"a": 1, "key": ["s"], "list": [1, 2]}"#,
        ] {
            assert_ne!(one, of(other, &secrets), "{other}");
        }
        assert_ne!(of(r#"{"key":"1"}"#, &secrets), of(r#"{"key":1}"#, &secrets));
        assert_ne!(
            one,
            of(r#"{"a": 1, "key": "s", "list": [1, 2]}"#, &Secrets::new())
        );
    }
}
