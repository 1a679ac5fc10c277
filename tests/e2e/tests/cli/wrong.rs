//! Bad input at every door: one clear error, the documented code, nothing lost.

use super::desk::{Desk, Ran, plugins};

#[test]
fn a_wrong_command_line_is_usage() {
    let desk = Desk::new();
    desk.write("in", "x");
    for line in [
        "frobnicate",
        "put in",
        "put in local:a extra",
        "put in no-colon",
        "put in Bad:a",
        "get local:",
        "head local:",
        "exists local:",
        "cp local:a",
        "cp local: other:",
        "rm",
        "ls local:x --limit many",
        "get local:a --jobs 0",
        "get local:a -r --range 0-1",
        "put in local:a -m novalue",
        "put in local:a --sha256 abc",
        "put in local:a --follow",
        "put in local:a --durability maybe",
        "put - local:",
        "completions klingon",
        "ls local: -q -v",
    ] {
        desk.fails(2, line);
        let told = desk.fails_json(2, line);
        assert_eq!(told["code"], "usage", "{line}");
        assert!(!told["message"].as_str().unwrap().is_empty(), "{line}");
    }
    let ran = desk.run([]);
    assert_eq!((ran.code, ran.out.len()), (2, 0));
    assert!(ran.err.contains("Usage: holdall"), "{}", ran.err);
    assert!(
        desk.fails(2, "ls local")
            .contains("did you mean local: or local:local?")
    );
}

#[test]
fn bad_keys_are_bad_input_and_reach_nothing() {
    let desk = Desk::new();
    desk.write("in", "x");
    desk.write("secret", "mine");
    let long = format!("local:{}", "k/".repeat(600) + "k");
    let keys = [
        "local:../secret",
        "local:a/../../secret",
        "local:/etc/passwd",
        "local:a//b",
        "local:a/./b",
        "local: a",
        "local:a ",
        "local:a\\b",
        "local:a\nb",
        "local:a\u{7f}",
        long.as_str(),
    ];
    for (index, to) in keys.into_iter().enumerate() {
        let doors: [&[&str]; 8] = [
            &["put", "in", to],
            &["get", to, "out"],
            &["rm", to],
            &["head", to],
            &["exists", to],
            &["cp", "local:x", to],
            &["cp", to, "local:x"],
            &["sign", to],
        ];
        // Every door with one of them, those that touch files with all.
        let count = if index == 0 { doors.len() } else { 2 };
        for args in &doors[..count] {
            // The source of a copy is not there; which of the two is told first is open.
            let codes: &[i32] = if args[1] == "local:x" { &[5, 3] } else { &[5] };
            let ran = desk.run(args.iter().copied());
            assert!(
                codes.contains(&ran.code),
                "{args:?}: {} {}",
                ran.code,
                ran.err
            );
            assert!(ran.err.starts_with("holdall: "), "{args:?}: {}", ran.err);
        }
    }
    assert_eq!(desk.read("secret"), b"mine");
    assert_eq!(desk.files("data/objects"), [""; 0]);
    assert!(!desk.path("out").exists());
}

#[test]
fn what_is_not_utf8_is_usage() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let ran = Ran::of(
        desk.command()
            .arg("exists")
            .arg(std::ffi::OsStr::from_bytes(b"local:\xff")),
    );
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn files_that_cannot_be_used() {
    let desk = Desk::new();
    let missing = desk.fails_json(5, "put missing local:a");
    assert_eq!(missing["code"], "local_file");
    assert!(
        missing["message"].as_str().unwrap().contains("missing")
            && missing["causes"][0]["code"] == "os error 2"
    );
    std::fs::create_dir(desk.path("folder")).unwrap();
    assert!(desk.fails(5, "put folder local:a").contains("put -r"));
    desk.write("in", "x");
    desk.ok("put in local:a");
    assert!(
        desk.fails(3, "get local:nothing")
            .contains("holdall ls local:")
    );
    desk.fails(3, "head local:nothing");
    desk.fails(4, "put in local:a/b");
    assert_eq!(desk.read("data/objects/a"), b"x", "nothing is lost");
    assert_eq!(
        desk.fails_json(6, "put holdall.toml tiny:a")["code"],
        "quota_exceeded"
    );
}

#[test]
fn errors_are_objects_for_programs() {
    let desk = Desk::new();
    let told = desk.fails_json(3, "get local:no/such.txt");
    for (name, value) in [
        ("code", "file_not_found"),
        ("kind", "FileNotFound"),
        ("family", "FileNotFound"),
        ("retry", "never"),
        ("key", "no/such.txt"),
        ("backend", "local"),
        ("plugin", "local"),
        ("operation", "download"),
    ] {
        assert_eq!(told[name], value, "{name}: {told}");
    }
    assert_eq!(told["status"], 404);
    assert!(told["facts"].is_array() && told["causes"].is_array() && told["help"].is_string());
}

#[test]
fn configurations() {
    let desk = Desk::new();
    let run = |config: &str, args: &[&str]| {
        desk.write("holdall.toml", config);
        desk.run(args.iter().copied())
    };
    let bad = "defualt_backend = \"x\"\n[backend.local]\nplugin = 7\n[backend.Bad]\n";
    let ran = run(bad, &["ls", "local:"]);
    assert_eq!(ran.code, 8);
    for told in [
        "default_backend",
        "backend.local.plugin",
        "backend.Bad",
        "holdall.toml:1:",
        "config_invalid",
    ] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    let ran = run(
        "[backend.local.config]\nroot = 1\nrot = \"x\"\n",
        &["ls", "local:"],
    );
    assert_eq!(ran.code, 8);
    assert!(
        ran.err.contains("root") && ran.err.contains("rot") && ran.err.contains("did you mean"),
        "{}",
        ran.err
    );
    assert!(!desk.path("data").exists());

    desk.fails(8, "ls local: --config missing.toml");
    desk.write("holdall.toml", "not toml at all [");
    assert!(desk.fails(8, "ls local:").contains("holdall.toml"));
    desk.write(
        "holdall.toml",
        "[backend.media.config]\nroot = \"data\"\n[backend.media]\nplugin = \"local\"\n",
    );
    let unknown = desk.fails_json(8, "ls medai:");
    assert_eq!(unknown["code"], "backend_not_registered");
    assert!(
        unknown["facts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|fact| fact["value"] == "media"),
        "{unknown}"
    );
}

#[test]
fn config_check_shows_everything_and_opens_nothing() {
    let desk = Desk::new();
    let right = desk.json("config check");
    assert_eq!(right["problems"], serde_json::json!([]));
    assert_eq!(right["backends"].as_array().unwrap().len(), 3);
    assert!(!desk.path("data").exists());
    desk.write(
        "holdall.toml",
        "[backend.local.config]\nrot = \"data\"\n[backend.two]\nplugin = \"memroy\"\n[gateway]\npublic_url = \"x\"\n",
    );
    let ran = desk.run(["config", "check", "--json"]);
    assert_eq!(ran.code, 8);
    let report: serde_json::Value = serde_json::from_str(&ran.text()).unwrap();
    let problems = report["problems"].as_array().unwrap();
    let paths: Vec<_> = problems
        .iter()
        .map(|problem| problem["path"].as_str().unwrap())
        .collect();
    for path in [
        "backend.local.config.rot",
        "backend.two.plugin",
        "gateway.public_url",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
    let ran = desk.run(["config", "check"]);
    assert!(
        ran.code == 8 && ran.text().contains("did you mean \"memory\""),
        "{}",
        ran.text()
    );
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let desk = Desk::new();
    desk.write("in", "x");
    desk.write("second.toml", "[backend.local.config]\nroot = \"second\"\n");
    desk.ok("put in local:a --config second.toml");
    assert_eq!(desk.files("second/objects"), ["a"]);
    // Without any configuration: `local` under ./data. A file of the right name does not count:
    // it could name plugins, and being in a folder is no act of trust.
    let ran = Ran::of(desk.bare().env("HOLDALL_PLUGIN_DIR", plugins()).args([
        "put",
        "in",
        "local:plain",
    ]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(desk.files("data/objects"), ["plain"]);
    assert_eq!(desk.ok("ls :"), "plain\n", "the default backend");
    // A flag wins over the variable.
    std::fs::create_dir(desk.path("empty")).unwrap();
    let told = desk.fails_json(8, "ls local: --plugin-dir empty");
    assert_eq!(told["code"], "plugin_load");
    assert!(told.to_string().contains("empty"), "{told}");
}

#[test]
fn help_version_manual_and_completions() {
    let desk = Desk::new();
    assert!(desk.ok("--version").starts_with("holdall "));
    let help = desk.ok("--help");
    assert!(help.contains("Exit codes: 0 done"), "{help}");
    for command in [
        "put",
        "get",
        "head",
        "ls",
        "rm",
        "exists",
        "cp",
        "sign",
        "plugins",
        "inspect",
        "config",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command}");
        assert!(
            desk.ok(&format!("{command} --help"))
                .contains("Usage: holdall"),
            "{command}"
        );
    }
    assert!(desk.ok("man").contains(".TH holdall"));
    desk.ok("man pages");
    assert!(desk.files("pages").contains(&"holdall-put.1".to_owned()));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            desk.ok(&format!("completions {shell}")).contains("holdall"),
            "{shell}"
        );
    }
}
