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
    compile(out_dir, &["-O2"])
}

/// As [`build`], with the hooks of `HOLDALL_TEST`: operations on a key `sleep-N...` block for N
/// milliseconds, `exists` of `pending-N...` answers later, and the message of `health` counts what is
/// allocated.
///
/// # Panics
///
/// As [`build`].
pub fn build_with_hooks(out_dir: &Path) -> PathBuf {
    compile(out_dir, &["-O1", "-g", "-DHOLDALL_TEST"])
}

/// As [`build_with_hooks`], of a library that is not thread-safe: its descriptor says so, and the
/// message of `health` counts how many threads were inside at most.
///
/// # Panics
///
/// As [`build`].
pub fn build_alone(out_dir: &Path) -> PathBuf {
    let hooks = ["-O1", "-g", "-DHOLDALL_TEST", "-DHOLDALL_ALONE"];
    compile(out_dir, &hooks)
}

fn compile(out_dir: &Path, flags: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = out_dir.join(format!("libholdall_plugin_{NAME}.so"));
    let compiled = Command::new("gcc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-pthread",
        ])
        .args(flags)
        .arg("-I")
        .arg(here.join("../../plugin-api/include"))
        .arg(here.join("plugin.c"))
        .arg("-o")
        .arg(&library)
        .output();
    let output = match compiled {
        Ok(output) => output,
        Err(cause) => panic!("gcc is needed to compile the plugin in C: {cause}"),
    };
    assert!(
        output.status.success(),
        "gcc refused plugin.c:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
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
