//! From what was written to what a plugin gets: variables laid over, references followed, all of
//! it validated.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Number, Value};
use zeroize::{Zeroize, Zeroizing};

use super::document::{child, join};
use super::plugin_settings::{PluginSettings, Variable};
use super::problem::names;
use super::schema::{Node, in_words};
use super::validate::{Subject, quoted};
use super::{
    BackendConfig, ConfigProblems, Environment, Location, Problem, ProblemCode, Schema, Secrets,
    Section, canonical, overlay, reference,
};

/// The configuration of one plugin or section, ready to be handed over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// What the plugin's `open`, or the owner of the section, gets.
    pub json: ConfigJson,
    /// Equal for equal configurations and no others, within this process: 64 hexadecimal digits.
    /// Part of the identity of an instance; holds no secret.
    pub fingerprint: String,
}

/// JSON with secrets in it: not shown by `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct ConfigJson(Zeroizing<String>);

impl ConfigJson {
    /// The text, with its secrets.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn write(value: &Value) -> Self {
        // Measured first: a growing buffer would leave unwiped copies behind.
        let mut size = Measure(0);
        serde_json::to_writer(&mut size, value).expect("a JSON value is written as JSON");
        let mut bytes = Vec::with_capacity(size.0);
        serde_json::to_writer(&mut bytes, value).expect("a JSON value is written as JSON");
        Self(Zeroizing::new(
            String::from_utf8(bytes).expect("JSON is UTF-8"),
        ))
    }
}

impl fmt::Debug for ConfigJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(super::REDACTED)
    }
}

struct Measure(usize);

impl std::io::Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A value whose texts are wiped when dropped.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        fn wipe(value: &mut Value) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(items) => items.iter_mut().for_each(wipe),
                Value::Object(members) => members.values_mut().for_each(wipe),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        wipe(&mut self.0);
    }
}

impl Section {
    /// Applies variables, follows references to secrets and validates against a JSON Schema.
    ///
    /// `secrets` learns every secret that is found, also when the whole is refused.
    ///
    /// # Errors
    ///
    /// Every problem of this section.
    pub fn resolve(
        &self,
        schema: &Schema,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Resolved, ConfigProblems> {
        let name = self.name;
        let variables = overlay::section_prefix(name);
        resolve(
            &self.settings,
            name,
            &variables,
            schema,
            environment,
            secrets,
        )
    }
}

impl BackendConfig {
    /// Applies variables, follows references to secrets and validates against the plugin's schema.
    ///
    /// Do this just before the plugin opens, so that a rotated secret is read anew. `secrets`
    /// learns every secret that is found, also when the whole is refused.
    ///
    /// # Errors
    ///
    /// Every problem of this backend's configuration.
    pub fn resolve(
        &self,
        schema: &Schema,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Resolved, ConfigProblems> {
        let path = format!("backend.{}.config", self.name);
        let variables = overlay::prefix(&self.name);
        resolve(
            &self.settings,
            &path,
            &variables,
            schema,
            environment,
            secrets,
        )
    }
}

/// Validates a table of the host's own, in which nothing is secret.
pub(super) fn judged(
    settings: &PluginSettings,
    path: &str,
    schema: &Schema,
) -> Result<(), ConfigProblems> {
    let (environment, secrets) = (Environment::none(), Secrets::new());
    resolve(settings, path, "", schema, &environment, &secrets).map(drop)
}

fn resolve(
    settings: &PluginSettings,
    path: &str,
    variables: &str,
    schema: &Schema,
    environment: &Environment,
    secrets: &Secrets,
) -> Result<Resolved, ConfigProblems> {
    let mut resolver = Resolver {
        path,
        environment,
        secrets,
        reported: settings.faults.clone(),
        settings: settings.clone(),
        problems: Vec::new(),
    };
    let root = Node::root(schema.value());
    let mut value = Wiped(Value::Object(settings.values.clone()));
    for variable in &settings.variables {
        resolver.lay_over(&mut value.0, &root, variable, variables);
    }
    resolver.follow(&mut value.0, &root, "", path, false);
    let Resolver {
        settings,
        mut problems,
        reported,
        ..
    } = resolver;
    let subject = Subject {
        path,
        schema,
        value: &value.0,
        settings: &settings,
        reported: &reported,
    };
    problems.extend(subject.problems());
    if problems.is_empty() {
        let fingerprint = canonical::fingerprint(&value.0, &root, secrets);
        return Ok(Resolved {
            json: ConfigJson::write(&value.0),
            fingerprint,
        });
    }
    // A secret that also stands where no secret belongs is not told there either.
    Err(problems
        .into_iter()
        .map(|mut problem| {
            problem.found = secrets.redact(&problem.found).into_owned();
            problem.suggestion = problem
                .suggestion
                .map(|text| secrets.redact(&text).into_owned());
            problem
        })
        .collect())
}

struct Resolver<'a> {
    path: &'a str,
    environment: &'a Environment,
    secrets: &'a Secrets,
    settings: PluginSettings,
    problems: Vec<Problem>,
    /// Pointers of values that have a problem already: the schema's complaints about them would
    /// only repeat it.
    reported: BTreeSet<String>,
}

impl Resolver<'_> {
    fn lay_over(&mut self, value: &mut Value, root: &Node<'_>, variable: &Variable, prefix: &str) {
        let place = Location::Variable(variable.name.clone());
        let Some(keys) = find(root, &variable.field) else {
            let fields = root.names();
            let known: Vec<_> = fields
                .iter()
                .map(|name| format!("{prefix}{}", overlay::upper(name)))
                .collect();
            self.problems.push(
                Problem::new(
                    ProblemCode::UnknownKey,
                    self.path,
                    place,
                    format!("a variable for one of {}", names(fields.iter().copied())),
                    "a variable for no field",
                )
                .suggest(&variable.name, known.iter().map(String::as_str)),
            );
            return;
        };
        let pointer = keys
            .iter()
            .fold(String::new(), |pointer, key| child(&pointer, key));
        let path = keys
            .iter()
            .fold(self.path.to_owned(), |path, key| join(&path, key));
        let node = keys.iter().fold(root.clone(), |node, key| node.member(key));
        let secret = keys
            .iter()
            .scan(root.clone(), |node, key| {
                *node = node.member(key);
                Some(node.is_secret())
            })
            .any(|secret| secret);
        self.settings.places.insert(pointer.clone(), place.clone());
        let text = variable.text.expose();
        let read = if secret && is_reference(text) {
            Some(Value::String(text.to_owned()))
        } else {
            read(text, &node.types(), &node)
        };
        let Some(read) = read else {
            if secret {
                self.secrets.remember(text);
            }
            let found = if secret {
                "text of another form".to_owned()
            } else {
                quoted(text)
            };
            self.problems.push(
                Problem::new(ProblemCode::WrongType, path, place, in_text(&node), found)
                    .pointer(pointer.clone()),
            );
            self.reported.insert(pointer);
            return;
        };
        put(value, &keys, read);
    }

    /// Replaces references to secrets by what they lead to.
    fn follow(
        &mut self,
        value: &mut Value,
        node: &Node<'_>,
        pointer: &str,
        path: &str,
        secret: bool,
    ) {
        let secret = secret || node.is_secret();
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    self.follow(
                        value,
                        &node.member(key),
                        &child(pointer, key),
                        &join(path, key),
                        secret,
                    );
                }
            }
            Value::Array(items) => {
                let node = node.element();
                for (index, item) in items.iter_mut().enumerate() {
                    let pointer = child(pointer, &index.to_string());
                    self.follow(item, &node, &pointer, &format!("{path}[{index}]"), secret);
                }
            }
            Value::String(text) if secret => {
                let place = self.settings.place(pointer).clone();
                match reference::resolve(text, path, &place, self.environment, self.secrets) {
                    Ok(secret) => {
                        text.zeroize();
                        text.push_str(secret.expose());
                    }
                    Err(problem) => {
                        self.problems.push((*problem).pointer(pointer));
                        self.reported.insert(pointer.to_owned());
                    }
                }
            }
            // `file://` is the beginning of a URL.
            Value::String(text) if is_reference(text) && !text.starts_with("file://") => {
                tracing::warn!(
                    target: "holdall",
                    field = path,
                    "the text looks like a reference to a secret, but the plugin's schema does not mark this field \
                     as secret (`x-secret`): it is used as it stands"
                );
            }
            // A number may be a secret too (a PIN), and so may one that should have been a text.
            Value::Number(number) if secret => self.secrets.remember(&number.to_string()),
            _ => {}
        }
    }
}

fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// The keys that lead to the field of a variable: a member whose name in upper case is the field,
/// or one that is its beginning up to a `__`, and so on inside.
fn find(node: &Node<'_>, field: &str) -> Option<Vec<String>> {
    let named = |text: &str| {
        node.names()
            .into_iter()
            .find(|name| overlay::upper(name) == text)
    };
    if let Some(name) = named(field) {
        return Some(vec![name.to_owned()]);
    }
    for (end, _) in field.match_indices("__") {
        if let Some(name) = named(&field[..end])
            && let Some(inner) = find(&node.member(name), &field[end + 2..])
        {
            return Some([vec![name.to_owned()], inner].concat());
        }
    }
    (node.is_open() && !field.is_empty()).then(|| vec![field.to_lowercase()])
}

/// Reads a text as the first of the types that it fits: a number before a string, since the
/// schema that allows both means `8` as a number.
fn read(text: &str, types: &[&str], node: &Node<'_>) -> Option<Value> {
    let fits = |name: &str| types.is_empty() || types.contains(&name);
    if fits("boolean") && !types.is_empty() {
        match text {
            "true" => return Some(Value::Bool(true)),
            "false" => return Some(Value::Bool(false)),
            _ => {}
        }
    }
    if types.contains(&"integer") || types.contains(&"number") {
        if let Some(number) = text.parse().ok().and_then(Number::from_i128) {
            return Some(Value::Number(number));
        }
        if let Some(number) = text.parse().ok().and_then(Number::from_f64)
            && types.contains(&"number")
        {
            return Some(Value::Number(number));
        }
    }
    if fits("string") {
        return Some(Value::String(text.to_owned()));
    }
    if types.contains(&"array") {
        let element = node.element();
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        return parts
            .map(|part| read(part, &element.types(), &element))
            .collect();
    }
    (types.contains(&"null") && text.is_empty()).then_some(Value::Null)
}

/// What the text of a variable should be, in words.
fn in_text(node: &Node<'_>) -> String {
    let types = node.types();
    if types.contains(&"array") {
        return format!(
            "a list, separated by commas, each {}",
            node.element().expected()
        );
    }
    if types == ["boolean"] || types == ["boolean", "null"] {
        return "true or false".to_owned();
    }
    if types.contains(&"object") {
        return "no table: set its fields, NAME__FIELD".to_owned();
    }
    in_words(types.into_iter().filter(|name| *name != "null"))
}

fn put(value: &mut Value, keys: &[String], new: Value) {
    let Some((key, rest)) = keys.split_first() else {
        *value = new;
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(members) = value {
        put(
            members.entry(key.as_str()).or_insert(Value::Null),
            rest,
            new,
        );
    }
}
