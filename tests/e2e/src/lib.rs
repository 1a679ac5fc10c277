//! What the end-to-end tests stand on: the built files that they run ([`artifacts`]), and the stages
//! on which the conformance kit meets the host ([`kit`]).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "for tests; a panic is the report")]

pub mod kit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Packages whose built files the tests run.
const PACKAGES: &[&str] = &[
    "holdall-cli",
    "holdall-plugin-local",
    "holdall-plugin-memory",
    "holdall-misbehaving",
    "holdall-bench-plugin",
];

/// Files that `cargo build` made.
#[derive(Debug)]
pub struct Artifacts {
    files: BTreeMap<String, PathBuf>,
}

impl Artifacts {
    /// The `holdall` command.
    pub fn holdall(&self) -> &Path {
        self.file("holdall")
    }

    /// The library of `plugins/NAME`; or the one that `HOLDALL_TEST_PLUGIN_NAME` says, built elsewhere: by
    /// another compiler, or against tables of another minor.
    pub fn plugin(&self, name: &str) -> &Path {
        self.file(&format!("libholdall_plugin_{name}.so"))
    }

    /// The library that misbehaves on demand.
    pub fn misbehaving(&self) -> &Path {
        self.file("libholdall_misbehaving.so")
    }

    /// The library that counts what is allocated on its side.
    pub fn counting(&self) -> &Path {
        self.file("libholdall_bench_plugin.so")
    }

    fn file(&self, name: &str) -> &Path {
        match self.files.get(name) {
            Some(path) => path,
            None => panic!(
                "cargo build made no {name}; it made {:?}",
                self.files.keys()
            ),
        }
    }

    /// A folder that holds these libraries, as an operator would drop them in.
    pub fn folder_of<'a>(&self, libraries: impl IntoIterator<Item = &'a Path>, folder: &Path) {
        for library in libraries {
            let name = library.file_name().unwrap_or_default();
            let to = folder.join(name);
            // Not writable for the group, whatever umask the build had: a server refuses that.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            let copied = std::fs::copy(library, &to);
            if let Err(cause) = copied.and_then(|_| std::fs::set_permissions(&to, mode)) {
                panic!("{}: {cause}", library.display());
            }
        }
    }
}

/// Cargo at the root of the workspace, without what the cargo around this test has told it of its own package:
/// build scripts such as that of `ring` depend on these variables, and all above them would be built again.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    for (name, _) in std::env::vars_os() {
        let of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        let name = name.to_string_lossy();
        if of_package.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(&*name);
        }
    }
    cargo
}

/// Builds what the tests run, once per process; a no-op when it is current.
pub fn artifacts() -> &'static Artifacts {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS.get_or_init(|| Artifacts::selected(PACKAGES))
}

impl Artifacts {
    /// Builds these packages alone, with the features that they have when they are shipped.
    ///
    /// # Panics
    ///
    /// When `cargo build` fails.
    pub fn build(packages: &[&str]) -> Self {
        Self::of(packages.iter().flat_map(|package| ["-p", package]))
    }

    /// These packages, of the selection of scripts/test where that runs the tests. With another one cargo resolves other
    /// features of common dependencies, and compiles them and all above them a second time.
    ///
    /// # Panics
    ///
    /// When `cargo build` fails.
    pub fn selected(packages: &[&str]) -> Self {
        match std::env::var("HOLDALL_TEST_SELECTION") {
            Ok(selection) => Self::of(selection.split(' ')),
            Err(_) => Self::build(packages),
        }
    }

    fn of<'a>(selection: impl Iterator<Item = &'a str>) -> Self {
        let built = cargo()
            .args(["build", "--locked", "--message-format=json", "--quiet"])
            .args(selection)
            .output();
        let built = match built {
            Ok(built) if built.status.success() => built,
            Ok(built) => panic!("cargo build: {}", String::from_utf8_lossy(&built.stderr)),
            Err(cause) => panic!("cargo build: {cause}"),
        };
        let mut files = BTreeMap::new();
        for line in String::from_utf8_lossy(&built.stdout).lines() {
            let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let outputs = message["filenames"].as_array().into_iter().flatten();
            for path in outputs.filter_map(|path| path.as_str()).map(PathBuf::from) {
                if let Some(name) = path.file_name() {
                    files.insert(name.to_string_lossy().into_owned(), path);
                }
            }
        }
        for (file, path) in &mut files {
            let name = file.strip_prefix("libholdall_plugin_");
            if let Some(name) = name.and_then(|name| name.strip_suffix(".so"))
                && let Some(elsewhere) =
                    std::env::var_os(format!("HOLDALL_TEST_PLUGIN_{}", name.to_uppercase()))
            {
                *path = PathBuf::from(elsewhere);
                println!("{name}: {}", path.display());
            }
        }
        Self { files }
    }
}
