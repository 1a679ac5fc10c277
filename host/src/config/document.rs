//! A TOML document with the place of every value, read key by key.
//!
//! Not serde: it stops at the first error, and all of them are wanted, each with line and column.

use std::path::Path;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::plugin_settings::PluginSettings;
use super::problem::names;
use super::{Location, Problem, ProblemCode};

/// A document being read, and what was wrong so far.
pub(super) struct Document<'d> {
    file: &'d Path,
    text: &'d str,
    /// Where each line starts: a place is asked for at every value.
    lines: Vec<usize>,
    pub(super) problems: Vec<Problem>,
}

/// One table: which keys were asked for decides which are unknown.
pub(super) struct Table<'d> {
    pub(super) path: String,
    pub(super) place: Location,
    table: &'d DeTable<'d>,
    asked: Vec<&'static str>,
}

/// A value, where it stands, and its dotted path.
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) path: String,
    pub(super) place: Location,
}

/// Parses. The table is good for nothing when the document has problems then.
pub(super) fn parse<'d>(file: &Path, text: &'d str) -> (Spanned<DeTable<'d>>, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let document = Document::new(file, text);
    let problems = errors.iter().map(|error| {
        let place = error
            .span()
            .map_or_else(|| document.whole(), |span| document.at(span.start));
        // The message alone: the error's Display quotes the line, which may hold a secret.
        Problem::new(ProblemCode::Syntax, "", place, "TOML", error.message())
    });
    (table, problems.collect())
}

impl<'d> Document<'d> {
    pub(super) fn new(file: &'d Path, text: &'d str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(after).collect();
        Self {
            file,
            text,
            lines,
            problems: Vec::new(),
        }
    }

    pub(super) fn whole(&self) -> Location {
        Location::File {
            file: self.file.to_owned(),
            line: 0,
            column: 0,
        }
    }

    pub(super) fn at(&self, offset: usize) -> Location {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let line = self.lines.partition_point(|start| *start <= end);
        let column = self.text[self.lines[line - 1]..end].chars().count() + 1;
        Location::File {
            file: self.file.to_owned(),
            line,
            column,
        }
    }

    pub(super) fn section(
        &self,
        path: String,
        table: &'d DeTable<'d>,
        place: Location,
    ) -> Table<'d> {
        Table {
            path,
            place,
            table,
            asked: Vec::new(),
        }
    }

    fn wrong_type(&mut self, path: String, expected: &str, value: &Spanned<DeValue<'_>>) {
        let place = self.at(value.span().start);
        let found = value.get_ref().type_str();
        self.problems.push(Problem::new(
            ProblemCode::WrongType,
            path,
            place,
            expected,
            found,
        ));
    }

    /// The value of a key, seen through `view`; another type is a problem.
    fn get<T>(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
        expected: &str,
        view: impl FnOnce(&'d DeValue<'d>) -> Option<T>,
    ) -> Option<Found<T>> {
        section.asked.push(key);
        let value = section.table.get(key)?;
        let path = join(&section.path, key);
        let Some(seen) = view(value.get_ref()) else {
            self.wrong_type(path, expected, value);
            return None;
        };
        Some(Found {
            value: seen,
            path,
            place: self.at(value.span().start),
        })
    }

    pub(super) fn string(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
    ) -> Option<Found<&'d str>> {
        self.get(section, key, "a string", DeValue::as_str)
    }

    pub(super) fn boolean(&mut self, section: &mut Table<'d>, key: &'static str) -> Option<bool> {
        self.get(section, key, "a boolean", DeValue::as_bool)
            .map(|found| found.value)
    }

    /// An integer that is not below `least`.
    pub(super) fn number(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
        least: u64,
    ) -> Option<u64> {
        let found = self.get(section, key, "an integer", DeValue::as_integer)?;
        let number = u64::from_str_radix(found.value.as_str(), found.value.radix()).ok();
        if number.is_none_or(|number| number < least) {
            let expected = format!("an integer of at least {least}");
            self.problems.push(Problem::new(
                ProblemCode::OutOfRange,
                found.path,
                found.place,
                expected,
                found.value.as_str(),
            ));
            return None;
        }
        number
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let found = self.string(section, key)?;
        one_of(found.value, words, &found.path, &found.place)
            .map_err(|problem| self.problems.push(*problem))
            .ok()
    }

    /// A list of strings; `None` when the key is absent.
    pub(super) fn strings(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
    ) -> Option<Vec<Found<&'d str>>> {
        let found = self.get(section, key, "an array of strings", DeValue::as_array)?;
        let mut strings = Vec::new();
        for (index, item) in found.value.iter().enumerate() {
            let path = format!("{}[{index}]", found.path);
            match item.get_ref().as_str() {
                Some(value) => strings.push(Found {
                    value,
                    path,
                    place: self.at(item.span().start),
                }),
                None => self.wrong_type(path, "a string", item),
            }
        }
        Some(strings)
    }

    pub(super) fn table(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
    ) -> Option<Table<'d>> {
        let found = self.get(section, key, "a table", DeValue::as_table)?;
        Some(self.section(found.path, found.value, found.place))
    }

    /// A table whose keys are names: name, place of the name, and the table under it.
    pub(super) fn named_tables(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
    ) -> Vec<(&'d str, Table<'d>)> {
        let Some(found) = self.get(section, key, "a table", DeValue::as_table) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in found.value {
            let path = join(&found.path, name.get_ref());
            match value.get_ref().as_table() {
                Some(table) => {
                    let place = self.at(name.span().start);
                    tables.push((&**name.get_ref(), self.section(path, table, place)));
                }
                None => self.wrong_type(path, "a table", value),
            }
        }
        tables
    }

    /// An array of tables; empty when the key is absent.
    pub(super) fn tables(&mut self, section: &mut Table<'d>, key: &'static str) -> Vec<Table<'d>> {
        let Some(found) = self.get(section, key, "an array of tables", DeValue::as_array) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in found.value.iter().enumerate() {
            let path = format!("{}[{index}]", found.path);
            match item.get_ref().as_table() {
                Some(table) => {
                    let place = self.at(item.span().start);
                    tables.push(self.section(path, table, place));
                }
                None => self.wrong_type(path, "a table", item),
            }
        }
        tables
    }

    /// The settings of a plugin: any table, as JSON. Empty when the key is absent.
    pub(super) fn settings(
        &mut self,
        section: &mut Table<'d>,
        key: &'static str,
    ) -> PluginSettings {
        let mut settings = PluginSettings::new(Map::new(), section.place.clone());
        let before = self.problems.len();
        match self.get(section, key, "a table", DeValue::as_table) {
            Some(found) => {
                settings.place = found.place;
                settings.values = self.object(found.value, &found.path, "", &mut settings);
            }
            None if self.problems.len() > before => {
                settings.faults.insert(String::new());
            }
            None => {}
        }
        settings
    }

    fn object(
        &mut self,
        table: &'d DeTable<'d>,
        path: &str,
        pointer: &str,
        settings: &mut PluginSettings,
    ) -> Map<String, Value> {
        let mut object = Map::new();
        for (key, value) in table {
            let key = &**key.get_ref();
            let value = self.json(value, &join(path, key), &child(pointer, key), settings);
            object.insert(key.to_owned(), value);
        }
        object
    }

    fn json(
        &mut self,
        value: &'d Spanned<DeValue<'d>>,
        path: &str,
        pointer: &str,
        settings: &mut PluginSettings,
    ) -> Value {
        let place = self.at(value.span().start);
        settings.places.insert(pointer.to_owned(), place.clone());
        let mut unfit = |expected: &str, found: &str| {
            settings.faults.insert(pointer.to_owned());
            self.problems.push(
                Problem::new(
                    ProblemCode::OutOfRange,
                    path,
                    place.clone(),
                    expected,
                    found,
                )
                .pointer(pointer),
            );
            Value::Null
        };
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(moment) => Value::String(moment.to_string()),
            DeValue::Integer(integer) => {
                match i128::from_str_radix(integer.as_str(), integer.radix())
                    .ok()
                    .and_then(Number::from_i128)
                {
                    Some(number) => Value::Number(number),
                    None => unfit("an integer of at most 64 bits", "a larger one"),
                }
            }
            DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
                Some(number) => Value::Number(number),
                None => unfit("a finite number", "one that JSON cannot hold"),
            },
            DeValue::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    self.json(
                        item,
                        &format!("{path}[{index}]"),
                        &child(pointer, &index.to_string()),
                        settings,
                    )
                })
                .collect(),
            DeValue::Table(table) => Value::Object(self.object(table, path, pointer, settings)),
        }
    }

    /// Every key that was not read is a problem. Values are not shown: the slip may be in the
    /// name of a secret.
    pub(super) fn finish(&mut self, section: Table<'d>, fix: Option<&str>) {
        for key in section.table.keys() {
            let name = &**key.get_ref();
            if section.asked.contains(&name) {
                continue;
            }
            let place = self.at(key.span().start);
            let mut problem = Problem::new(
                ProblemCode::UnknownKey,
                join(&section.path, name),
                place,
                format!("one of {}", names(section.asked.iter().copied())),
                format!("unknown key {name:?}"),
            )
            .suggest(name, section.asked.iter().copied());
            if problem.suggestion.is_none() {
                problem.fix = fix.map(str::to_owned);
            }
            self.problems.push(problem);
        }
    }
}

/// The value that goes with a word, or a problem that lists the words.
pub(super) fn one_of<T: Copy>(
    word: &str,
    words: &[(&'static str, T)],
    path: &str,
    place: &Location,
) -> Result<T, Box<Problem>> {
    words
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let expected = format!("one of {}", names(words.iter().map(|(name, _)| *name)));
            Problem::new(
                ProblemCode::InvalidValue,
                path,
                place.clone(),
                expected,
                format!("{word:?}"),
            )
            .suggest(word, words.iter().map(|(name, _)| *name))
            .into()
        })
}

/// A dotted path and one more key, quoted where TOML wants that.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match (path.is_empty(), bare) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{key:?}"),
        (false, true) => format!("{path}.{key}"),
        (false, false) => format!("{path}.{key:?}"),
    }
}

/// A JSON Pointer and one more key (RFC 6901, 3).
pub(super) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
