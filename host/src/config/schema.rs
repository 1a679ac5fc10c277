//! A plugin's JSON Schema, as far as the host must understand it itself.
//!
//! Validation is the work of the `jsonschema` crate. What it does not tell is which fields are
//! secret, which names a misspelt one may have meant, and what type a variable's text should get:
//! for these the schemas that *may* apply to a place are gathered, all branches together.

use serde_json::{Map, Value};

/// The schemas that may apply to one place of a configuration.
#[derive(Clone)]
pub(super) struct Node<'s> {
    root: &'s Value,
    parts: Vec<&'s Map<String, Value>>,
    /// Whether one of them is `true`, which allows anything.
    any: bool,
}

impl<'s> Node<'s> {
    /// The place of the whole configuration.
    pub(super) fn root(schema: &'s Value) -> Self {
        Self::gather(schema, [schema])
    }

    fn gather(root: &'s Value, schemas: impl IntoIterator<Item = &'s Value>) -> Self {
        let mut node = Self {
            root,
            parts: Vec::new(),
            any: false,
        };
        for schema in schemas {
            node.add(schema);
        }
        node
    }

    fn add(&mut self, schema: &'s Value) {
        let Value::Object(part) = schema else {
            self.any |= schema == &Value::Bool(true);
            return;
        };
        // Schemas may refer to themselves.
        if self.parts.iter().any(|known| std::ptr::eq(*known, part)) {
            return;
        }
        self.parts.push(part);
        if let Some(target) = part
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|to| self.follow(to))
        {
            self.add(target);
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            part.get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .for_each(|s| self.add(s));
        }
        for key in ["then", "else"] {
            part.get(key).into_iter().for_each(|s| self.add(s));
        }
        if let Some(dependent) = part.get("dependentSchemas").and_then(Value::as_object) {
            dependent.values().for_each(|s| self.add(s));
        }
    }

    /// References within the schema; others do not exist, as nothing is fetched.
    fn follow(&self, reference: &str) -> Option<&'s Value> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_encoding::percent_decode_str(pointer)
            .decode_utf8()
            .ok()?;
        self.root.pointer(&pointer)
    }

    fn objects(&self, key: &str) -> impl Iterator<Item = &'s Map<String, Value>> {
        self.parts
            .iter()
            .filter_map(move |part| part.get(key).and_then(Value::as_object))
    }

    /// The place of a member.
    pub(super) fn member(&self, key: &str) -> Node<'s> {
        let mut schemas = Vec::new();
        for part in &self.parts {
            let object = |name: &str| part.get(name).and_then(Value::as_object);
            let named = object("properties").and_then(|properties| properties.get(key));
            schemas.extend(named);
            // Without looking at the patterns: taking a field for a secret too often is harmless.
            schemas.extend(
                object("patternProperties")
                    .into_iter()
                    .flat_map(Map::values),
            );
            if named.is_none() {
                schemas.extend(part.get("additionalProperties"));
                schemas.extend(part.get("unevaluatedProperties"));
            }
        }
        Self::gather(self.root, schemas)
    }

    /// The place of an element.
    pub(super) fn element(&self) -> Node<'s> {
        let schemas = self.parts.iter().flat_map(|part| {
            ["items", "prefixItems", "additionalItems"]
                .into_iter()
                .filter_map(|key| part.get(key))
        });
        let schemas = schemas.flat_map(|schema| match schema {
            Value::Array(schemas) => schemas.iter().collect(),
            schema => vec![schema],
        });
        Self::gather(self.root, schemas)
    }

    /// Whether what stands here is secret.
    pub(super) fn is_secret(&self) -> bool {
        ["x-secret", "writeOnly"].iter().any(|key| {
            self.parts
                .iter()
                .any(|part| part.get(*key) == Some(&Value::Bool(true)))
        })
    }

    /// Whether members beyond the named ones are allowed. Not unless the schema says so: what
    /// JSON Schema allows by default is, in a configuration, a slip.
    pub(super) fn is_open(&self) -> bool {
        let says = |key: &str| {
            self.parts.iter().any(|part| {
                part.get(key)
                    .is_some_and(|more| more != &Value::Bool(false))
            })
        };
        if self.any
            || says("additionalProperties")
            || says("unevaluatedProperties")
            || says("patternProperties")
        {
            return true;
        }
        // A schema without a word about members (`{}`) is as open as `true`.
        let closed = self
            .parts
            .iter()
            .any(|part| part.contains_key("properties"))
            || self.types().contains(&"object");
        !closed
    }

    /// The names of the members.
    pub(super) fn names(&self) -> Vec<&'s str> {
        let mut names: Vec<_> = self
            .objects("properties")
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The types that are allowed here; none when nothing is said.
    pub(super) fn types(&self) -> Vec<&'s str> {
        let mut types: Vec<&'s str> = Vec::new();
        for &part in &self.parts {
            match part.get("type") {
                Some(Value::String(one)) => types.push(one),
                Some(Value::Array(several)) => {
                    types.extend(several.iter().filter_map(Value::as_str))
                }
                _ => {}
            }
            let values = part
                .get("enum")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            types.extend(
                values
                    .chain(part.get("const"))
                    .map(|value| -> &'s str { type_name(value) }),
            );
        }
        types.sort_unstable();
        types.dedup();
        types
    }

    /// What should stand here, in words: `a string`, `an integer or a string`.
    pub(super) fn expected(&self) -> String {
        in_words(self.types().into_iter().filter(|name| *name != "null"))
    }
}

/// Types in words, joined by "or".
pub(super) fn in_words<'a>(types: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = types
        .into_iter()
        .map(|name| match name {
            "null" => "nothing".to_owned(),
            "array" | "integer" | "object" => format!("an {name}"),
            _ => format!("a {name}"),
        })
        .collect();
    if words.is_empty() {
        "a value".to_owned()
    } else {
        words.join(" or ")
    }
}

/// The name that JSON Schema has for the type of a value.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn branches_and_references_count_together() {
        let schema = json!({
            "type": "object",
            "properties": { "a": { "$ref": "#/$defs/word" }, "next": { "$ref": "#" } },
            "oneOf": [
                { "properties": { "b": { "type": "integer" } } },
                { "properties": { "b": { "type": ["boolean", "null"] }, "c": { "writeOnly": true } } },
            ],
            "$defs": { "word": { "type": "string", "x-secret": true } },
        });
        let root = Node::root(&schema);
        assert_eq!(root.names(), ["a", "b", "c", "next"]);
        assert!(!root.is_open());
        assert!(root.member("a").is_secret() && root.member("c").is_secret());
        assert!(!root.member("b").is_secret());
        assert_eq!(root.member("b").expected(), "a boolean or an integer");
        assert!(root.member("next").member("next").member("a").is_secret());
    }

    #[test]
    fn only_an_explicit_word_opens_an_object() {
        for (schema, open) in [
            (json!(true), true),
            (json!({}), true),
            (json!({ "type": "object" }), false),
            (json!({ "properties": {} }), false),
            (
                json!({ "type": "object", "additionalProperties": false }),
                false,
            ),
            (
                json!({ "type": "object", "additionalProperties": true }),
                true,
            ),
            (
                json!({ "type": "object", "additionalProperties": { "type": "string" } }),
                true,
            ),
            (
                json!({ "type": "object", "patternProperties": { "^x-": {} } }),
                true,
            ),
        ] {
            assert_eq!(Node::root(&schema).is_open(), open, "{schema}");
        }
    }

    #[test]
    fn members_of_open_maps_and_elements_of_lists_may_be_secret() {
        let schema = json!({
            "properties": { "keys": { "type": "array", "items": { "properties": { "k": { "x-secret": true } } } } },
            "additionalProperties": { "x-secret": true },
        });
        let root = Node::root(&schema);
        assert!(root.member("anything").is_secret());
        assert!(!root.member("keys").is_secret());
        assert!(root.member("keys").element().member("k").is_secret());
    }
}
