//! `new`: a project for a plugin that builds, passes `check`, and marks the lines to change.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};

/// Writes a project for a new plugin: sources, schema, tests, CI, page for operators.
///
/// It builds and passes `holdall check` as it stands; lines to change are marked with CHANGE.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Name of the plugin and of the directory: a-z, 0-9 and "-", a letter first.
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,

    /// Language of the plugin.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,

    /// Where the Rust project finds Holdall: a checkout.
    #[arg(long, value_name = "DIR", group = "source")]
    path: Option<PathBuf>,

    /// Where the Rust project finds Holdall: a repository.
    #[arg(long, value_name = "URL", group = "source")]
    git: Option<String>,

    /// Where the Rust project finds Holdall: a release on crates.io. Default: the checkout that this command was
    /// built in, if it is there, else this version.
    #[arg(long, value_name = "VERSION", group = "source")]
    version: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    C,
    Cpp,
}

fn name(text: &str) -> Result<String, String> {
    let is_one = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 63
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    match is_one {
        true => Ok(text.to_owned()),
        false => Err("a name of 1 to 63 characters: a-z, 0-9 and \"-\", a letter first".to_owned()),
    }
}

/// A file of a template: its path in the project, its text.
type File = (&'static str, &'static str);

macro_rules! template {
    ($($path:literal = $file:literal,)+) => {
        &[$(($path, include_str!(concat!("../../templates/", $file))),)+]
    };
}

const RUST: &[File] = template! {
    "Cargo.toml" = "rust/Cargo.toml.txt",
    "src/lib.rs" = "rust/lib.rs.txt",
    "config.schema.json" = "rust/config.schema.json.txt",
    "tests/conformance.rs" = "rust/conformance.rs.txt",
    "check.toml" = "rust/check.toml.txt",
    "scripts/dist" = "rust/dist.txt",
    "README.md" = "rust/README.md.txt",
    ".github/workflows/ci.yml" = "rust/ci.yml.txt",
    ".gitignore" = "rust/gitignore.txt",
};

const C: &[File] = template! {
    "plugin.c" = "c/plugin.c",
    "parts.c" = "c/parts.c",
    "ranges.c" = "c/ranges.c",
    "holdall.h" = "c/holdall.h",
    "Makefile" = "c/Makefile.txt",
    "check.toml" = "c/check.toml.txt",
    "README.md" = "c/README.md.txt",
    ".github/workflows/ci.yml" = "c/ci.yml.txt",
    ".gitignore" = "c/gitignore.txt",
};

const CPP: &[File] = template! {
    "plugin.cpp" = "cpp/plugin.cpp",
    "holdall.h" = "c/holdall.h",
    "Makefile" = "cpp/Makefile.txt",
    "check.toml" = "cpp/check.toml.txt",
    "README.md" = "cpp/README.md.txt",
    ".github/workflows/ci.yml" = "cpp/ci.yml.txt",
    ".gitignore" = "cpp/gitignore.txt",
};

/// Where the crates of Holdall are.
enum Source {
    Path(PathBuf),
    Git(String),
    Version(String),
}

impl Source {
    /// The line of a dependency.
    fn of(&self, folder: &str) -> String {
        match self {
            // TOML and Rust write such texts the same way.
            Source::Path(root) => format!("path = {:?}", root.join(folder).display().to_string()),
            Source::Git(url) => format!("git = {url:?}"),
            Source::Version(version) => format!("version = {version:?}"),
        }
    }

    /// Arguments of `cargo install` in the project's CI.
    fn install(&self) -> String {
        match self {
            // A path of this machine is of no use there.
            Source::Path(_) => format!("--git {}", env!("CARGO_PKG_REPOSITORY")),
            Source::Git(url) => format!("--git {url}"),
            Source::Version(version) => format!("--version {version}"),
        }
    }
}

impl New {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        if self.language != Language::Rust && self.name.contains('-') {
            return Err(Failure::usage(
                "the name is part of a symbol, which in C has no \"-\": choose one without",
            ));
        }
        let folder = PathBuf::from(&self.name);
        std::fs::create_dir(&folder).map_err(Failure::file("create", &folder))?;
        let source = self.source()?;
        let files = match self.language {
            Language::Rust => RUST,
            Language::C => C,
            Language::Cpp => CPP,
        };
        for (path, text) in files {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent).map_err(Failure::file("create", parent))?;
            }
            let text = filled(text, &self.name, &source);
            std::fs::write(&file, text).map_err(Failure::file("write", &file))?;
            if path.starts_with("scripts/") {
                executable(&file).map_err(Failure::file("make executable", &file))?;
            }
        }
        let lib = self.name.replace('-', "_");
        let (build, built) = match self.language {
            Language::Rust => ("cargo build", format!("target/debug/lib{lib}.so")),
            Language::C | Language::Cpp => ("make", format!("build/lib{lib}.so")),
        };
        let record = json!({
            "folder": self.name,
            "files": files.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            "build": build,
            "built": built,
        });
        let name = &self.name;
        app.output.confirm(&record, || {
            format!("{name}: a plugin that works\n  cd {name} && {build}\n  holdall check {built}\n  grep -rn CHANGE .")
        })
    }

    fn source(&self) -> Result<Source> {
        if let Some(path) = &self.path {
            let root = path.canonicalize().map_err(Failure::file("find", path))?;
            if !is_checkout(&root) {
                return Err(Failure::refused(
                    exit::USAGE,
                    "usage",
                    format!("{} is no checkout of Holdall", path.display()),
                    "name the directory that holds plugin-api/Cargo.toml",
                ));
            }
            return Ok(Source::Path(root));
        }
        if let Some(url) = &self.git {
            return Ok(Source::Git(url.clone()));
        }
        if let Some(version) = &self.version {
            return Ok(Source::Version(version.clone()));
        }
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Ok(match built_in.canonicalize() {
            Ok(root) if is_checkout(&root) => Source::Path(root),
            _ => Source::Version(env!("CARGO_PKG_VERSION").to_owned()),
        })
    }
}

fn is_checkout(root: &Path) -> bool {
    root.join("plugin-api/conformance/Cargo.toml").is_file()
}

#[cfg(unix)]
fn executable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn filled(text: &str, name: &str, source: &Source) -> String {
    let lib = name.replace('-', "_");
    let words = lib.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    let remap = match source {
        Source::Path(root) => format!(" --remap-path-prefix={}=holdall", root.display()),
        Source::Git(_) | Source::Version(_) => String::new(),
    };
    let text = without_hooks(text);
    // The examples of the repository have names of their own.
    text.replace("cppmemory", name)
        .replace("cmemory", name)
        .replace("../../include plugin.cpp", ". plugin.cpp")
        .replace("plugin-api/include plugin.c", ". plugin.c")
        .replace("{{name}}", name)
        .replace("{{lib}}", &lib)
        .replace("{{type}}", &words.collect::<String>())
        .replace("{{dependency}}", &source.of("plugin-api"))
        .replace("{{kit}}", &source.of("plugin-api/conformance"))
        .replace("{{install}}", &source.install())
        .replace("{{remap}}", &remap)
}

/// The example in C without what the tests of this repository add to it.
fn without_hooks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    // Inside `#ifdef HOLDALL_TEST`, and in the part of it that stays.
    let (mut inside, mut dropped) = (false, false);
    for line in text.lines() {
        let of_hooks = match line.trim() {
            "#ifdef HOLDALL_TEST" => {
                (inside, dropped) = (true, true);
                true
            }
            "#else" if inside => {
                dropped = false;
                true
            }
            "#endif" if inside => {
                (inside, dropped) = (false, false);
                true
            }
            line => line.starts_with("hook(") || line.starts_with("#define hook("),
        };
        if !of_hooks && !dropped {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_plugins_and_of_crates() {
        for good in ["a", "my-store", "s3"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "3s", "A", "a_b", "ä"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_placeholder_and_no_hook_is_left() {
        for files in [RUST, C, CPP] {
            for (path, text) in files {
                let text = filled(text, "my-store", &Source::Version("0.1.0".to_owned()));
                // C++ has doubled braces of its own; a placeholder has a word in them.
                let placeholder = text.split("{{").skip(1).any(|rest| {
                    rest.split_once("}}")
                        .is_some_and(|(word, _)| word.bytes().all(|byte| byte.is_ascii_lowercase()))
                        && !rest.starts_with("}}")
                });
                assert!(!placeholder, "{path}: {text}");
                for word in ["HOLDALL_TEST", "hook(", "cmemory", "cppmemory"] {
                    assert!(!text.contains(word), "{path}: {word}");
                }
            }
        }
    }
}
