//! `[backend.NAME.policy]`, judged by its part of `schemas/config.schema.json`.

use super::{Schema, parse_duration, parse_size};
use crate::policy::{
    Breaker, CONCURRENCY, DEADLINE, Deadlines, FileTypes, MAX_SIZE, Mismatch, OWNER_QUOTA, Policy,
    Quota, Retries,
};
use holdall_plugin_api::Operation;
use serde_json::{Map, Value};
use std::sync::LazyLock;
use std::time::Duration;

/// The schema of the table.
pub(super) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let whole: Value = serde_json::from_str(include_str!("../../schemas/config.schema.json"))
        .expect("the schema of the configuration is JSON");
    Schema::from(whole["$defs"]["Policy"].clone())
});

/// Reads a table that the schema has accepted.
pub(super) fn read(table: &Map<String, Value>) -> Policy {
    let named = |key: &str| table.get(key).filter(|value| **value != Value::Bool(false));
    let mut policy = Policy::new();
    policy.prefix = named("prefix").and_then(Value::as_str).map(str::to_owned);
    policy.read_only = named("read_only").is_some();
    policy.max_size = named("max_size").map(|value| size(value).unwrap_or(MAX_SIZE));
    policy.types = named("allowed_types")
        .and_then(Value::as_array)
        .map(|types| {
            let mismatch = match named("type_mismatch").and_then(Value::as_str) {
                Some("correct") => Mismatch::Correct,
                _ => Mismatch::Reject,
            };
            FileTypes::new(types.iter().filter_map(Value::as_str)).mismatch(mismatch)
        });
    policy.quota = named("quota").map(|value| Quota {
        owner: size(&value["owner"]).or(Some(OWNER_QUOTA)),
        group: size(&value["group"]),
        backend: size(&value["backend"]),
    });
    policy.deadline = named("deadline").map(deadlines).unwrap_or_default();
    policy.idle_timeout = named("idle_timeout").map(|value| time(value).unwrap_or(DEADLINE));
    policy.concurrency = named("concurrency").map(|value| number(value).unwrap_or(CONCURRENCY));
    policy.retry = named("retry").map(|value| {
        let defaults = Retries::default();
        Retries {
            attempts: number(&value["attempts"]).unwrap_or(defaults.attempts),
            first: time(&value["first"]).unwrap_or(defaults.first),
            max: time(&value["max"]).unwrap_or(defaults.max),
        }
    });
    policy.breaker = named("breaker").map(|value| {
        let defaults = Breaker::default();
        Breaker {
            failures: number(&value["failures"]).unwrap_or(defaults.failures),
            open_for: time(&value["open_for"]).unwrap_or(defaults.open_for),
        }
    });
    policy
}

fn deadlines(value: &Value) -> Deadlines {
    let Value::Object(table) = value else {
        return Deadlines::all(time(value).unwrap_or(DEADLINE));
    };
    let default = table.get("default").and_then(time);
    let start = default.map_or_else(Deadlines::none, Deadlines::all);
    table.iter().fold(start, |deadlines, (name, value)| {
        match (Operation::from_name(name), time(value)) {
            (Some(operation), Some(limit)) => deadlines.operation(operation, limit),
            _ => deadlines,
        }
    })
}

fn size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| parse_size(value.as_str()?))
}

fn time(value: &Value) -> Option<Duration> {
    parse_duration(value.as_str()?)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}
