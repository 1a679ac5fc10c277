//! What the author of the next minor does to the tables, done to every one of them.

use crate::Files;

const TABLES: &str = "plugin-api/src/abi/tables.rs";
const LIST: &str = "plugin-api/src/abi/list.rs";
const LAYOUT: &str = "plugin-api/src/abi/layout.rs";
const GROW: &str = "plugin-api/src/abi/grow.rs";

const GOLDEN: &str = "plugin-api/golden/abi-1.1.json";

/// Takes the newest minor of a tree for frozen: a draft is spoken by equal builds only.
pub fn freeze(files: &mut Files) {
    files.replace(
        LIST,
        1,
        "pub const DRAFT: bool = true;",
        "pub const DRAFT: bool = false;",
    );
}

/// Makes ABI 1.2 of a tree: one more field at the end of every table that may grow. Answers the
/// names of these tables.
///
/// A field `grown` is null where its maker is of 1.1, or where it is not this table's turn (the tree's
/// `grow::GROWN`); a host of the tree that takes its turn says a size with it, and no other.
///
/// # Panics
///
/// When the tables no longer look as they did.
pub fn grow(files: &mut Files) -> Vec<String> {
    let mut names = Vec::new();
    files.edit(GROW, |text| {
        for line in text.lines().map(str::trim) {
            // `    FfiError / FfiError_Prefix . release;`
            if let Some((name, rest)) = line.split_once(" / ")
                && rest.starts_with(&format!("{name}_Prefix . "))
            {
                names.push(name.to_owned());
            }
        }
        text
    });
    assert!(names.len() >= 40, "{names:?}");
    files.edit(TABLES, |text| {
        names.iter().fold(text, |text, name| append(&text, name))
    });
    files.edit(LIST, |text| {
        names.iter().fold(text, |text, name| {
            let (before, after) = split(&text, &format!("\n    {name} {{ "));
            let (fields, rest) = split(after, "; }\n");
            format!("{before}\n    {name} {{ {fields}; 2: grown; }}\n{rest}")
        })
    });
    files.replace(
        LIST,
        1,
        "Version { major: 1, minor: 1 };",
        "Version { major: 1, minor: 2 };",
    );
    files.replace(
        LIST,
        1,
        "    include_str!(\"../../golden/abi-1.1.json\"),\n",
        "    include_str!(\"../../golden/abi-1.1.json\"),\n    include_str!(\"../../golden/abi-1.2.json\"),\n",
    );
    files.replace(
        LAYOUT,
        1,
        "VersionStrings::new(\"1.1.0\")",
        "VersionStrings::new(\"1.2.0\")",
    );
    files.replace(
        LAYOUT,
        1,
        "super::list::VERSION.minor == 1",
        "super::list::VERSION.minor == 2",
    );
    let mut golden = String::new();
    files.edit(GOLDEN, |text| {
        golden = names
            .iter()
            .fold(text.clone(), |text, name| append_golden(&text, name));
        text
    });
    files.add("plugin-api/golden/abi-1.2.json", golden);
    freeze(files);
    take_turns(files);
    names
}

/// Adds the field to a table of a golden file: behind the last one, aligned for a pointer.
fn append_golden(text: &str, name: &str) -> String {
    let (before, after) = split(text, &format!("\n  \"{name}\": [\n"));
    let (fields, rest) = split(after, "\n  ]");
    let last = fields.lines().last().expect("a table has fields");
    let number = |what: &str| -> usize {
        let (_, after) = split(last, &format!("\"{what}\": "));
        let digits = after.split(',').next().expect("a number");
        digits.parse().expect("a number")
    };
    let offset = (number("offset") + number("size")).next_multiple_of(8);
    format!(
        "{before}\n  \"{name}\": [\n{fields},\n    {{\"name\": \"grown\", \"offset\": {offset}, \
         \"size\": 8, \"align\": 8, \"since\": 2, \"type\": \"*const c_void\"}}\n  ]{rest}"
    )
}

/// A size that depends on whose turn it is, for the tables that a host of the tree fills.
fn take_turns(files: &mut Files) {
    files.replace(
        GROW,
        1,
        "pub const fn known<T>() -> usize {\n    size_of::<T>()\n}\n",
        "pub fn known<T>() -> usize {\n    \
             let name = core::any::type_name::<T>().rsplit(\"::\").next();\n    \
             match *GROWN.lock().unwrap() {\n        \
                 Some(turn) if Some(turn) != name => size_of::<T>() - size_of::<usize>(),\n        \
                 _ => size_of::<T>(),\n    \
             }\n\
         }\n\n\
         /// The only table that has grown; every one when this is `None`.\n\
         pub static GROWN: std::sync::Mutex<Option<&'static str>> = std::sync::Mutex::new(None);\n",
    );
    files.edit(GROW, |text| {
        let (before, after) = split(&text, "pub const fn empty<T: Grows>() -> T {");
        let (body, rest) = split(after, "\n}\n");
        let body_of_full = body.replace("known::<T>()", "size_of::<T>()");
        assert!(body != body_of_full, "`empty` no longer says what is known");
        format!(
            "{before}pub const fn full<T: Grows>() -> T {{{body_of_full}\n}}\n\n\
             /// As `full`, of the size whose turn it is.\n\
             pub fn empty<T: Grows>() -> T {{{body}\n}}\n{rest}"
        )
    });
    files.replace(
        GROW,
        1,
        "const fn bytes() -> usize {",
        "fn bytes() -> usize {",
    );
    files.replace(
        GROW,
        1,
        "pub const fn new() -> Self {\n        let mut room",
        "pub fn new() -> Self {\n        let mut room",
    );
    // Statics cannot take turns: they have all that there is.
    for (path, place) in [
        (
            "plugin-api/src/abi/stream.rs",
            "drop: Some(once_drop),\n    ..",
        ),
        (
            "plugin-api/src/sdk/source.rs",
            "drop: Some(Self::drop),\n        ..",
        ),
        (
            "plugin-api/src/sdk/ranges.rs",
            "drop: Some(Self::drop),\n        ..",
        ),
        (
            "plugin-api/src/sdk/glue.rs",
            "start_update: claimed!(update),\n        ..",
        ),
    ] {
        let (before, after) = (
            format!("{place}grow::empty()"),
            format!("{place}grow::full()"),
        );
        files.replace(path, 1, &before, &after);
    }
    files.replace(
        "plugin-api/src/sdk/export.rs",
        1,
        "..$crate::abi::grow::empty()",
        "..$crate::abi::grow::full()",
    );
}

/// Adds a field at the end of a struct.
fn append(text: &str, name: &str) -> String {
    let (before, after) = split(text, &format!("\npub struct {name} {{\n"));
    let (fields, rest) = split(after, "\n}\n");
    format!(
        "{before}\npub struct {name} {{\n{fields}\n    \
         /// Since 1.2, in the simulation.\n    pub grown: *const c_void,\n}}\n{rest}"
    )
}

/// Makes a tree lie: a function of the host's services answers another type of the same size, and the
/// golden file, of which the fingerprints are made, says nothing of it.
pub fn retype(files: &mut Files) {
    files.replace(
        TABLES,
        1,
        "pub log_level: Option<unsafe extern \"C\" fn(host: *const c_void) -> u32>,",
        "pub log_level: Option<unsafe extern \"C\" fn(host: *const c_void) -> i32>,",
    );
    files.replace(
        "plugin-api/src/sdk/host.rs",
        1,
        "self.0.log_level.map_or(0, |f| unsafe { f(self.0.host) })",
        "self.0.log_level.map_or(0, |f| unsafe { f(self.0.host) }) as u32",
    );
}

fn split<'a>(text: &'a str, at: &str) -> (&'a str, &'a str) {
    text.split_once(at)
        .unwrap_or_else(|| panic!("there is no {at:?}"))
}
