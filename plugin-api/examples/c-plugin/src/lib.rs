//! Compiles the plugin in `plugin.c`: the proof that the boundary is plain C.
//!
//! For tests. `plugin.c` itself is the guide for authors who write in C.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the plugin calls itself.
pub const NAME: &str = "cmemory";

/// Compiles the plugin as its author would ship it; answers the path of the library.
///
/// # Panics
///
/// When gcc is missing or finds anything to say, with what it says.
pub fn build(out_dir: &Path) -> PathBuf {
    compile(out_dir, &include(), &["-O2"])
}

/// As [`build`], against another header than the one of this repository.
///
/// # Panics
///
/// As [`build`].
pub fn build_against(header: &str, out_dir: &Path) -> PathBuf {
    let include = out_dir.join("include");
    let written = std::fs::create_dir_all(&include)
        .and_then(|()| std::fs::write(include.join("holdall.h"), header));
    if let Err(cause) = written {
        panic!("{}: {cause}", include.display());
    }
    compile(out_dir, &include, &["-O0"])
}

/// The header of this repository.
///
/// # Panics
///
/// When it cannot be read.
pub fn header() -> String {
    let path = include().join("holdall.h");
    std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// Compiles the host in `host.c`, which drives a plugin's file with tables of another size than it
/// knows: `host FILE SYMBOL CONFIG CHANGE`.
///
/// # Panics
///
/// As [`build`].
pub fn build_host(out_dir: &Path) -> PathBuf {
    let host = out_dir.join("host");
    gcc(&include(), &["-O1"], "host.c", &host, &["-ldl"]);
    host
}

/// As [`build`], with the hooks of `HOLDALL_TEST`: operations on a key `sleep-N...` block for N
/// milliseconds, those on `scribble` write over the plugin's own tables, `exists` of `pending-N...`
/// answers later, and the message of `health` counts what is allocated.
///
/// # Panics
///
/// As [`build`].
pub fn build_with_hooks(out_dir: &Path) -> PathBuf {
    compile(out_dir, &include(), &["-O1", "-g", "-DHOLDALL_TEST"])
}

/// As [`build_with_hooks`], of a library that is not thread-safe: its descriptor says so, and the
/// message of `health` counts how many threads were inside at most.
///
/// # Panics
///
/// As [`build`].
pub fn build_alone(out_dir: &Path) -> PathBuf {
    let hooks = ["-O1", "-g", "-DHOLDALL_TEST", "-DHOLDALL_ALONE"];
    compile(out_dir, &include(), &hooks)
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include")
}

fn compile(out_dir: &Path, include: &Path, flags: &[&str]) -> PathBuf {
    let library = out_dir.join(format!("libholdall_plugin_{NAME}.so"));
    let shared = ["-shared", "-fPIC", "-fvisibility=hidden", "-pthread"];
    gcc(
        include,
        &[&shared, flags].concat(),
        "plugin.c",
        &library,
        &[],
    );
    library
}

fn gcc(include: &Path, flags: &[&str], source: &str, output: &Path, libraries: &[&str]) {
    let compiled = Command::new("gcc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror"])
        .args(flags)
        .arg("-I")
        .arg(include)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(source))
        .arg("-o")
        .arg(output)
        .args(libraries)
        .output();
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(cause) => panic!("gcc is needed to compile {source}: {cause}"),
    };
    assert!(
        compiled.status.success(),
        "gcc refused {source}:\n{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both variants compile without a warning, and need nothing but the C library.
    #[test]
    fn it_compiles_without_a_warning() {
        let folder = std::env::temp_dir().join(format!("holdall-c-plugin-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let hooks = std::fs::read(build_with_hooks(&folder)).unwrap();
        let shipped = std::fs::read(build(&folder)).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let has =
            |library: &[u8], text: &[u8]| library.windows(text.len()).any(|bytes| bytes == text);
        assert!(has(&shipped, b"HOLDALL\0") && has(&shipped, b"holdall_plugin_v1_cmemory"));
        assert!(
            has(&hooks, b"sleep-") && !has(&shipped, b"sleep-"),
            "hooks are for tests only"
        );
    }
}
