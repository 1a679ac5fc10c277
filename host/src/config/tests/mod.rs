//! Whole configurations: wrong ones with what is said about them, right ones with what they mean,
//! and secrets that no output may show.

mod bad;
mod merge;
mod schema;
mod secrets;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::{BackendConfig, Config, Environment, Problem, Schema, Secrets, Sources, check, file};

/// Schemas of two plugins: one like an object store's, one like a derived one with forms.
fn schemas() -> BTreeMap<String, Schema> {
    let s3 = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "S3Config",
        "type": "object",
        "properties": {
            "bucket": { "type": "string", "minLength": 3, "maxLength": 63 },
            "endpoint": { "type": ["string", "null"], "format": "uri" },
            "region": { "type": "string", "pattern": "^[a-z0-9-]+$" },
            "access_key_id": { "type": "string" },
            "secret_access_key": { "type": "string", "minLength": 8, "x-secret": true, "writeOnly": true },
            "pin": { "type": "integer", "maximum": 9999, "x-secret": true },
            "part_size": { "type": "integer", "format": "uint64", "minimum": 5_242_880 },
            "path_style": { "type": "boolean" },
            "ratio": { "type": "number", "exclusiveMinimum": 0 },
            "durability": { "enum": ["none", "data", "full"] },
            "tags": { "type": "array", "items": { "type": "string" }, "uniqueItems": true, "maxItems": 3 },
            "ports": { "type": "array", "items": { "type": "integer" } },
            "retry": { "anyOf": [{ "$ref": "#/$defs/Retry" }, { "type": "null" }] },
            "storage_class": { "anyOf": [{ "$ref": "#/$defs/Class" }, { "type": "null" }] },
            "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            "tokens": { "type": "array", "items": { "type": "string", "x-secret": true } },
        },
        "required": ["bucket", "secret_access_key"],
        "$defs": {
            "Class": { "oneOf": [{ "const": "hot", "description": "now" }, { "const": "cold" }] },
            "Retry": {
                "type": "object",
                "properties": { "count": { "type": "integer", "maximum": 10 }, "wait-ms": { "type": "integer" } },
                "required": ["count"],
            },
        },
    });
    let opendal = json!({
        "oneOf": [
            {
                "type": "object",
                "properties": { "service": { "const": "fs" }, "root": { "type": "string" } },
                "required": ["service", "root"],
            },
            {
                "type": "object",
                "properties": {
                    "service": { "const": "oss" },
                    "key": { "type": "string", "writeOnly": true },
                },
                "required": ["service", "key"],
            },
        ],
    });
    let local = json!({
        "type": "object",
        "properties": { "root": { "type": "string" }, "create_root": { "type": "boolean" } },
        "required": ["root"],
        "additionalProperties": false,
    });
    [
        ("s3", s3),
        ("opendal", opendal),
        ("local", local),
        ("broken", json!({ "type": 7 })),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema.into()))
    .collect()
}

/// Reads a text as if it were `holdall.toml`, with these variables.
fn read(text: &str, variables: &[(&str, &str)]) -> (Config, Vec<Problem>) {
    let mut problems = Vec::new();
    let parsed = file::parse(Path::new("holdall.toml"), text, &mut problems);
    let sources = Sources {
        environment: Environment::from_iter(variables.iter().copied()),
        fallback_backend: Some(BackendConfig::default_local()),
        ..Sources::default()
    };
    let config = Config::merge(parsed, Some("holdall.toml".into()), &sources, &mut problems);
    (config, problems)
}

/// All that is wrong, as `holdall config check` finds it.
fn problems_of(text: &str, variables: &[(&str, &str)]) -> super::ConfigProblems {
    let (config, mut problems) = read(text, variables);
    problems.extend(check(&config, &schemas(), &Secrets::new()).problems);
    problems.into_iter().collect()
}
