//! The tables of tomorrow, simulated: copies of this repository with other tables, built apart.
//!
//! Nothing of the simulation is in the product: the files are copied as they lie here, the copy's
//! tables are edited as the author of the next minor would edit them, and it is built in a target
//! folder of its own (`target/evolution`). What does not compile there shows which code a new field
//! touches.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod edit;

pub use edit::{freeze, grow, retype};

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().expect("the repository is here")
}

/// A copy of the repository.
#[derive(Debug)]
pub struct Tree {
    /// Where it lies.
    pub root: PathBuf,
}

impl Tree {
    /// Copies the repository. Files that did not change keep their times, so that little is built
    /// again.
    ///
    /// # Panics
    ///
    /// When git or the disk fails; with two trees of one name at once.
    pub fn copy(name: &str, edit: impl FnOnce(&mut Files)) -> Self {
        let from = root();
        let listed = run(Command::new("git")
            .args(["ls-files", "-co", "--exclude-standard"])
            .current_dir(&from));
        let mut files = Files::default();
        for path in listed.lines().map(PathBuf::from) {
            // Gone in the work tree, or of the workspaces that are apart.
            let apart = path.starts_with("tests/abi") || path.starts_with("tests/fuzz/libfuzzer");
            if !apart && let Ok(bytes) = fs::read(from.join(&path)) {
                files.0.push((path, bytes));
            }
        }
        edit(&mut files);
        let tree = Self {
            root: from.join("target/evolution").join(name),
        };
        tree.write(&files);
        tree
    }

    fn write(&self, files: &Files) {
        let wanted: BTreeSet<_> = files.0.iter().map(|(path, _)| path.clone()).collect();
        let mut before = Vec::new();
        walk(&self.root, &mut before);
        for old in before {
            let path = old.strip_prefix(&self.root).expect("inside");
            if !wanted.contains(path) {
                fs::remove_file(&old).expect("an old file can be removed");
            }
        }
        for (path, bytes) in &files.0 {
            let path = self.root.join(path);
            if fs::read(&path).is_ok_and(|old| old == *bytes) {
                continue;
            }
            let folder = path.parent().expect("a file lies in a folder");
            fs::create_dir_all(folder).expect("a folder can be made");
            fs::write(&path, bytes).expect("a file can be written");
        }
    }

    /// Builds the library of a package, and keeps it apart from that of other trees.
    ///
    /// # Panics
    ///
    /// When it does not compile.
    pub fn library(&self, package: &str) -> PathBuf {
        library(&self.root, package)
    }

    /// Cargo in this tree.
    pub fn cargo(&self) -> Command {
        cargo(&self.root)
    }
}

/// Builds the library of a package of the repository at `root`.
///
/// # Panics
///
/// When it does not compile.
pub fn library(root: &Path, package: &str) -> PathBuf {
    run(cargo(root).args(["build", "--quiet", "-p", package, "--lib"]));
    let file = format!("lib{}.so", package.replace('-', "_"));
    let name = root.file_name().expect("a tree has a name");
    let kept = self::root().join("target/evolution/files").join(name);
    fs::create_dir_all(&kept).expect("a folder can be made");
    let (built, kept) = (target(root).join("debug").join(&file), kept.join(&file));
    fs::copy(&built, &kept).expect("the library was built");
    // Twenty megabytes of it tell debuggers where its lines are, and forty copies get mapped.
    run(Command::new("strip").arg(&kept));
    kept
}

/// The trees share one target folder; the repository has its own.
fn target(tree: &Path) -> PathBuf {
    if tree == root() {
        tree.join("target")
    } else {
        root().join("target/evolution/build")
    }
}

/// Cargo in the tree at `root`.
pub fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root)
        .env("CARGO_TARGET_DIR", target(root));
    // What cargo tells its child about this package is not about that tree.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command that must succeed; answers what it printed.
///
/// # Panics
///
/// When it fails, with what it said.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// The files of a tree, before they are written.
#[derive(Debug, Default)]
pub struct Files(Vec<(PathBuf, Vec<u8>)>);

impl Files {
    /// Changes the text of a file.
    ///
    /// # Panics
    ///
    /// When there is no such text file.
    pub fn edit(&mut self, path: &str, change: impl FnOnce(String) -> String) {
        let file = self
            .0
            .iter_mut()
            .find(|(known, _)| known == Path::new(path));
        let (_, bytes) = file.unwrap_or_else(|| panic!("there is no {path}"));
        let text = String::from_utf8(std::mem::take(bytes)).expect("a text");
        *bytes = change(text).into_bytes();
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, text: impl Into<Vec<u8>>) {
        self.0.push((PathBuf::from(path), text.into()));
    }

    /// Replaces a piece of a file, which must be there that often.
    ///
    /// # Panics
    ///
    /// When it is not: the product has changed, and the simulation has to follow.
    pub fn replace(&mut self, path: &str, times: usize, before: &str, after: &str) {
        self.edit(path, |text| {
            let found = text.matches(before).count();
            assert_eq!(found, times, "{path}: {before:?}");
            text.replace(before, after)
        });
    }
}
