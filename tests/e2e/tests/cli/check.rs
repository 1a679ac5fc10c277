//! `new` and `check`: the road of an author, and plugins that crash, hang, leak and lie.

use super::workdir::{Ran, Workdir};
use holdall::fault::Code;
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
        // For the files that it includes.
        .arg("-I")
        .arg(root.join("examples/c-plugin"))
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
    workdir.write(
        "check.toml",
        "[backend.x]\nplugin = \"local\"\n[backend.x-at]\nplugin = \"local\"\ndialect = \"s4\"\n",
    );
    let mut command = workdir.command();
    command.args(["check", "--config", "check.toml"]).arg(local);
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, 8);
    assert!(ran.err.contains("plain, s3, azure"), "{}", ran.err);
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

fn with_sleep(source: &str) -> String {
    source.replace(
        "#include <pthread.h>",
        "#include <pthread.h>\n#include <unistd.h>",
    )
}

/// Without the flag that moves the plugin's calls into the pool.
fn on_the_callers_thread(source: &str) -> String {
    source.replace(
        "HOLDALL_ABI_FLAGS | HOLDALL_FLAG_BLOCKING",
        "HOLDALL_ABI_FLAGS",
    )
}

/// Mistakes at the handshake: those that the bytes of the file show are found by its reader, the others once
/// it is loaded; both with the fix of their code.
#[test]
fn mistakes_at_the_handshake_are_named_with_their_fix() {
    let workdir = Workdir::new();
    let entry = "__attribute__((visibility(\"default\"))) const HoldallPluginTable *";
    for (stage, code, from, to) in [
        (
            "inspect",
            "entry_missing",
            entry,
            "const HoldallPluginTable *",
        ),
        (
            "inspect",
            "entry_name",
            "HOLDALL_ENTRY_PREFIX NAME \"\\\"",
            "\"\\\"",
        ),
        ("inspect", "no_descriptor", "section(HOLDALL_SECTION), ", ""),
        (
            "inspect",
            "fingerprint_mismatch",
            "    .fingerprints = HOLDALL_FINGERPRINTS,\n",
            "",
        ),
        (
            "inspect",
            "malformed_descriptor",
            "HOLDALL_FINGERPRINT_COUNT,\n               .op",
            "1,\n               .op",
        ),
        (
            "inspect",
            "malformed_descriptor",
            "               .json_len = sizeof JSON - 1,\n",
            "",
        ),
        ("inspect", "required_operation", "HOLDALL_OP_DELETE | ", ""),
        (
            "load",
            "entry_returned_null",
            "return &PLUGIN;",
            "return NULL;",
        ),
        (
            "load",
            "table_malformed",
            "    .size = sizeof PLUGIN,\n",
            "",
        ),
        ("load", "table_malformed", "    .open = open_store,\n", ""),
        ("load", "table_malformed", "    .ops = &OPERATIONS,\n", ""),
        (
            "load",
            "descriptor_lies",
            "DESCRIPTOR.fingerprints + sizeof JSON - 1",
            "DESCRIPTOR.fingerprints",
        ),
        (
            "load",
            "required_operation_null",
            "    .start_delete = delete,\n",
            "",
        ),
        (
            "load",
            "claimed_operation_null",
            "    .start_head = head,\n",
            "",
        ),
        (
            "load",
            "slot_outside_file",
            "    .start_head = head,\n",
            "    .start_head = (void *)abort,\n",
        ),
    ] {
        let library = edited(&workdir, "mistake.so", |source| source.replace(from, to));
        let (exit, found) = checked(&workdir, &library, "--level load");
        assert_eq!(exit, 8, "{code}: {found:#}");
        let known = Code::ALL.iter().find(|known| known.name() == code).unwrap();
        let faults = found["inspect"]["faults"].as_array().unwrap();
        match stage {
            "inspect" => {
                assert_eq!(faults[0]["code"], code, "{from}: {faults:#?}");
                assert!(!faults[0]["fix"].as_str().unwrap().is_empty());
            }
            _ => {
                assert!(faults.is_empty(), "{from}: {faults:#?}");
                let why = found["load"]["why"].as_str().unwrap();
                let said = format!("fix: {}", known.usual_fix());
                assert!(why.contains(code) && why.contains(&said), "{from}: {why}");
            }
        }
    }
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
        // On the caller's thread, where no timer of the kit can interrupt it.
        in_exists(
            &on_the_callers_thread(&with_sleep(source)),
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

#[test]
fn a_call_that_blocks_is_named() {
    let workdir = Workdir::new();
    let library = edited(&workdir, "blocks.so", |source| {
        let source = on_the_callers_thread(&with_sleep(source));
        in_exists(&source, "UNUSED(storage, cx, fut); usleep(80000);")
    });
    let (code, found) = checked(&workdir, &library, "--only I");
    assert_eq!(code, 0, "{found:#}");
    let lint = &found["lints"][0];
    assert_eq!(lint["code"], "blocks", "{}", found["lints"]);
    assert!(
        lint["found"].as_str().unwrap().contains("exists ("),
        "{lint}"
    );
    let blocking = edited(&workdir, "said.so", |source| {
        in_exists(
            &with_sleep(source),
            "UNUSED(storage, cx, fut); usleep(80000);",
        )
    });
    let (_, found) = checked(&workdir, &blocking, "--only I");
    assert_eq!(found["lints"], serde_json::json!([]));
}

#[test]
fn an_operation_that_is_filled_and_not_claimed_is_named() {
    let workdir = Workdir::new();
    let library = edited(&workdir, "unclaimed.so", |source| {
        source.replace(
            "HOLDALL_OP_SIGNED_URL | HOLDALL_OP_HEAD |",
            "HOLDALL_OP_SIGNED_URL |",
        )
    });
    let (code, found) = checked(&workdir, &library, "--only A-11");
    let (status, why) = message(&found, "A-11");
    assert_eq!((code, status), (8, "failed"), "{why}");
    assert!(why.contains("the slot of `head` is filled"), "{why}");
}

/// `new`, build, `check` and `dist`, for Rust, C and C++; CI has no other run of this script.
#[test]
fn the_road_of_an_author() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ran = Command::new(root.join("scripts/author-road"))
        .arg("--short")
        .env("HOLDALL", artifacts().holdall())
        .env_remove("HOLDALL_PLUGIN_DIR")
        .env_remove("HOLDALL_CONFIG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let why = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}{why}");
    let passed: Vec<_> = said
        .lines()
        .filter(|line| line.contains(" 0 failed"))
        .collect();
    assert_eq!(passed.len(), 3, "{said}");
}

/// The whole, a build for each mistake, is `scripts/author-mistakes`.
#[test]
fn the_mistakes_of_an_author_can_be_made_in_a_new_project() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ran = Command::new(root.join("scripts/author-mistakes"))
        .arg("--list")
        .env("HOLDALL", artifacts().holdall())
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(String::from_utf8_lossy(&ran.stdout).lines().count() > 15);
}

#[test]
fn a_project_is_not_written_over() {
    let workdir = Workdir::new();
    workdir.ok("new store --language c");
    assert!(workdir.fails(4, "new store").contains("store"));
}
