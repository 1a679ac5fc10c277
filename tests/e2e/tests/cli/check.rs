//! `new` and `check`: the road of an author, and plugins that crash, hang, leak and lie.

use super::workdir::{Ran, Workdir};
use holdall_e2e::artifacts;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The plugin in C with another text in its source, built.
fn edited(workdir: &Workdir, name: &str, edit: impl Fn(&str) -> String) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-api");
    let source = std::fs::read_to_string(root.join("examples/c-plugin/plugin.c")).unwrap();
    let wrong = edit(&source);
    assert_ne!(source, wrong, "{name}: the text to replace is gone");
    let (file, library) = (workdir.path("plugin.c"), workdir.path(name));
    std::fs::write(&file, wrong).unwrap();
    let built = Command::new("gcc")
        .args([
            "-std=c11",
            "-O1",
            "-w",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-pthread",
            "-I",
        ])
        .arg(root.join("include"))
        .arg(&file)
        .arg("-o")
        .arg(&library)
        .status();
    assert!(built.unwrap().success());
    library
}

/// What `check --json` says of one file.
fn checked(workdir: &Workdir, file: &Path, more: &str) -> (i32, Value) {
    let mut command = workdir.command();
    command.args(["check", "--json"]).arg(file);
    let ran = Ran::of(command.args(more.split_whitespace()));
    let answer = ran.text();
    let found = serde_json::from_str(&answer);
    (
        ran.code,
        found.unwrap_or_else(|_| panic!("{answer}{}", ran.err)),
    )
}

fn message<'a>(found: &'a Value, id: &str) -> (&'a str, &'a str) {
    let results = found["kit"]["results"].as_array().unwrap();
    let result = results.iter().find(|one| one["id"] == id).unwrap();
    let text = |field: &str| result[field].as_str().unwrap();
    (text("status"), text("message"))
}

#[test]
fn a_good_plugin_passes_whole() {
    let workdir = Workdir::new();
    let (code, found) = checked(&workdir, artifacts().plugin("memory"), "--junit out.xml");
    let kit = &found["kit"];
    assert_eq!(code, 0, "{kit:#}");
    assert_eq!(found["load"]["outcome"], "loaded");
    assert!(
        kit["counts"]["passed"].as_u64() > Some(130),
        "{}",
        kit["counts"]
    );
    assert_eq!(kit["counts"]["failed"], 0);
    // N-03 looks back on all groups, though each ran in a process of its own.
    assert_eq!(message(&found, "N-03").0, "passed");
    assert_eq!(message(&found, "A-10").0, "passed");
    let needs = |id: &str| {
        let results = kit["results"].as_array().unwrap();
        results.iter().find(|one| one["id"] == id).unwrap()["needs"].clone()
    };
    assert!(needs("C-13").as_str().unwrap().contains("NAME-scoped"));
    let junit = std::fs::read_to_string(workdir.path("out.xml")).unwrap();
    assert!(junit.contains("failures=\"0\" errors=\"0\""), "{junit}");
    assert_eq!(
        junit.matches("<testcase").count(),
        3 + kit["results"].as_array().unwrap().len()
    );
}

#[test]
fn stores_are_those_of_the_configuration() {
    let workdir = Workdir::new();
    workdir.write(
        "check.toml",
        "[backend.x]\nplugin = \"local\"\n[backend.x.config]\nroot = \"{temp}/{store}\"\ndurability = \"none\"\n",
    );
    let local = artifacts().plugin("local");
    let (code, found) = checked(
        &workdir,
        local,
        "--config check.toml --only A-05,C-04,H,N-03",
    );
    assert_eq!(code, 0, "{found:#}");
    workdir.write(
        "check.toml",
        "root = \"one-store\"\ndurability = \"none\"\n",
    );
    let (code, found) = checked(&workdir, local, "--config check.toml --only A-05,H-01");
    assert_eq!(code, 0, "{found:#}");
    assert_eq!(message(&found, "A-05").0, "not_applicable");
    workdir.write("check.toml", "[backend.x]\nplugin = \"memory\"\n");
    let mut command = workdir.command();
    command.args(["check", "--config", "check.toml"]).arg(local);
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, 8);
    assert!(
        ran.err.contains("no backend of the plugin \"local\""),
        "{}",
        ran.err
    );
    assert!(workdir.fails(2, "check x.so --only Z-99").contains("Z-99"));
    assert_eq!(workdir.run(["check"]).code, 2);
}

#[test]
fn what_a_reader_of_the_file_sees_is_said() {
    let workdir = Workdir::new();
    workdir.write("text.so", "#!/bin/sh\n");
    let (code, found) = checked(&workdir, &workdir.path("text.so"), "--level inspect");
    assert_eq!((code, &found["load"]), (8, &Value::Null));
    let poor = edited(&workdir, "poor.so", |source| {
        source
            .replace("Objects in memory: an example in C", "")
            .replace("\\\"license\\\":\\\"MIT OR Apache-2.0\\\",", "\\\"license\\\":\\\"\\\",")
            .replace(
                "\\\"properties\\\":{",
                "\\\"titel\\\":1,\\\"properties\\\":{\\\"mac_key\\\":{\\\"type\\\":\\\"string\\\"},",
            )
    });
    let (code, found) = checked(&workdir, &poor, "--level load");
    let codes: Vec<_> = found["lints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lint| &lint["code"])
        .collect();
    assert_eq!(
        codes,
        [
            "no_summary",
            "no_license",
            "unmarked_secret",
            "unknown_keyword"
        ]
    );
    assert_eq!((code, &found["load"]["outcome"]), (0, &"loaded".into()));
    assert_eq!(checked(&workdir, &poor, "--level load --strict").0, 8);
    workdir.write("libmine.rlib", "");
    let (_, found) = checked(&workdir, &workdir.path("libmine.so"), "");
    assert_eq!(found["lints"][0]["code"], "no_cdylib");
}

/// Puts this at the beginning of `exists`.
fn in_exists(source: &str, what: &str) -> String {
    let (before, rest) = source.split_once("static HoldallStatus exists(").unwrap();
    let rest = rest.replacen("UNUSED(storage, cx, fut);", what, 1);
    format!("{before}static HoldallStatus exists({rest}")
}

#[test]
fn a_crash_and_an_exit_are_results() {
    let workdir = Workdir::new();
    for (name, what, said) in [
        (
            "crash.so",
            "UNUSED(storage, cx, fut); raise(11);",
            "SIGSEGV",
        ),
        (
            "exit.so",
            "UNUSED(storage, cx, fut); _exit(7);",
            "exit code 7",
        ),
    ] {
        let library = edited(&workdir, name, |source| {
            let source = source.replace(
                "#include <pthread.h>",
                "#include <pthread.h>\n#include <signal.h>\n#include <unistd.h>",
            );
            // Each process begins with a look whether stores are shared, which asks for an object too.
            in_exists(
                &source,
                &format!("static int asked; if (asked++ > 0) {{ {what} }}"),
            )
        });
        let (code, found) = checked(&workdir, &library, "--only H-01,I-02,I-05,D-01");
        assert_eq!(code, 8, "{found:#}");
        let results = found["kit"]["results"].as_array().unwrap();
        assert_eq!(results.len(), 4, "each case has a result: {found:#}");
        let (status, why) = message(&found, "I-02");
        assert_eq!(status, "failed");
        assert!(why.contains(said), "{why}");
        assert_eq!(message(&found, "H-01").0, "passed");
    }
}

#[test]
fn a_hang_is_ended_and_the_rest_runs() {
    let workdir = Workdir::new();
    let library = edited(&workdir, "hang.so", |source| {
        let source = source.replace(
            "#include <pthread.h>",
            "#include <pthread.h>\n#include <unistd.h>",
        );
        // On the caller's thread, where no timer of the kit can interrupt it.
        let source = source.replace(
            "HOLDALL_ABI_FLAGS | HOLDALL_FLAG_BLOCKING",
            "HOLDALL_ABI_FLAGS",
        );
        in_exists(
            &source,
            "UNUSED(storage, cx, fut); static int asked; if (asked++ > 0) for (;;) sleep(1);",
        )
    });
    let (code, found) = checked(&workdir, &library, "--only I-02,H-01 --case-seconds 1");
    assert_eq!(code, 8);
    let (status, why) = message(&found, "I-02");
    assert_eq!(status, "failed");
    assert!(why.starts_with("hung:"), "{why}");
    assert_eq!(message(&found, "H-01").0, "passed");
}

#[test]
fn a_leak_and_a_lie_are_named() {
    let workdir = Workdir::new();
    let leaking = edited(&workdir, "leak.so", |source| {
        source.replace("    give_back(object->bytes);\n", "")
    });
    let (code, found) = checked(&workdir, &leaking, "--only A-06");
    assert_eq!(code, 8);
    let (status, why) = message(&found, "A-06");
    assert_eq!(status, "failed");
    assert!(why.contains("resident bytes"), "{why}");
    let lying = edited(&workdir, "lie.so", |source| {
        source.replace(
            "HOLDALL_CAP_EXACT_DELETE)",
            "HOLDALL_CAP_EXACT_DELETE | HOLDALL_CAP_USER_METADATA)",
        )
    });
    let (code, found) = checked(&workdir, &lying, "--only D-10");
    assert_eq!((code, message(&found, "D-10").0), (8, "failed"));
}

/// The project of `new`, built with `build`; answers the library.
fn new_project(workdir: &Workdir, language: &str, build: &[&str], built: &str) -> PathBuf {
    let name = format!("store{language}");
    workdir.ok(&format!("new {name} --language {language}"));
    assert!(
        workdir.fails(4, &format!("new {name}")).contains(&name),
        "it is not written over"
    );
    let folder = workdir.path(&name);
    // The very crates of this workspace, so that nothing is fetched and little is built.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if language == "rust" {
        std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    }
    let made = Command::new(build[0])
        .args(&build[1..])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", root.join("target"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    match language {
        "rust" => root.join("target/debug").join(built),
        _ => folder.join(built),
    }
}

#[test]
fn a_new_project_builds_and_passes() {
    let workdir = Workdir::new();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    for (language, build, built) in [
        (
            "rust",
            &[&*cargo, "build", "--offline"][..],
            "libstorerust.so",
        ),
        ("c", &["make"], "build/libstorec.so"),
        ("cpp", &["make"], "build/libstorecpp.so"),
    ] {
        let library = new_project(&workdir, language, build, built);
        let config = workdir.path(&format!("store{language}/check.toml"));
        let (code, found) = checked(
            &workdir,
            &library,
            &format!("--config {}", config.display()),
        );
        let failed: Vec<_> = found["kit"]["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| !["passed", "not_applicable"].contains(&one["status"].as_str().unwrap()))
            .collect();
        assert_eq!(
            code, 0,
            "{language}: {failed:#?} {:#}",
            found["inspect"]["faults"]
        );
        assert_eq!(
            found["inspect"]["about"]["name"],
            format!("store{language}")
        );
    }
}
