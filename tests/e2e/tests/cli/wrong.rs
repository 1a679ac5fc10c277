//! Bad input at every door: one clear error, the documented code, nothing lost.

use super::workdir::{Ran, Workdir, plugins};

#[test]
fn a_wrong_command_line_is_usage() {
    let workdir = Workdir::new();
    workdir.write("in", "x");
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
        workdir.fails(2, line);
        let told = workdir.fails_json(2, line);
        assert_eq!(told["code"], "usage", "{line}");
        assert!(!told["message"].as_str().unwrap().is_empty(), "{line}");
    }
    let ran = workdir.run([]);
    assert_eq!((ran.code, ran.out.len()), (2, 0));
    assert!(ran.err.contains("Usage: holdall"), "{}", ran.err);
    workdir.fails(2, "ls local");
}

#[test]
fn bad_keys_are_bad_input_and_reach_nothing() {
    let workdir = Workdir::new();
    workdir.write("in", "x");
    workdir.write("secret", "mine");
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
            // The source of a copy is missing; either of the two may be reported first.
            let codes: &[i32] = if args[1] == "local:x" { &[5, 3] } else { &[5] };
            let ran = workdir.run(args.iter().copied());
            assert!(
                codes.contains(&ran.code),
                "{args:?}: {} {}",
                ran.code,
                ran.err
            );
            assert!(ran.err.starts_with("holdall: "), "{args:?}: {}", ran.err);
        }
    }
    assert_eq!(workdir.read("secret"), b"mine");
    assert_eq!(workdir.files("data/objects"), [""; 0]);
    assert!(!workdir.path("out").exists());
}

#[test]
fn what_is_not_utf8_is_usage() {
    use std::os::unix::ffi::OsStrExt;
    let workdir = Workdir::new();
    let ran = Ran::of(
        workdir
            .command()
            .arg("exists")
            .arg(std::ffi::OsStr::from_bytes(b"local:\xff")),
    );
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn files_that_cannot_be_used() {
    let workdir = Workdir::new();
    let missing = workdir.fails_json(5, "put missing local:a");
    assert_eq!(missing["code"], "local_file");
    assert!(
        missing["message"].as_str().unwrap().contains("missing")
            && missing["causes"][0]["code"] == "os error 2"
    );
    std::fs::create_dir(workdir.path("folder")).unwrap();
    assert_eq!(
        workdir.fails_json(5, "put folder local:a")["code"],
        "is_a_directory"
    );
    workdir.write("in", "x");
    workdir.ok("put in local:a");
    let nothing = workdir.fails_json(3, "get local:nothing");
    assert_eq!(nothing["code"], "file_not_found");
    assert!(nothing["help"].is_string(), "{nothing}");
    workdir.fails(3, "head local:nothing");
    workdir.fails(4, "put in local:a/b");
    assert_eq!(workdir.read("data/objects/a"), b"x", "nothing is lost");
    assert_eq!(
        workdir.fails_json(6, "put holdall.toml tiny:a")["code"],
        "quota_exceeded"
    );
}

#[test]
fn errors_are_objects_for_programs() {
    let workdir = Workdir::new();
    let told = workdir.fails_json(3, "get local:no/such.txt");
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
    let workdir = Workdir::new();
    let run = |config: &str, args: &[&str]| {
        workdir.write("holdall.toml", config);
        workdir.run(args.iter().copied())
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
        ran.err.contains("local.config.root") && ran.err.contains("local.config.rot"),
        "{}",
        ran.err
    );
    assert!(!workdir.path("data").exists());

    workdir.fails(8, "ls local: --config missing.toml");
    workdir.write("holdall.toml", "not toml at all [");
    assert!(workdir.fails(8, "ls local:").contains("holdall.toml"));
    workdir.write(
        "holdall.toml",
        "[backend.media.config]\nroot = \"data\"\n[backend.media]\nplugin = \"local\"\n",
    );
    let unknown = workdir.fails_json(8, "ls medai:");
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
    let workdir = Workdir::new();
    let right = workdir.json("config check");
    assert_eq!(right["problems"], serde_json::json!([]));
    assert_eq!(right["backends"].as_array().unwrap().len(), 3);
    assert!(!workdir.path("data").exists());
    workdir.write(
        "holdall.toml",
        "[backend.local.config]\nrot = \"data\"\n[backend.two]\nplugin = \"memroy\"\n[gateway]\npublic_url = \"x\"\n",
    );
    let ran = workdir.run(["config", "check", "--json"]);
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
    let suggested = problems.iter().map(|problem| &problem["suggestion"]);
    assert!(suggested.clone().any(|name| name == "memory"), "{report}");
    assert_eq!(workdir.run(["config", "check"]).code, 8);
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let workdir = Workdir::new();
    workdir.write("in", "x");
    workdir.write("second.toml", "[backend.local.config]\nroot = \"second\"\n");
    workdir.ok("put in local:a --config second.toml");
    assert_eq!(workdir.files("second/objects"), ["a"]);
    // Without any configuration: `local` under ./data. A file of the right name does not count:
    // it could name plugins, and being in a folder is no act of trust.
    let ran = Ran::of(workdir.bare().env("HOLDALL_PLUGIN_DIR", plugins()).args([
        "put",
        "in",
        "local:plain",
    ]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(workdir.files("data/objects"), ["plain"]);
    assert_eq!(workdir.ok("ls :"), "plain\n", "the default backend");
    // A flag wins over the variable.
    std::fs::create_dir(workdir.path("empty")).unwrap();
    let told = workdir.fails_json(8, "ls local: --plugin-dir empty");
    assert_eq!(told["code"], "plugin_load");
    assert!(told.to_string().contains("empty"), "{told}");
}

#[test]
fn help_version_manual_and_completions() {
    let workdir = Workdir::new();
    assert!(workdir.ok("--version").starts_with("holdall "));
    let help = workdir.ok("--help");
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
            workdir
                .ok(&format!("{command} --help"))
                .contains("Usage: holdall"),
            "{command}"
        );
    }
    assert!(workdir.ok("man").contains(".TH holdall"));
    workdir.ok("man pages");
    assert!(workdir.files("pages").contains(&"holdall-put.1".to_owned()));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            workdir
                .ok(&format!("completions {shell}"))
                .contains("holdall"),
            "{shell}"
        );
    }
}

#[test]
fn commands_that_read_create_nothing() {
    let workdir = Workdir::new();
    for (line, code) in [
        ("ls local:", 8),
        ("ls :", 8),
        ("get local:a", 8),
        ("head local:a", 8),
        ("exists local:a", 8),
        ("rm local:a", 8),
    ] {
        let mut command = workdir.bare();
        command.env("HOLDALL_PLUGIN_DIR", plugins());
        let ran = Ran::of(command.args(line.split(' ')).arg("--json"));
        assert_eq!(ran.code, code, "{line}: {}", ran.err);
        let report: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(report["code"], "container_missing", "{line}: {report}");
        assert!(report.to_string().contains("./data"), "{line}: {report}");
        assert!(!workdir.path("data").exists(), "{line}");
    }
}

#[test]
fn hints_name_the_default_backend_and_the_plugin_that_is_there() {
    let workdir = Workdir::new();
    workdir.write(
        "media.toml",
        "default_backend = \"media\"\n[backend.media]\nplugin = \"memory\"\n[backend.other]\nplugin = \"memory\"\n",
    );
    let told = workdir.fails(2, "exists a.txt --config media.toml");
    assert!(told.contains("media:a.txt"), "{told}");
    let told = workdir.fails_json(8, "put media.toml memory:a --config media.toml");
    let facts = told["facts"].as_array().unwrap();
    let present = facts.iter().find(|fact| fact["name"] == "plugin_present");
    let present = present.unwrap()["value"].as_str().unwrap();
    assert!(present.contains("[backend.memory]"), "{present}");
    let told = workdir.fails_json(8, "put media.toml nothing:a --config media.toml");
    let facts = told["facts"].as_array().unwrap();
    assert!(facts.iter().all(|fact| fact["name"] != "plugin_present"));
}

#[test]
fn ls_takes_any_text_as_a_prefix() {
    let workdir = Workdir::new();
    workdir.write("in", "x");
    for key in [".bashrc", "d/my file", "d/other"] {
        let to = format!("local:{key}");
        assert_eq!(workdir.run(["put", "in", &to]).code, 0);
    }
    for (prefix, listed) in [
        ("local:.", ".bashrc\n"),
        ("local:d/my ", "d/my file\n"),
        ("local:..", ""),
        ("local:d/../d", ""),
        ("local:/", ""),
    ] {
        let ran = workdir.run(["ls", prefix]);
        assert_eq!(
            (ran.code, &*ran.text()),
            (0, listed),
            "{prefix}: {}",
            ran.err
        );
    }
    let told = workdir.fails_with(5, &["ls", "local:a\nb"]);
    assert!(told.contains("[invalid_key]"), "{told}");
}

#[test]
fn config_check_resolves_references_to_backends_and_directories() {
    let workdir = Workdir::new();
    let good = String::from_utf8(workdir.read("holdall.toml")).unwrap();
    let hash = format!("sha256:{}", "0".repeat(64));
    let check = |more: &str, args: &[&str]| {
        workdir.write("holdall.toml", format!("{good}{more}"));
        let ran = workdir.run(["config", "check", "--json"].iter().chain(args).copied());
        let report: serde_json::Value = serde_json::from_str(&ran.text()).unwrap();
        let problems = report["problems"].as_array().unwrap().clone();
        assert_eq!(
            ran.code,
            if problems.is_empty() { 0 } else { 8 },
            "{}",
            ran.err
        );
        problems
    };
    assert_eq!(check("", &[]).len(), 0);
    for (more, path) in [
        (
            format!(
                "[server.tokens.ci]\nhash = \"{hash}\"\nallow = [\"read\"]\nbackends = [\"locla\"]\n"
            ),
            "server.tokens.ci.backends",
        ),
        (
            "[server.cors.locla]\norigins = [\"*\"]\n".to_owned(),
            "server.cors.locla",
        ),
        (
            "[server.anonymous]\nallow = [\"read\"]\nbackends = [\"locla\"]\n".to_owned(),
            "server.anonymous.backends",
        ),
    ] {
        let problems = check(&more, &[]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0]["path"], path);
        assert_eq!(problems[0]["code"], "unknown_backend");
        assert_eq!(problems[0]["suggestion"], "local");
        // A server does not start with it.
        assert_eq!(
            workdir.fails_json(8, "serve --listen 127.0.0.1:0")["code"],
            "config_invalid"
        );
    }
    let good_dir = plugins().to_str().unwrap();
    let problems = check("", &["--plugin-dir", good_dir, "--plugin-dir", "/nope"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        (&problems[0]["path"], &problems[0]["where"]),
        (&"plugin_dirs".into(), &"--plugin-dir".into())
    );
}
