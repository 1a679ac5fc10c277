//! What a reader of the file can say beside its faults. Nothing of the plugin runs.

use std::path::Path;

use holdall::inspect::Inspection;
use holdall_conformance::holdall_plugin_api::sdk::schema::unmarked_secrets;
use serde::Serialize;
use serde_json::Value;

use super::held::{self, Polls};

/// A warning.
#[derive(Debug, Serialize)]
pub(super) struct Lint {
    pub(super) code: &'static str,
    pub(super) found: String,
    pub(super) fix: String,
}

pub(super) fn of(file: &Path, found: &Inspection) -> Vec<Lint> {
    let mut lints = Vec::new();
    let mut warn = |code, found: String, fix: &str| {
        lints.push(Lint {
            code,
            found,
            fix: fix.to_owned(),
        });
    };
    let Some(descriptor) = &found.descriptor else {
        if let Some((found, fix)) = no_cdylib(file) {
            warn("no_cdylib", found, fix);
        }
        return lints;
    };
    let about = &descriptor.about;
    if about.summary.trim().is_empty() {
        let fix = "write `description` in Cargo.toml, or `summary` in the descriptor";
        warn(
            "no_summary",
            "the plugin does not say what it is".into(),
            fix,
        );
    }
    if about.license.trim().is_empty() {
        let fix = "write `license` in Cargo.toml, or in the descriptor";
        warn("no_license", "the plugin names no licence".into(), fix);
    }
    for field in unmarked_secrets(&about.config_schema) {
        let fix = "make it a field of the type `Secret`, or write \"x-secret\": true into the schema; \
                   \"x-secret\": false if it is none";
        let found = format!(
            "the field `{field}` is named like a secret and its schema does not say `x-secret`"
        );
        warn("unmarked_secret", found, fix);
    }
    for keyword in unknown_keywords(&about.config_schema) {
        let fix = "correct it, or begin it with \"x-\" if it is a note for people";
        warn(
            "unknown_keyword",
            format!("JSON Schema has no keyword {keyword:?}"),
            fix,
        );
    }
    if let Some((path, count)) = std::fs::read(file).ok().as_deref().and_then(builder_paths) {
        let fix = "build with --remap-path-prefix, as the script `dist` of a new project does";
        let found =
            format!("{count} paths of the machine that built it are in the file, such as {path:?}");
        warn("builder_path", found, fix);
    }
    lints
}

/// What the host measured while the kit ran.
pub(super) fn blocking(polls: &Polls) -> Option<Lint> {
    let found = held::shown(polls)?;
    let fix = "use an async client and `runtime: tokio`, or say `runtime: blocking` in `export_plugin!` \
               (HOLDALL_FLAG_BLOCKING in C)";
    Some(Lint {
        code: "blocks",
        found,
        fix: fix.to_owned(),
    })
}

/// A build that left a library for Rust only.
fn no_cdylib(file: &Path) -> Option<(String, &'static str)> {
    if file.exists() {
        return None;
    }
    let stem = file.file_stem()?.to_str()?;
    let rlib = file.with_file_name(format!("{stem}.rlib"));
    rlib.exists().then(|| {
        (
            format!(
                "{} is there, but it is a library for Rust only",
                rlib.display()
            ),
            "write `crate-type = [\"cdylib\", \"rlib\"]` under [lib] in Cargo.toml",
        )
    })
}

/// The first path of a person's home in these bytes, and how many there are.
fn builder_paths(bytes: &[u8]) -> Option<(String, usize)> {
    let is_of_path = |byte: &u8| byte.is_ascii_graphic() && !b"\"'<>|".contains(byte);
    let mut first = None;
    let mut count = 0;
    for home in [&b"/home/"[..], b"/Users/", b"/root/", b"\\Users\\"] {
        let mut at = 0;
        while let Some(next) = find(bytes.get(at..).unwrap_or_default(), home) {
            let begin = at + next;
            at = begin + home.len();
            let text: Vec<u8> = bytes
                .iter()
                .skip(begin)
                .take(120)
                .copied()
                .take_while(is_of_path)
                .collect();
            // The word alone may be anything.
            if text.len() > home.len() + 3 {
                count += 1;
                first.get_or_insert_with(|| String::from_utf8_lossy(&text).into_owned());
            }
        }
    }
    first.map(|first| (first, count))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Keywords of JSON Schema 2020-12 and of the drafts before it.
const KEYWORDS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

fn unknown_keywords(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(schema, &mut found);
    found.sort();
    found.dedup();
    found
}

fn look(schema: &Value, found: &mut Vec<String>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        if !KEYWORDS.contains(&keyword.as_str()) && !keyword.starts_with("x-") {
            found.push(keyword.clone());
        }
        match keyword.as_str() {
            "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => {
                value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .for_each(|(_, one)| look(one, found));
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|one| look(one, found));
            }
            "items"
            | "additionalProperties"
            | "not"
            | "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames" => look(value, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_of_a_builder_are_found() {
        let (path, count) =
            builder_paths(b"\0/home/ann/store/src/lib.rs\0/home/\0/Users/bob/x\0").unwrap();
        assert_eq!((path.as_str(), count), ("/home/ann/store/src/lib.rs", 2));
        assert_eq!(builder_paths(b"\0src/lib.rs\0/home/\0"), None);
    }

    #[test]
    fn keywords_are_looked_at_where_schemas_are() {
        let schema = json!({
            "type": "object",
            "x-note": 1,
            "properties": { "requird": { "type": "string", "desciption": "x" } },
            "$defs": { "A": { "enmu": ["default"] } },
            "requird": []
        });
        assert_eq!(unknown_keywords(&schema), ["desciption", "enmu", "requird"]);
    }
}
