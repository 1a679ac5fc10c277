//! Bounds on a plugin's JSON Schema, checked before it is compiled: a schema is data of a file that
//! is not trusted, and compiling or applying it must take bounded time and memory.

use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Most values (objects, lists, texts, numbers) of one schema.
const MAX_VALUES: u64 = 20_000;
/// Most values after every reference is replaced by what it refers to.
const MAX_EXPANDED: u64 = 100_000;
/// Deepest nesting, references included.
const MAX_DEPTH: usize = 256;
/// Most regular expressions.
const MAX_PATTERNS: usize = 64;
/// Longest regular expression, in bytes.
const MAX_PATTERN_BYTES: usize = 512;
/// Most bytes of one compiled regular expression.
pub(super) const MAX_PATTERN_SIZE: usize = 256 << 10;
/// Most steps back while a regular expression is matched.
pub(super) const MAX_BACKTRACKING: usize = 10_000;

/// Checks that a schema can be compiled and applied within bounds.
///
/// # Errors
///
/// The bound that it exceeds, with both numbers.
pub(crate) fn check_budget(schema: &Value) -> Result<(), String> {
    let mut plain = Plain::default();
    plain.count(schema)?;
    let mut expanded = Expanded {
        root: schema,
        costs: HashMap::new(),
        open: HashSet::new(),
    };
    expanded.cost(schema, 0).map(drop)
}

/// Counts what stands in the schema itself.
#[derive(Default)]
struct Plain {
    values: u64,
    patterns: usize,
}

impl Plain {
    fn count(&mut self, value: &Value) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        match value {
            Value::Array(values) => values.iter().try_for_each(|value| self.count(value)),
            Value::Object(members) => members.iter().try_for_each(|(key, value)| {
                match (key.as_str(), value) {
                    ("pattern", Value::String(pattern)) => self.pattern(pattern)?,
                    ("patternProperties", Value::Object(patterns)) => {
                        patterns.keys().try_for_each(|key| self.pattern(key))?;
                    }
                    _ => {}
                }
                self.count(value)
            }),
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), String> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(format!("more than {MAX_PATTERNS} regular expressions"));
        }
        let bytes = pattern.len();
        if bytes > MAX_PATTERN_BYTES {
            return Err(format!(
                "a regular expression of {bytes} bytes; at most {MAX_PATTERN_BYTES} are allowed"
            ));
        }
        Ok(())
    }
}

/// Counts what a validator may visit at one place: each reference costs what it refers to.
struct Expanded<'s> {
    root: &'s Value,
    /// Cost of each target that was counted.
    costs: HashMap<&'s str, u64>,
    /// Targets that are being counted: one that comes again refers to itself.
    open: HashSet<&'s str>,
}

impl<'s> Expanded<'s> {
    fn cost(&mut self, value: &'s Value, depth: usize) -> Result<u64, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels of nested schemas"));
        }
        let mut total = 1;
        match value {
            Value::Array(values) => {
                for value in values {
                    total += self.cost(value, depth + 1)?;
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    total += match (key.as_str(), value) {
                        ("$ref", Value::String(reference)) => self.reference(reference, depth)?,
                        ("$dynamicRef" | "$recursiveRef", Value::String(reference)) => {
                            return Err(format!(
                                "the reference {reference:?} by {key}; use $ref with \"#/...\""
                            ));
                        }
                        // A definition costs where it is referred to.
                        ("$defs" | "definitions", _) => 0,
                        _ => self.cost(value, depth + 1)?,
                    };
                }
            }
            _ => {}
        }
        if total > MAX_EXPANDED {
            return Err(format!(
                "more than {MAX_EXPANDED} values once its references are followed"
            ));
        }
        Ok(total)
    }

    fn reference(&mut self, reference: &'s str, depth: usize) -> Result<u64, String> {
        if let Some(cost) = self.costs.get(reference) {
            return Ok(*cost);
        }
        let pointer = reference.strip_prefix('#').map(|pointer| {
            percent_encoding::percent_decode_str(pointer)
                .decode_utf8_lossy()
                .into_owned()
        });
        let target = pointer.and_then(|pointer| self.root.pointer(&pointer));
        let Some(target) = target else {
            return Err(format!(
                "the reference {reference:?}, which leads to no place in the schema"
            ));
        };
        if !self.open.insert(reference) {
            return Err(format!("the reference {reference:?} to itself"));
        }
        let cost = self.cost(target, depth + 1)?;
        self.open.remove(reference);
        self.costs.insert(reference, cost);
        Ok(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    #[test]
    fn usual_schemas_are_within_the_budget() {
        let schema = json!({
            "$ref": "#/$defs/config",
            "$defs": {
                "config": { "properties": { "a": { "$ref": "#/$defs/b" }, "c": { "$ref": "#/$defs/b" } } },
                "b": { "type": "string", "pattern": "^[a-z]+$" },
            },
        });
        assert_eq!(check_budget(&schema), Ok(()));
        assert_eq!(check_budget(&json!(true)), Ok(()));
    }

    #[test]
    fn references_that_double_at_each_level_are_refused() {
        let mut defs = Map::new();
        for level in 0..40 {
            let next = format!("#/$defs/d{}", level + 1);
            defs.insert(
                format!("d{level}"),
                json!({ "allOf": [{ "$ref": next }, { "$ref": next }] }),
            );
        }
        defs.insert("d40".to_owned(), json!({ "type": "object" }));
        let schema = json!({ "$ref": "#/$defs/d0", "$defs": defs });
        assert!(check_budget(&schema).unwrap_err().contains("references"));
    }

    #[test]
    fn what_has_no_bound_is_refused_by_name() {
        let cyclic = json!({ "anyOf": [{ "$ref": "#" }] });
        assert!(check_budget(&cyclic).unwrap_err().contains("to itself"));
        let elsewhere = json!({ "$ref": "https://example.org/schema" });
        assert!(
            check_budget(&elsewhere)
                .unwrap_err()
                .contains("example.org")
        );
        let long = json!({ "pattern": "a".repeat(MAX_PATTERN_BYTES + 1) });
        assert!(
            check_budget(&long)
                .unwrap_err()
                .contains("regular expression")
        );
        let many = json!({ "anyOf": vec![json!({ "pattern": "a" }); MAX_PATTERNS + 1] });
        assert!(
            check_budget(&many)
                .unwrap_err()
                .contains("regular expressions")
        );
        let large = json!({ "enum": vec![0; 20_000] });
        assert!(check_budget(&large).unwrap_err().contains("values"));
        let chain: Map<String, Value> = (0..1000)
            .map(|n| {
                (
                    format!("d{n}"),
                    json!({ "$ref": format!("#/$defs/d{}", n + 1) }),
                )
            })
            .collect();
        let deep = json!({ "$ref": "#/$defs/d0", "$defs": chain });
        assert!(check_budget(&deep).unwrap_err().contains("levels"));
    }

    /// Shared subschemas that a compiler would expand: refused at once.
    #[test]
    fn a_repetition_that_would_compile_to_gigabytes_is_refused() {
        let schema = super::super::Schema::from(json!({ "pattern": "^(\\p{L}{1,100}-){1,100}$" }));
        assert!(schema.validator().is_err());
    }
}
