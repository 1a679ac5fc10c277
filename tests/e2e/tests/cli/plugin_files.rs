//! `plugins` and `inspect`: files that are plugins, and files that are not.

use super::workdir::{Workdir, plugins};
use holdall_e2e::artifacts;
use serde_json::Value;

#[test]
fn inspect_succeeds_only_for_what_would_load() {
    let workdir = Workdir::new();
    let good = artifacts().plugin("local").to_str().unwrap();
    let found = workdir.json(&format!("inspect {good}"));
    assert_eq!(
        (&found["verdict"], &found["about"]["name"]),
        (&"accepted".into(), &"local".into())
    );

    let whole = std::fs::read(good).unwrap();
    workdir.write("cut.so", &whole[..whole.len() / 2]);
    workdir.write("empty.so", "");
    workdir.write("text.so", "#!/bin/sh\n");
    for (file, verdict, code) in [
        ("cut.so", "refused", "truncated"),
        ("empty.so", "refused", "empty_file"),
        ("text.so", "not_a_plugin", "not_a_library"),
        ("missing.so", "refused", "unreadable"),
        (".", "not_a_plugin", "not_regular_file"),
    ] {
        assert!(
            workdir.fails(8, &format!("inspect {file}")).contains(code),
            "{file}"
        );
        let ran = workdir.run(["inspect", "--json", file]);
        assert_eq!(ran.code, 8, "{file}");
        let found: Value = serde_json::from_str(&ran.text()).unwrap();
        assert_eq!(found["verdict"], verdict, "{file}: {found}");
        let codes: Vec<_> = found["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| &fault["code"])
            .collect();
        assert!(codes.contains(&&code.into()), "{file}: {codes:?}");
        let fault = &found["faults"][0];
        assert!(
            ["expected", "found", "fix"]
                .iter()
                .all(|part| fault[part].is_string()),
            "{fault}"
        );
    }
}

#[test]
fn plugins_shows_every_file_and_why() {
    let workdir = Workdir::new();
    std::fs::create_dir(workdir.path("plugins")).unwrap();
    artifacts().folder_of([artifacts().plugin("local")], &workdir.path("plugins"));
    let whole = std::fs::read(artifacts().plugin("memory")).unwrap();
    workdir.write("plugins/cut.so", &whole[..8192]);
    workdir.write("plugins/README.md", "text");
    std::fs::copy(artifacts().plugin("local"), workdir.path("plugins/same.so")).unwrap();
    let found = workdir.json("plugins --plugin-dir plugins");
    let files = found["scan"]["files"].as_array().unwrap();
    let verdict = |name: &str| {
        let path = format!("plugins/{name}");
        let file = files.iter().find(|file| file["path"] == path);
        let file = file.unwrap_or_else(|| panic!("{name}: {found}"));
        (
            file["verdict"].as_str().unwrap(),
            &file["faults"][0]["code"],
        )
    };
    assert_eq!(verdict("libholdall_plugin_local.so").0, "accepted");
    assert_eq!(verdict("same.so").0, "accepted");
    assert_eq!(verdict("cut.so"), ("refused", &"truncated".into()));
    assert_eq!(
        verdict("README.md"),
        ("not_a_plugin", &"not_a_library".into())
    );
    assert_eq!(files.len(), 4);
    let shadowed = &found["scan"]["shadowed"][0];
    assert_eq!(
        (&shadowed["loser"], &shadowed["winner"]),
        (
            &"plugins/same.so".into(),
            &"plugins/libholdall_plugin_local.so".into()
        )
    );
    assert_eq!(found.get("loaded"), None);
    let loaded = workdir.json("plugins --load --plugin-dir plugins");
    let loaded = loaded["loaded"].as_array().unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(
        (&loaded[0]["plugin"]["name"], &loaded[0]["loaded"]),
        (&"local".into(), &true.into())
    );
    // The file, what was judged, what is mapped and what runs, apart.
    let plugin = &loaded[0]["plugin"];
    let (version, sha256) = (
        plugin["version"].as_str().unwrap(),
        plugin["sha256"].as_str().unwrap(),
    );
    assert_eq!(
        (&plugin["file"], &plugin["judged_version"]),
        (&"unchanged".into(), &version.into())
    );
    assert_eq!(
        (&plugin["generations"], &plugin["instances"]),
        (&1.into(), &0.into())
    );
    let text = workdir.ok("plugins --load --plugin-dir plugins");
    let told = format!(
        "local {version}: loaded\n  file: unchanged\n  judged: {version}\n  mapped: {version}, sha256 {sha256}, generations 1\n  running: instances 0"
    );
    assert!(text.contains(&told), "{told}: {text}");
}

#[test]
fn two_folders_and_one_that_is_not_there() {
    let workdir = Workdir::new();
    let text = workdir.ok(&format!(
        "plugins --plugin-dir missing --plugin-dir {}",
        plugins().display()
    ));
    assert!(text.contains("folder missing: "), "{text}");
    assert!(text.contains("memory 0."), "{text}");
}

#[test]
fn the_plugins_folder_beside_the_executable_is_found() {
    let workdir = Workdir::new();
    std::fs::create_dir_all(workdir.path("tool/lib/holdall/plugins")).unwrap();
    std::fs::create_dir_all(workdir.path("tool/bin")).unwrap();
    std::fs::copy(artifacts().holdall(), workdir.path("tool/bin/holdall")).unwrap();
    artifacts().folder_of(
        [artifacts().plugin("local")],
        &workdir.path("tool/lib/holdall/plugins"),
    );
    let run = |args: &[&str]| {
        let ran = std::process::Command::new(workdir.path("tool/bin/holdall"))
            .current_dir(workdir.path("tool"))
            .env_remove("HOLDALL_PLUGIN_DIR")
            .env_remove("HOLDALL_CONFIG")
            .args(args)
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap()
    };
    workdir.write("tool/in", "x");
    run(&["put", "in", "local:a"]);
    assert_eq!(run(&["ls", "local:"]), "a\n");
    // The folder directly beside it comes first.
    std::fs::create_dir(workdir.path("tool/bin/plugins")).unwrap();
    assert!(
        run(&["plugins"])
            .lines()
            .next()
            .unwrap()
            .ends_with("/bin/plugins")
    );
}

#[test]
fn a_sample_of_a_configuration_is_right_once_it_is_filled() {
    let workdir = Workdir::new();
    let folder = plugins();
    let check = format!(
        "config check --config new.toml --plugin-dir {}",
        folder.display()
    );
    for (plugin, required) in [("memory", None), ("file", Some("root = "))] {
        let sample = workdir.ok(&format!(
            "plugins config {plugin} --plugin-dir {}",
            folder.display()
        ));
        workdir.write("new.toml", &sample);
        if let Some(required) = required {
            assert!(sample.contains(&format!("\n{required}\"\"\n")), "{sample}");
            assert!(workdir.fails(8, &check).contains("config_invalid"));
            workdir.write(
                "new.toml",
                sample.replace(&format!("{required}\"\""), "root = \"store\""),
            );
        }
        assert!(workdir.ok(&check).contains(": right"), "{sample}");
    }
    let file = artifacts().plugin("local").to_str().unwrap();
    let of_file = workdir.ok(&format!("plugins config {file}"));
    assert!(of_file.contains("[backend.local.config]"), "{of_file}");
    assert!(workdir.fails(3, "plugins config nope").contains("nope"));
}
