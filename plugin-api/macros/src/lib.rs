#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use proc_macro::{TokenStream, TokenTree};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Includes the text of a schema beside `Cargo.toml`.
///
/// A file that does not exist is an error that says how it is written. While `HOLDALL_UPDATE` is set it begins as
/// `{}`, so that the test of `export_plugin!` compiles, which writes the schema.
#[proc_macro]
pub fn config_schema(name: TokenStream) -> TokenStream {
    let name = literal(name);
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let update = std::env::var_os("HOLDALL_UPDATE").is_some();
    let text = match ensure(Path::new(&folder), &name, update) {
        Ok(()) => format!(
            "::core::include_str!(::core::concat!(::core::env!(\"CARGO_MANIFEST_DIR\"), \"/\", {name}))"
        ),
        Err(problem) => format!("::core::compile_error!({problem:?})"),
    };
    text.parse().unwrap_or_default()
}

/// The text of the literal, which a declarative macro hands on in a group.
fn literal(tokens: TokenStream) -> String {
    match tokens.into_iter().next() {
        Some(TokenTree::Group(group)) => literal(group.stream()),
        Some(token) => token.to_string(),
        None => String::new(),
    }
}

/// Fails when the file does not exist, or makes it.
fn ensure(folder: &Path, literal: &str, update: bool) -> Result<(), String> {
    let plain = literal
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .filter(|text| !text.contains('\\'));
    // The compiler judges any other literal.
    let Some(name) = plain else {
        return Ok(());
    };
    let path = folder.join(name);
    if path.exists() {
        return Ok(());
    }
    if !update {
        return Err(format!(
            "{name} does not exist beside Cargo.toml; run `HOLDALL_UPDATE=1 cargo test` to write it from the \
             configuration type"
        ));
    }
    // The library and its tests are compiled at once.
    match File::create_new(&path) {
        Ok(mut file) => file.write_all(b"{}\n"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_schema_that_does_not_exist_is_begun_on_request() {
        let folder = std::env::temp_dir().join(format!("holdall-schema-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("config.schema.json");
        let ensure = |update| ensure(&folder, "\"config.schema.json\"", update);

        let problem = ensure(false).unwrap_err();
        assert!(problem.contains("config.schema.json does not exist"));
        assert!(problem.contains("HOLDALL_UPDATE=1 cargo test"));
        assert!(!path.exists());

        ensure(true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
        fs::write(&path, "{\"type\": \"object\"}").unwrap();
        ensure(true).unwrap();
        ensure(false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"type\": \"object\"}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let folder = std::env::temp_dir().join("holdall-no-such-folder");
        let problem = ensure(&folder, "\"config.schema.json\"", true).unwrap_err();
        assert!(problem.contains("holdall-no-such-folder"), "{problem}");
        assert_eq!(ensure(&folder, "7", true), Ok(()));
    }
}
