//! `plugins config`: a sample of a plugin's configuration.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use holdall::inspect::{Verdict, inspect_file};
use holdall::scan;
use serde_json::{Value, json};

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::fields::{self, Field, Form};
use crate::values::printable;

/// Prints a commented sample of a plugin's configuration in TOML: required fields, and optional ones in
/// comments with their defaults. Nothing of the plugin runs.
#[derive(Debug, Args)]
pub(super) struct Sample {
    /// Name or scheme of a plugin of the plugin directories, or path of a plugin's file.
    #[arg(value_name = "NAME|FILE")]
    plugin: PathBuf,
}

impl Sample {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let (config, _) = app.config();
        let (plugin, fields) = match is_path(&self.plugin) {
            true => of_file(&self.plugin)?,
            false => of_name(&self.plugin.to_string_lossy(), &config.plugin_dirs)?,
        };
        let toml = sample(&plugin, &fields);
        let record = json!({ "plugin": plugin, "fields": fields, "toml": toml });
        app.output.answer(&record, || toml.trim_end().to_owned())
    }
}

/// A name has neither a directory nor an extension.
fn is_path(plugin: &Path) -> bool {
    plugin.extension().is_some() || plugin.components().count() > 1
}

/// Name and fields of a plugin.
fn of_file(file: &Path) -> Result<(String, Vec<Field>)> {
    let found = inspect_file(file);
    let fields = fields::of_file(&found);
    let name = found.descriptor.map(|descriptor| descriptor.about.name);
    name.zip(fields).ok_or_else(|| {
        let path = file.display();
        let message = format!("{path} has no descriptor with a valid configuration schema");
        let help = format!("`holdall inspect {path}` shows what is wrong");
        Failure::refused(exit::SETUP, "plugin_load", message, help)
    })
}

fn of_name(name: &str, plugin_dirs: &[PathBuf]) -> Result<(String, Vec<Field>)> {
    let report = scan::scan(plugin_dirs);
    let found = report.by_precedence().into_iter();
    let mut accepted = found.filter(|(file, _)| file.verdict() == Verdict::Accepted);
    let found = accepted.find(|(_, descriptor)| {
        let about = &descriptor.about;
        about.name == name || about.schemes.iter().any(|scheme| scheme == name)
    });
    let found = found.map(|(_, descriptor)| {
        let about = &descriptor.about;
        (about.name.clone(), fields::of(&about.config_schema))
    });
    found.ok_or_else(|| {
        let message = format!("no plugin {name:?} is in the plugin directories");
        let help = "`holdall plugins` shows what is there; a file is named by its path";
        Failure::refused(exit::NOT_FOUND, "unknown_plugin", message, help)
    })
}

/// The whole sample.
fn sample(plugin: &str, fields: &[Field]) -> String {
    let name = key(plugin);
    let mut text = format!(
        "# Configuration of the plugin {}. `holdall config check` judges it.\n\
         # Lines that begin with `#` and a name are optional; they show the default, or an example.\n\n\
         [backend.{name}]\nplugin = {}\n",
        printable(plugin),
        value(&json!(plugin)),
    );
    let place = Position {
        path: format!("backend.{name}.config"),
        plugin,
    };
    text.push_str(&format!("\n[{}]\n", place.path));
    place.fields(fields, false, &mut text);
    text
}

/// Where fields stand.
struct Position<'a> {
    path: String,
    plugin: &'a str,
}

impl Position<'_> {
    /// Values first: what follows a table's head belongs to that table.
    fn fields(&self, fields: &[Field], optional: bool, text: &mut String) {
        for field in fields {
            self.value(field, optional, text);
        }
        for field in fields {
            self.tables(field, optional, text);
        }
    }

    fn value(&self, field: &Field, optional: bool, text: &mut String) {
        let Some(example) = &field.example else {
            return;
        };
        comment(&field.description, text);
        for word in field.words.iter().filter(|it| !it.description.is_empty()) {
            comment(&format!("{}: {}", word.value, word.description), text);
        }
        let mut notes = field.kind.clone();
        if field.required {
            notes.push_str("; required");
        }
        if field.secret {
            notes.push_str("; secret: the text, or `env:NAME`, or `file:PATH`");
        }
        if field.default.is_some() {
            notes.push_str("; default");
        }
        comment(&notes, text);
        let example = match field.secret && field.default.is_none() {
            true => json!(format!("env:{}", variable(self.plugin, &field.name))),
            false => example.clone(),
        };
        let mark = mark(optional || !field.required);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{mark}{} = {}\n", key(&field.name), value(&example));
    }

    fn tables(&self, field: &Field, optional: bool, text: &mut String) {
        let one_of = field.tables.len() > 1 || field.example.is_some();
        let optional = optional || !field.required || one_of;
        for table in &field.tables {
            if field.example.is_none() {
                comment(&field.description, text);
            }
            if table.description != field.description {
                comment(&table.description, text);
            }
            if one_of {
                comment(&format!("One of the forms of `{}`.", field.name), text);
            }
            let path = format!("{}.{}", self.path, key(&field.name));
            let (head, path) = match table.form {
                Form::One => (format!("[{path}]"), path),
                Form::Named => (format!("[{path}.NAME]"), format!("{path}.NAME")),
                Form::Array => (format!("[[{path}]]"), path),
            };
            let _ = writeln!(text, "{}{head}", mark(optional || table.form != Form::One));
            let place = Position {
                path,
                plugin: self.plugin,
            };
            let optional = optional || table.form != Form::One;
            place.fields(&table.fields, optional, text);
            if !text.ends_with("\n\n") {
                text.push('\n');
            }
        }
    }
}

const fn mark(optional: bool) -> &'static str {
    if optional { "#" } else { "" }
}

/// Each line of a text as a comment. The text is the plugin's: no line of it may end the comment.
fn comment(about: &str, text: &mut String) {
    for line in about.lines() {
        let _ = writeln!(text, "# {}", printable(line).trim_end());
    }
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => value(&json!(name)),
    }
}

fn value(value: &Value) -> String {
    match value {
        // TOML has no null; a text of several lines stays on one, as a comment needs.
        Value::String(text) => json!(text).to_string().replace('\u{7f}', "\\u007f"),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(self::value).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(fields) => {
            let each = fields.iter();
            let each: Vec<_> = each
                .map(|(name, of)| format!("{} = {}", key(name), self::value(of)))
                .collect();
            format!("{{ {} }}", each.join(", "))
        }
        other => other.to_string(),
    }
}

/// A variable that a secret may come from.
fn variable(plugin: &str, field: &str) -> String {
    let name = format!("{plugin}_{field}").to_ascii_uppercase();
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use holdall::config::{self, Config, Schema, Secrets, Sources};

    use super::*;

    /// Every schema of `plugins/`, by the name of its plugin.
    fn schemas() -> BTreeMap<String, Value> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let mut found = BTreeMap::new();
        for plugin in std::fs::read_dir(folder).unwrap() {
            let plugin = plugin.unwrap();
            if let Ok(text) = std::fs::read_to_string(plugin.path().join("config.schema.json")) {
                let name = plugin.file_name().into_string().unwrap();
                found.insert(name, serde_json::from_str(&text).unwrap());
            }
        }
        assert!(found.len() >= 8, "{:?}", found.keys());
        found
    }

    /// Every problem that `config check` finds.
    fn problems(plugin: &str, schema: &Value, toml: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdall.toml");
        std::fs::write(&file, toml).unwrap();
        let mut sources = Sources::default();
        sources.flags.config_file = Some(file);
        let (config, problems) = Config::read(&sources);
        let schemas = BTreeMap::from([(plugin.to_owned(), Schema::from(schema.clone()))]);
        let report = config::check(&config, &schemas, &Secrets::new());
        assert_eq!(report.backends.len(), 1, "{toml}");
        let all = problems.iter().chain(&report.problems);
        all.map(|problem| format!("{plugin}: {problem}")).collect()
    }

    /// The sample with its required fields filled.
    fn filled(plugin: &str, schema: &Value) -> String {
        let sample = sample(plugin, &fields::of(schema));
        // Of the services of OpenDAL one is required.
        let service = format!("#[backend.{plugin}.config.service.memory]");
        let sample = sample.replace(&service, &service[1..]);
        let fill = |line: &str| match line.strip_suffix(" = \"\"") {
            Some(name) if !name.starts_with('#') => format!("{name} = \"https://store.example/x\""),
            _ => line.to_owned(),
        };
        sample.lines().map(|line| fill(line) + "\n").collect()
    }

    fn is_optional(line: &str) -> bool {
        line.starts_with('#') && !line.starts_with("# ")
    }

    #[test]
    fn the_sample_of_every_shipped_plugin_is_right_once_it_is_filled() {
        for (plugin, schema) in schemas() {
            let sample = filled(&plugin, &schema);
            assert_eq!(problems(&plugin, &schema, &sample), [""; 0], "{sample}");
            let required = schema["required"].as_array().into_iter().flatten();
            for name in required.map(|name| name.as_str().unwrap()) {
                let is_of_it = |line: &str| {
                    line.starts_with(&format!("{name} = "))
                        || line == format!("[backend.{plugin}.config.{name}]")
                };
                assert!(sample.lines().any(is_of_it), "{plugin}, {name}: {sample}");
            }
            for name in schema["properties"].as_object().unwrap().keys() {
                assert!(sample.contains(name.as_str()), "{plugin}, {name}");
            }
        }
    }

    #[test]
    fn every_default_of_every_sample_is_right_without_its_mark() {
        let mut tried = 0;
        for (plugin, schema) in schemas() {
            let sample = filled(&plugin, &schema);
            let mut lines: Vec<&str> = sample.lines().collect();
            for at in 0..lines.len() {
                let line = lines[at];
                if !is_optional(line) {
                    continue;
                }
                let bare = &line[1..];
                assert!(bare.parse::<toml::Table>().is_ok(), "{plugin}: {bare}");
                // Those of a table need its head.
                let heads = lines[..at]
                    .iter()
                    .filter(|line| line.starts_with("#["))
                    .count();
                if heads == 0 && lines[at - 1].ends_with("; default") {
                    lines[at] = bare;
                    tried += 1;
                    let whole = lines.join("\n");
                    assert_eq!(problems(&plugin, &schema, &whole), [""; 0], "{bare}");
                    lines[at] = line;
                }
            }
        }
        assert!(tried > 40, "{tried}");
    }

    #[test]
    fn a_secret_is_shown_as_a_reference() {
        let sample = sample("s3", &fields::of(&schemas()["s3"]));
        let line = "#secret_access_key = \"env:S3_SECRET_ACCESS_KEY\"\n";
        assert!(sample.contains(line), "{sample}");
        assert!(sample.contains("`file:PATH`"), "{sample}");
    }

    #[test]
    fn no_text_of_a_plugin_leaves_its_comment() {
        let escape = "x\r[trust]\ngroup_writable = \"allow\"\u{1b}[2J";
        let schema = json!({
            "required": ["must"],
            "properties": {
                "must": { "type": "string", "description": escape },
                escape: { "type": "string", "description": escape, "default": escape },
                "word": { "oneOf": [{ "const": escape, "description": escape }] },
                "table": { "properties": { escape: { "enum": [escape] } }, "description": escape }
            }
        });
        let sample = sample("mine", &fields::of(&schema));
        let parsed: toml::Table = sample.parse().unwrap();
        assert_eq!(parsed.keys().collect::<Vec<_>>(), ["backend"], "{sample}");
        let config = parsed["backend"]["mine"]["config"].as_table().unwrap();
        assert_eq!(config.keys().collect::<Vec<_>>(), ["must"], "{sample}");
        assert!(!sample.contains('\u{1b}'), "{sample}");
    }
}
