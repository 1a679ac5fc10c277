//! The fields of a plugin's configuration, as its JSON Schema describes them.

use holdall::fault::Code;
use holdall::inspect::Inspection;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A schema may refer to itself.
const DEEPEST: usize = 6;

/// One field.
#[derive(Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// In words, such as `integer, 1 to 64`.
    pub(crate) kind: String,
    pub(crate) required: bool,
    pub(crate) secret: bool,
    pub(crate) default: Option<Value>,
    pub(crate) description: String,
    /// Values of an enumeration.
    pub(crate) words: Vec<Word>,
    /// Tables that may stand here; of several, one.
    pub(crate) tables: Vec<Table>,
    /// A value of the right type; none where only a table may stand.
    #[serde(skip)]
    pub(crate) example: Option<Value>,
}

/// A value of an enumeration.
#[derive(Debug, Serialize)]
pub(crate) struct Word {
    pub(crate) value: Value,
    pub(crate) description: String,
}

/// A table that may be the value of a field.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// How many of it there are.
    pub(crate) form: Form,
    pub(crate) description: String,
    pub(crate) fields: Vec<Field>,
}

/// How many tables stand under one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// One.
    One,
    /// One for each name.
    Named,
    /// An array of them.
    Array,
}

impl Field {
    /// On one line, for people.
    pub(crate) fn line(&self) -> String {
        let mut notes = vec![self.kind.clone()];
        if self.required {
            notes.push("required".to_owned());
        }
        if self.secret {
            notes.push("secret".to_owned());
        }
        if let Some(default) = &self.default {
            notes.push(format!("default {default}"));
        }
        let about = self.description.split_whitespace().collect::<Vec<_>>();
        format!("{} ({}): {}", self.name, notes.join(", "), about.join(" "))
    }
}

/// The fields that a plugin file describes; `None` when its schema is refused, because its references may
/// stand for any number of fields.
pub(crate) fn of_file(found: &Inspection) -> Option<Vec<Field>> {
    let refused = found
        .faults
        .iter()
        .any(|fault| fault.code == Code::BadSchema);
    let descriptor = found.descriptor.as_ref().filter(|_| !refused)?;
    Some(of(&descriptor.about.config_schema))
}

/// The fields of the whole configuration, the required ones first. The schema is one that an inspection has
/// accepted: it has bounds.
pub(crate) fn of(schema: &Value) -> Vec<Field> {
    fields(schema, &resolved(schema, schema), 0)
}

fn fields(root: &Value, table: &Map<String, Value>, depth: usize) -> Vec<Field> {
    let required = table.get("required").and_then(Value::as_array);
    let is_required = |name: &String| {
        let name = Value::String(name.clone());
        required.is_some_and(|required| required.contains(&name))
    };
    let properties = table.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    let mut fields: Vec<Field> = properties
        .map(|(name, part)| field(root, name, part, is_required(name), depth))
        .collect();
    // Stable: otherwise in the order of the schema.
    fields.sort_by_key(|field| !field.required);
    fields
}

fn field(root: &Value, name: &str, part: &Value, required: bool, depth: usize) -> Field {
    let part = resolved(root, part);
    let words = words(&part);
    let tables = match depth < DEEPEST {
        true => tables(root, &part, depth),
        false => Vec::new(),
    };
    let is_set = |key: &str| part.get(key) == Some(&Value::Bool(true));
    let default = part.get("default").filter(|value| !value.is_null());
    let default = default.filter(|value| !value.is_object()).cloned();
    Field {
        name: name.to_owned(),
        kind: kind(root, &part, &words, &tables),
        required,
        secret: is_set("x-secret") || is_set("writeOnly"),
        example: default.clone().or_else(|| example(&part, &words, &tables)),
        default,
        description: text(&part, "description"),
        words,
        tables,
    }
}

fn text(part: &Map<String, Value>, key: &str) -> String {
    let text = part.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The part with what its reference says, and with the one of several forms that is not null.
fn resolved(root: &Value, part: &Value) -> Map<String, Value> {
    let mut whole = part.as_object().cloned().unwrap_or_default();
    for _ in 0..DEEPEST {
        let target = whole.remove("$ref").and_then(|to| {
            let pointer = to.as_str()?.strip_prefix('#')?;
            root.pointer(pointer)?.as_object().cloned()
        });
        let single = match target {
            Some(target) => Some(target),
            None => single(&mut whole),
        };
        let Some(more) = single else { break };
        for (name, value) in more {
            whole.entry(name).or_insert(value);
        }
    }
    whole
}

/// Takes the forms of `anyOf` out of a part where only one of them is not null.
fn single(whole: &mut Map<String, Value>) -> Option<Map<String, Value>> {
    let forms = whole.get("anyOf")?.as_array()?;
    let mut forms = forms.iter().filter(|form| form["type"] != "null");
    let (one, None) = (forms.next()?.as_object()?.clone(), forms.next()) else {
        return None;
    };
    whole.remove("anyOf");
    Some(one)
}

/// The forms that a value may have, references followed.
fn forms(root: &Value, part: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let all = ["oneOf", "anyOf"].into_iter();
    let all = all.filter_map(|key| part.get(key)?.as_array()).flatten();
    all.map(|form| resolved(root, form)).collect()
}

fn words(part: &Map<String, Value>) -> Vec<Word> {
    let mut found = Vec::new();
    let mut take = |part: &Map<String, Value>| {
        let listed = part.get("enum").and_then(Value::as_array);
        let listed = listed.into_iter().flatten().chain(part.get("const"));
        for value in listed.filter(|value| !value.is_null()) {
            found.push(Word {
                value: value.clone(),
                description: text(part, "description"),
            });
        }
    };
    if part.contains_key("enum") || part.contains_key("const") {
        take(part);
        found.iter_mut().for_each(|word| word.description.clear());
        return found;
    }
    for form in ["oneOf", "anyOf"] {
        let forms = part.get(form).and_then(Value::as_array);
        forms
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .for_each(&mut take);
    }
    found
}

fn tables(root: &Value, part: &Map<String, Value>, depth: usize) -> Vec<Table> {
    let table = |form, part: &Map<String, Value>| Table {
        form,
        description: text(part, "description"),
        fields: fields(root, part, depth + 1),
    };
    if part.contains_key("properties") {
        return vec![table(Form::One, part)];
    }
    for (key, form) in [
        ("additionalProperties", Form::Named),
        ("items", Form::Array),
    ] {
        let inner = part.get(key).map(|inner| resolved(root, inner));
        if let Some(inner) = inner.filter(|inner| inner.contains_key("properties")) {
            return vec![table(form, &inner)];
        }
    }
    let forms = forms(root, part).into_iter();
    let forms = forms.filter(|form| form.contains_key("properties"));
    forms.map(|form| table(Form::One, &form)).collect()
}

fn types(part: &Map<String, Value>) -> Vec<&str> {
    let found = match part.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    found.into_iter().filter(|one| *one != "null").collect()
}

fn kind(root: &Value, part: &Map<String, Value>, words: &[Word], tables: &[Table]) -> String {
    let mut kinds: Vec<String> = words.iter().map(|word| word.value.to_string()).collect();
    match tables.first().map(|table| table.form) {
        Some(Form::One) => kinds.push("table".to_owned()),
        Some(Form::Named) => kinds.push("table of tables".to_owned()),
        Some(Form::Array) => kinds.push("array of tables".to_owned()),
        None => {}
    }
    if kinds.is_empty() {
        kinds.extend(types(part).into_iter().map(|one| match one {
            "array" => {
                let items = part.get("items").map(|items| resolved(root, items));
                let of = items.unwrap_or_default();
                let of = types(&of).first().copied().unwrap_or("value").to_owned();
                format!("array of {of}s")
            }
            "object" => "table".to_owned(),
            one => one.to_owned(),
        }));
    }
    let kind = match kinds.is_empty() {
        true => "any".to_owned(),
        false => kinds.join(" or "),
    };
    match (part.get("minimum"), part.get("maximum")) {
        (Some(low), Some(high)) => format!("{kind}, {low} to {high}"),
        (Some(low), None) => format!("{kind}, at least {low}"),
        (None, Some(high)) => format!("{kind}, at most {high}"),
        (None, None) => kind,
    }
}

fn example(part: &Map<String, Value>, words: &[Word], tables: &[Table]) -> Option<Value> {
    if let Some(word) = words.first() {
        return Some(word.value.clone());
    }
    if !tables.is_empty() {
        return None;
    }
    Some(match types(part).first().copied() {
        Some("integer" | "number") => part.get("minimum").cloned().unwrap_or(json!(0)),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!(""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_what_its_reference_and_its_form_say() {
        let schema = json!({
            "required": ["mode"],
            "properties": {
                "limit": { "type": ["integer", "null"], "minimum": 1, "maximum": 9 },
                "mode": { "$ref": "#/$defs/Mode", "description": "How." },
                "table": { "anyOf": [{ "$ref": "#/$defs/Table" }, { "type": "null" }] },
                "itself": { "$ref": "#" }
            },
            "$defs": {
                "Mode": { "oneOf": [{ "const": "a", "description": "First." }, { "const": "b" }] },
                "Table": { "type": "object", "properties": { "key": { "type": "string", "x-secret": true } } }
            }
        });
        let found = of(&schema);
        let lines: Vec<_> = found.iter().map(Field::line).collect();
        assert_eq!(lines[0], r#"mode ("a" or "b", required): How."#);
        assert!(lines.contains(&"limit (integer, 1 to 9): ".to_owned()));
        let table = found.iter().find(|field| field.name == "table").unwrap();
        assert!(table.tables[0].fields[0].secret);
        assert!(found.iter().any(|field| field.name == "itself"));
    }
}
