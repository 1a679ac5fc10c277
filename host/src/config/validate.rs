//! Every fault of a plugin's configuration against its schema, in our words.
//!
//! The messages of the `jsonschema` crate are never used: they quote the value, and the value may
//! be a secret.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::document::{child, join};
use super::plugin_settings::PluginSettings;
use super::problem::{names, nearest};
use super::schema::{Node, in_words, type_name};
use super::{Problem, ProblemCode, Schema};

/// Longest text that a problem quotes, in characters.
const SHOWN: usize = 64;

/// One configuration under judgement.
pub(super) struct Subject<'a> {
    /// Dotted path of the whole, such as `backend.avatars.config`.
    pub(super) path: &'a str,
    pub(super) schema: &'a Schema,
    pub(super) value: &'a Value,
    /// Knows where each value was written.
    pub(super) settings: &'a PluginSettings,
    /// Pointers of values that have a problem already.
    pub(super) reported: &'a BTreeSet<String>,
}

impl Subject<'_> {
    /// Every problem, unsorted.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let validator = match self.schema.validator() {
            Ok(validator) => validator,
            Err(why) => {
                return vec![
                    self.problem(
                        ProblemCode::BrokenSchema,
                        "",
                        "a plugin with a sound JSON Schema",
                        why,
                    )
                    .fix("tell the author of the plugin"),
                ];
            }
        };
        let mut problems = Vec::new();
        let mut unknown = BTreeSet::new();
        self.unknown(
            &Node::root(self.schema.value()),
            self.value,
            "",
            &mut unknown,
            &mut problems,
        );
        for error in validator.iter_errors(self.value) {
            self.tell(&error, &unknown, &mut problems);
        }
        problems
    }

    /// Members that no branch of the schema names.
    fn unknown(
        &self,
        node: &Node<'_>,
        value: &Value,
        pointer: &str,
        unknown: &mut BTreeSet<String>,
        problems: &mut Vec<Problem>,
    ) {
        match value {
            Value::Object(members) => {
                let known = node.names();
                let open = node.is_open();
                for (key, value) in members {
                    let pointer = child(pointer, key);
                    if open || known.contains(&key.as_str()) {
                        self.unknown(&node.member(key), value, &pointer, unknown, problems);
                    } else {
                        problems.push(self.unknown_key(&pointer, key, &known));
                        unknown.insert(pointer);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let pointer = child(pointer, &index.to_string());
                    self.unknown(&node.element(), item, &pointer, unknown, problems);
                }
            }
            _ => {}
        }
    }

    fn unknown_key(&self, pointer: &str, key: &str, known: &[&str]) -> Problem {
        let expected = match known.len() {
            0 => "no field".to_owned(),
            _ => format!("one of {}", names(known.iter().copied())),
        };
        self.problem(
            ProblemCode::UnknownKey,
            pointer,
            expected,
            format!("unknown key {key:?}"),
        )
        .suggest(key, known.iter().copied())
    }

    fn problem(
        &self,
        code: ProblemCode,
        pointer: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Problem {
        let place = self.settings.place(pointer).clone();
        Problem::new(
            code,
            dotted(self.path, pointer, self.value),
            place,
            expected,
            found,
        )
        .pointer(pointer)
    }

    /// Describes a value without showing a secret.
    fn shown(&self, pointer: &str) -> String {
        let mut secret = false;
        let mut node = Node::root(self.schema.value());
        let mut value = self.value;
        for token in tokens(pointer) {
            (node, value) = match value {
                Value::Object(members) => match members.get(&token) {
                    Some(member) => (node.member(&token), member),
                    None => return "nothing".to_owned(),
                },
                Value::Array(items) => {
                    match token.parse().ok().and_then(|index: usize| items.get(index)) {
                        Some(item) => (node.element(), item),
                        None => return "nothing".to_owned(),
                    }
                }
                _ => return "nothing".to_owned(),
            };
            secret |= node.is_secret();
        }
        match value {
            _ if secret => type_name(value).to_owned(),
            Value::String(text) => quoted(text),
            Value::Array(items) => format!("an array of {} elements", items.len()),
            Value::Object(_) => "an object".to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        }
    }

    fn tell(
        &self,
        error: &ValidationError<'_>,
        unknown: &BTreeSet<String>,
        problems: &mut Vec<Problem>,
    ) {
        let pointer = error.instance_path().as_str();
        if self.reported.contains(pointer) {
            return;
        }
        let value = &**error.instance();
        let range = |expected: String| {
            self.problem(
                ProblemCode::OutOfRange,
                pointer,
                expected,
                self.shown(pointer),
            )
        };
        let invalid = |expected: String| {
            self.problem(
                ProblemCode::InvalidValue,
                pointer,
                expected,
                self.shown(pointer),
            )
        };
        let problem = match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => {
                let node = self.node(pointer);
                for key in unexpected {
                    let pointer = child(pointer, key);
                    if !unknown.contains(&pointer) {
                        problems.push(self.unknown_key(&pointer, key, &node.names()));
                    }
                }
                return;
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let member = self.node(pointer).member(key);
                let fix = if member.is_secret() {
                    format!("add {key}; it may be \"env:NAME\" or \"file:PATH\"")
                } else {
                    format!("add {key}")
                };
                self.problem(
                    ProblemCode::MissingKey,
                    &child(pointer, key),
                    member.expected(),
                    "nothing",
                )
                .fix(fix)
            }
            Kind::Type { kind } => {
                let types: Vec<&str> = match kind {
                    TypeKind::Single(one) => vec![one.as_str()],
                    TypeKind::Multiple(several) => several.iter().map(|one| one.as_str()).collect(),
                };
                let quoted = value.as_str().is_some_and(|text| {
                    serde_json::from_str::<Value>(text)
                        .is_ok_and(|inner| types.contains(&type_name(&inner)))
                });
                let expected = in_words(types.into_iter().filter(|name| *name != "null"));
                let problem =
                    self.problem(ProblemCode::WrongType, pointer, expected, type_name(value));
                if quoted {
                    problem.fix("remove the quotes")
                } else {
                    problem
                }
            }
            Kind::Enum { options } => {
                let options: Vec<_> = options.as_array().into_iter().flatten().collect();
                let texts: Vec<&str> = options
                    .iter()
                    .filter_map(|option| option.as_str())
                    .collect();
                let list: Vec<_> = options
                    .iter()
                    .filter(|o| !o.is_null())
                    .map(ToString::to_string)
                    .collect();
                let mut problem = invalid(format!("one of {}", list.join(", ")));
                // A secret near one of few words would be told by the nearest of them.
                if let Some(text) = value.as_str().filter(|_| problem.found.starts_with('"')) {
                    problem.suggestion = nearest(text, texts).map(str::to_owned);
                }
                problem
            }
            Kind::Constant { expected_value } => invalid(expected_value.to_string()),
            Kind::Minimum { limit } => range(format!("at least {limit}")),
            Kind::Maximum { limit } => range(format!("at most {limit}")),
            Kind::ExclusiveMinimum { limit } => range(format!("more than {limit}")),
            Kind::ExclusiveMaximum { limit } => range(format!("less than {limit}")),
            Kind::MultipleOf { multiple_of } => range(format!("a multiple of {multiple_of}")),
            Kind::MinLength { limit } => self.length(pointer, "at least", *limit, value),
            Kind::MaxLength { limit } => self.length(pointer, "at most", *limit, value),
            Kind::MinItems { limit } => range(format!("an array of at least {limit} elements")),
            Kind::MaxItems { limit } => range(format!("an array of at most {limit} elements")),
            Kind::AdditionalItems { limit } => {
                range(format!("an array of at most {limit} elements"))
            }
            Kind::MinProperties { limit } => range(format!("at least {limit} fields")),
            Kind::MaxProperties { limit } => range(format!("at most {limit} fields")),
            Kind::UniqueItems => invalid("an array without repetition".to_owned()),
            Kind::Pattern { pattern } => invalid(format!("a string like {pattern}")),
            Kind::Format { format } => self.problem(
                ProblemCode::InvalidValue,
                pointer,
                format!("a string of format {format}"),
                "a string of another form",
            ),
            Kind::PropertyNames { .. } => invalid("other names of fields".to_owned()),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                match meant(context, pointer) {
                    Some(branch) => {
                        branch
                            .iter()
                            .for_each(|error| self.tell(error, unknown, problems));
                        return;
                    }
                    None => self.no_branch(pointer, context),
                }
            }
            Kind::OneOfMultipleValid { .. } => invalid("exactly one of several forms".to_owned()),
            _ => invalid("a value that the plugin's schema allows".to_owned()),
        };
        problems.push(problem);
    }

    fn length(&self, pointer: &str, bound: &str, limit: u64, value: &Value) -> Problem {
        let count = value.as_str().map_or(0, |text| text.chars().count());
        let found = match self.shown(pointer).as_str() {
            // The length of a secret is not shown.
            "string" => "one of another length".to_owned(),
            _ => format!("one of {count}"),
        };
        self.problem(
            ProblemCode::OutOfRange,
            pointer,
            format!("a string of {bound} {limit} characters"),
            found,
        )
    }

    /// None of several forms fits, and none is clearly the one that was meant.
    fn no_branch(&self, pointer: &str, context: &[Vec<ValidationError<'static>>]) -> Problem {
        let node = self.node(pointer);
        let mut words: Vec<String> = Vec::new();
        for error in context
            .iter()
            .flatten()
            .filter(|error| error.instance_path().as_str() == pointer)
        {
            match error.kind() {
                Kind::Constant { expected_value } => words.push(expected_value.to_string()),
                Kind::Enum { options } => {
                    words.extend(
                        options
                            .as_array()
                            .into_iter()
                            .flatten()
                            .map(ToString::to_string),
                    );
                }
                _ => {}
            }
        }
        if !words.is_empty() {
            let problem = self.problem(
                ProblemCode::InvalidValue,
                pointer,
                format!("one of {}", words.join(", ")),
                self.shown(pointer),
            );
            let text = problem.found.trim_matches('"').to_owned();
            return problem.suggest(&text, words.iter().map(|word| word.trim_matches('"')));
        }
        // The field that tells the forms apart, when there is one that none of them accepts.
        let tags: BTreeSet<String> = context
            .iter()
            .flatten()
            .filter(|error| matches!(error.kind(), Kind::Constant { .. }))
            .map(|error| error.instance_path().as_str().to_owned())
            .collect();
        if let Some(tag) = tags.first() {
            let words: Vec<_> = context
                .iter()
                .flatten()
                .filter(|error| error.instance_path().as_str() == tag)
                .filter_map(|error| match error.kind() {
                    Kind::Constant { expected_value } => expected_value.as_str().map(str::to_owned),
                    _ => None,
                })
                .collect();
            let problem = self.problem(
                ProblemCode::InvalidValue,
                tag,
                format!("one of {}", names(words.iter().map(String::as_str))),
                self.shown(tag),
            );
            let text = problem.found.trim_matches('"').to_owned();
            return problem.suggest(&text, words.iter().map(String::as_str));
        }
        let same_type = node.types().contains(&self.found_type(pointer));
        let code = if same_type {
            ProblemCode::InvalidValue
        } else {
            ProblemCode::WrongType
        };
        let expected = if same_type {
            format!(
                "one of the {} forms that the plugin's schema has for it",
                context.len()
            )
        } else {
            node.expected()
        };
        self.problem(code, pointer, expected, self.found_type(pointer))
    }

    fn found_type(&self, pointer: &str) -> &'static str {
        self.value.pointer(pointer).map_or("nothing", type_name)
    }

    fn node(&self, pointer: &str) -> Node<'_> {
        let mut node = Node::root(self.schema.value());
        let mut at = String::new();
        for token in tokens(pointer) {
            node = match self.value.pointer(&at) {
                Some(Value::Array(_)) => node.element(),
                _ => node.member(&token),
            };
            at = child(&at, &token);
        }
        node
    }
}

/// A text as a problem shows it: short, and not when it may hold a password, as a URL may whatever
/// the field is called.
pub(super) fn quoted(text: &str) -> String {
    match text.chars().count() {
        _ if text.contains("://") => "a URL".to_owned(),
        count if count > SHOWN => format!("a string of {count} characters"),
        _ => format!("{text:?}"),
    }
}

/// The branch that was meant: the only one whose type and distinguishing fields fit.
fn meant<'c>(
    context: &'c [Vec<ValidationError<'static>>],
    pointer: &str,
) -> Option<&'c [ValidationError<'static>]> {
    let mut fitting = context.iter().filter(|errors| {
        !errors.iter().any(|error| match error.kind() {
            Kind::Constant { .. } => true,
            Kind::Type { .. } | Kind::Enum { .. } => error.instance_path().as_str() == pointer,
            _ => false,
        })
    });
    let one = fitting.next()?;
    fitting.next().is_none().then_some(one.as_slice())
}

/// The parts of a JSON Pointer, unescaped.
fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer
        .split('/')
        .skip(1)
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
}

/// The dotted path of a pointer into `value`.
pub(super) fn dotted(path: &str, pointer: &str, value: &Value) -> String {
    let mut dotted = path.to_owned();
    let mut at = Some(value);
    for token in tokens(pointer) {
        (dotted, at) = match at {
            Some(Value::Array(items)) => (
                format!("{dotted}[{token}]"),
                token.parse().ok().and_then(|index: usize| items.get(index)),
            ),
            Some(value) => (join(&dotted, &token), value.get(&token)),
            None => (join(&dotted, &token), None),
        };
    }
    dotted
}
