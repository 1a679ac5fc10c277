//! A host and a plugin of different minors meet, each built from its own tables; in both directions,
//! through the real loader, with real files.

use holdall_abi_tests::{Tree, cargo, freeze, grow, retype, root, run};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The tree of today, its newest minor taken for frozen.
fn now() -> &'static Tree {
    static NOW: OnceLock<Tree> = OnceLock::new();
    NOW.get_or_init(|| Tree::copy("now", freeze))
}

/// The tree of the next minor. Its end-to-end tests build what they need, and that is little here.
fn next() -> &'static Tree {
    static NEXT: OnceLock<Tree> = OnceLock::new();
    NEXT.get_or_init(|| {
        Tree::copy("next", |files| {
            let grown = grow(files);
            assert!(grown.iter().any(|name| name == "FfiEntry"), "items too");
            let turns = include_str!("../simulated/turns.rs");
            files.add("tests/e2e/tests/turns.rs", turns);
            files.edit("tests/e2e/src/lib.rs", |text| {
                let (before, after) = text
                    .split_once("const PACKAGES: &[&str] = &[")
                    .expect("a list");
                let (_, rest) = after.split_once("];").expect("its end");
                format!("{before}const PACKAGES: &[&str] = &[\"holdall-plugin-memory\"];{rest}")
            });
        })
    })
}

/// The `memory` plugin as it is today.
fn old_plugin() -> &'static Path {
    static OLD: OnceLock<std::path::PathBuf> = OnceLock::new();
    OLD.get_or_init(|| now().library("holdall-plugin-memory"))
}

/// Cargo builds one thing at a time; who waits for it should not look like a test that hangs.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs the kit of a tree on the Rust type, linked in, and on this file, which must agree.
fn kit(mut cargo: Command, file: &Path) {
    let test = ["test", "-p", "holdall-e2e", "--test", "kit"];
    let said = run(cargo
        .args(test)
        .args(["--", "--exact", "memory_at_every_level", "--nocapture"])
        .env("HOLDALL_TEST_PLUGIN_MEMORY", file));
    print!("{said}");
    assert!(said.contains("test memory_at_every_level ... ok"), "{said}");
    assert!(
        said.contains(&file.display().to_string()),
        "another file was loaded"
    );
}

#[test]
fn a_host_of_today_takes_a_plugin_of_the_next_minor() {
    let _one = ONE_AT_A_TIME.lock();
    let plugin = next().library("holdall-plugin-memory");
    kit(now().cargo(), &plugin);
}

#[test]
fn a_host_of_the_next_minor_takes_a_plugin_of_today() {
    let _one = ONE_AT_A_TIME.lock();
    kit(next().cargo(), old_plugin());
}

#[test]
fn a_host_of_the_next_minor_takes_a_plugin_of_today_whichever_table_has_grown() {
    let _one = ONE_AT_A_TIME.lock();
    let said = run(next()
        .cargo()
        .args([
            "test",
            "-p",
            "holdall-e2e",
            "--test",
            "turns",
            "--",
            "--nocapture",
        ])
        .env("HOLDALL_OLD_PLUGIN", old_plugin()));
    print!("{said}");
    assert!(said.contains("test each_table_in_turn ... ok"), "{said}");
}

/// Its fingerprints are forged: the file looks as if its tables were ours.
#[test]
fn another_type_of_the_same_size_is_refused_by_the_name_of_its_field() {
    let _one = ONE_AT_A_TIME.lock();
    let plugin = Tree::copy("retyped", retype).library("holdall-plugin-memory");
    run(cargo(&root()).args(["build", "--quiet", "-p", "holdall-cli"]));
    let loaded = Command::new(root().join("target/debug/holdall"))
        .arg("--plugin-dir")
        .arg(plugin.parent().expect("in a folder"))
        .args(["--json", "plugins", "--load"])
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&loaded.stdout);
    assert!(!loaded.status.success(), "{said}");
    assert!(said.contains("layout_mismatch"), "{said}");
    assert!(
        said.contains("services.log_level"),
        "the field is not named: {said}"
    );
    assert!(!said.contains("fingerprint_mismatch"), "{said}");
}
