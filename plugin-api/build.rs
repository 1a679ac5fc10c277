//! Records the compiler and the target, which a plugin's descriptor names.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version
        .ok()
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .unwrap_or_default();
    println!("cargo::rustc-env=HOLDALL_RUSTC={}", version.trim());
    println!(
        "cargo::rustc-env=HOLDALL_TARGET={}",
        std::env::var("TARGET").unwrap_or_default()
    );
}
