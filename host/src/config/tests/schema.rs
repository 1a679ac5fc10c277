//! `schemas/config.schema.json` describes exactly the keys and words that the reader accepts. The
//! configuration reference of the pages is generated from it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::{Problem, ProblemCode, file};

const SCHEMA: &str = include_str!("../../../schemas/config.schema.json");

fn schema(pointer: &str) -> Value {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    schema.pointer(pointer).unwrap().clone()
}

fn problems(text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    file::parse(Path::new("holdall.toml"), text, &mut problems);
    problems
}

/// The texts in quotation marks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

const TABLES: &[(&str, &str)] = &[
    ("unknown = 1", ""),
    ("[backend.a]\nunknown = 1", "/$defs/Backend"),
    ("[plugin.a]\nunknown = 1", "/$defs/Plugin"),
    ("[trust]\nunknown = 1", "/$defs/Trust"),
    ("[trust]\nkeys = [{ unknown = 1 }]", "/$defs/TrustedKey"),
    ("[trial]\nunknown = 1", "/$defs/Trial"),
    ("[quarantine]\nunknown = 1", "/$defs/Quarantine"),
    ("[upgrade]\nunknown = 1", "/$defs/Upgrade"),
    ("[audit]\nunknown = 1", "/$defs/Audit"),
    ("[ledger]\nunknown = 1", "/$defs/Ledger"),
    ("[gateway]\nunknown = 1", "/$defs/Gateway"),
    ("[gateway]\nkeys = [{ unknown = 1 }]", "/$defs/GatewayKey"),
];

#[test]
fn tables_have_the_keys_of_the_schema() {
    for (text, pointer) in TABLES {
        let problems = problems(text);
        let unknown: Vec<_> = problems
            .iter()
            .filter(|problem| problem.code == ProblemCode::UnknownKey)
            .map(|problem| quoted(&problem.expected))
            .collect();
        let properties = schema(&format!("{pointer}/properties"));
        let keys: BTreeSet<_> = properties.as_object().unwrap().keys().cloned().collect();
        assert_eq!(unknown, [keys], "{text}");
    }
}

#[test]
fn required_keys_are_required() {
    for (text, pointer) in TABLES {
        let missing: BTreeSet<_> = problems(text)
            .iter()
            .filter(|problem| problem.code == ProblemCode::MissingKey)
            .filter_map(|problem| problem.path.rsplit('.').next().map(str::to_owned))
            // A table of another pointer: keys of the gateway lie inside the gateway.
            .filter(|key| pointer.ends_with("Gateway") == (key == "public_url"))
            .collect();
        let schema = schema(pointer);
        // Of alternatives the first is asked for.
        let required = [&schema["required"], &schema["oneOf"][0]["required"]];
        let required = required.into_iter().filter_map(Value::as_array).flatten();
        let required: BTreeSet<_> = required
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(missing, required, "{text}");
    }
}

#[test]
fn words_are_those_of_the_schema() {
    for key in ["key_policy", "content_type"] {
        let schema = schema(&format!("/$defs/Backend/properties/{key}/oneOf"));
        let words: BTreeSet<_> = schema
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word["const"].as_str().unwrap().to_owned())
            .collect();
        for word in &words {
            let text = format!("[backend.a]\n{key} = \"{word}\"");
            assert!(problems(&text).is_empty(), "{text}");
        }
        let refused = problems(&format!("[backend.a]\n{key} = \"unknown\""));
        assert_eq!(refused.len(), 1);
        assert_eq!(quoted(&refused[0].expected), words, "{key}");
    }
}

/// What the schema calls the default of a key changes nothing where it is written.
#[test]
fn defaults_of_sections_are_those_of_the_schema() {
    let read = |text: &str| {
        let mut problems = Vec::new();
        let config = file::parse(Path::new("holdall.toml"), text, &mut problems);
        assert!(problems.is_empty(), "{text}: {problems:?}");
        (
            config.trust,
            config.trial,
            config.quarantine,
            config.upgrade,
        )
    };
    for (section, pointer) in [
        ("trust", "/$defs/Trust/properties"),
        ("trial", "/$defs/Trial/properties"),
        ("quarantine", "/$defs/Quarantine/properties"),
        ("upgrade", "/$defs/Upgrade/properties"),
    ] {
        for (key, property) in schema(pointer).as_object().unwrap() {
            let default = &property["default"];
            if !default.is_null() {
                let text = format!("[{section}]\n{key} = {default}\n");
                assert_eq!(read(&text), read(""), "{text}");
            }
        }
    }
}

#[test]
fn rules_of_trust_are_words() {
    for (section, keys) in [
        (
            "trust",
            &[
                "owner",
                "world_writable",
                "group_writable",
                "links",
                "secret_files",
                "readable_secrets",
                "history",
            ][..],
        ),
        ("trial", &["threads", "signals"]),
    ] {
        for key in keys {
            for word in ["refuse", "warn", "allow"] {
                assert!(problems(&format!("[{section}]\n{key} = \"{word}\"")).is_empty());
            }
            let refused = problems(&format!("[{section}]\n{key} = \"maybe\""));
            assert_eq!(refused.len(), 1, "{section}.{key}");
        }
    }
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let good = format!(
        "[trust]\nrevoked_keys = [\"0123456789ABCDEF\", \"{key}\"]\nkeys = [{{ publisher = \"a\", key = \"{key}\", plugins = [\"x\"], not_after = \"2027-01-31\" }}]"
    );
    assert!(problems(&good).is_empty(), "{:?}", problems(&good));
    for wrong in [
        "[trust]\nrevoked_keys = [\"x\"]",
        "[trust]\nrevoked_sha256 = [\"x\"]",
        "[trust]\nkeys = [{ publisher = \"a\", key = \"b\", plugins = [] }]",
        "[trial]\ntimeout = \"0s\"",
        "[trial]\nmemory = 5",
        "[quarantine]\ncrashes = 0",
        "[upgrade]\ngenerations = 0",
    ] {
        assert_eq!(problems(wrong).len(), 1, "{wrong}");
    }
}

#[test]
fn defaults_are_those_of_the_schema() {
    let defaults = schema("/$defs/Backend/properties");
    let mut written = String::from("[backend.a]\n");
    for (key, property) in defaults.as_object().unwrap() {
        match &property["default"] {
            Value::Null => {}
            default => written += &format!("{key} = {default}\n"),
        }
    }
    let read = |text: &str| {
        let mut problems = Vec::new();
        let mut config = file::parse(Path::new("holdall.toml"), text, &mut problems);
        assert!(problems.is_empty(), "{text}");
        config.backends.remove("a").unwrap()
    };
    assert!(written.contains("max_wait"), "{written}");
    assert!(
        read(&written).is_as_written(&read("[backend.a]")),
        "{written}"
    );
}
