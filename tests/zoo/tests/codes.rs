//! What every code says, kept as text: `host/CODES.md` is made from the fixtures. After a change of a
//! text run `HOLDALL_UPDATE=1 cargo test -p holdall-zoo --test codes` and read the difference.
//!
//! The forms for programs are held by the published schemas in `host/schemas`.

#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(all(target_arch = "x86_64", target_env = "gnu"))]

use holdall::Host;
use holdall::fault::{Code, Phase};
use holdall::inspect::inspect_file;
use holdall::scan::scan;
use holdall_zoo::{Facts, Fixture, Good, all};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// One line for each code, as the first fixture of it makes the host say.
fn said(good: &Good, folder: &Path) -> BTreeMap<Code, String> {
    let mut said = BTreeMap::new();
    for fixture in all() {
        let plugins = folder.join(fixture.name);
        std::fs::create_dir(&plugins).unwrap();
        let path = fixture.build(good, &plugins);
        if fixture.phase() == Some(Phase::Inspect) {
            for fault in inspect_file(&path).faults {
                said.entry(fault.code).or_insert(fault.to_string());
            }
            continue;
        }
        let host = Host::builder().plugin_dir(&plugins).build().unwrap();
        for (_, outcome) in host.load_plugins() {
            let error = outcome.err();
            for (name, text) in error.iter().flat_map(|error| error.facts()) {
                if let Some(code) = Code::ALL.iter().find(|code| code.name() == name) {
                    said.entry(*code).or_insert(text.to_owned());
                }
            }
        }
    }
    said
}

/// Without what differs from run to run or from one gcc to the next: places, sizes, numbers of files.
fn plain(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "FOLDER");
    let mut out = String::new();
    let mut digits = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let is_place = digits.len() > 3 || out.ends_with("/fd/");
        out.push_str(if is_place { "N" } else { &digits });
        digits.clear();
        out.push(letter);
    }
    out.truncate(out.len() - 1);
    out
}

fn page(said: &BTreeMap<Code, String>, folder: &Path) -> String {
    let mut page = String::from(
        "# What can be wrong with a plugin\n\n\
         Made from the fixtures of `tests/zoo` by its test `codes`; do not edit. Each code is stable. \
         `holdall inspect FILE` names every one that applies to a file, with what was expected and \
         found, where, and what helps; `--json` gives the same for programs \
         (`host/schemas/inspection.schema.json`).\n",
    );
    for phase in [Phase::Inspect, Phase::Load] {
        page.push_str(match phase {
            Phase::Inspect => "\n# By reading the file: nothing of it has run\n",
            Phase::Load => {
                "\n# After mapping it: its constructors have run, nothing was registered\n"
            }
        });
        for code in Code::ALL.iter().filter(|code| code.phase() == phase) {
            let (meaning, fix) = (code.meaning(), code.usual_fix());
            let example = plain(&said[code], folder).replace('\n', "\n    ");
            write!(
                page,
                "\n## {code}\n\n{meaning}\n\n    {example}\n\nFix: {fix}.\n"
            )
            .unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_codes_is_what_the_host_says() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let said = said(&good, folder.path());
    let page = page(&said, folder.path());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/CODES.md");
    if std::env::var_os("HOLDALL_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    for (stored, page) in stored.lines().zip(page.lines()) {
        assert_eq!(
            stored, page,
            "host/CODES.md is another; HOLDALL_UPDATE=1 writes it"
        );
    }
    assert_eq!(stored.len(), page.len());
}

fn schema(name: &str) -> jsonschema::Validator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/schemas");
    let text = std::fs::read(folder.join(format!("{name}.schema.json"))).unwrap();
    let schema: Value = serde_json::from_slice(&text).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn problems(schema: &jsonschema::Validator, value: &Value) -> Vec<String> {
    let problem =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    schema.iter_errors(value).map(problem).collect()
}

#[test]
fn every_report_is_as_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let (one, whole) = (schema("inspection"), schema("scan"));
    for fixture in all() {
        let path = fixture.build(&good, &plugins);
        let report = serde_json::to_value(inspect_file(&path)).unwrap();
        assert_eq!(problems(&one, &report), [""; 0], "{}", fixture.name);
    }
    // One more of the same name is shadowed.
    Fixture::named("good").build_at(&good, &plugins.join("zz.so"));
    let folders: [PathBuf; 2] = [plugins, folder.path().join("missing")];
    let report = serde_json::to_value(scan(&folders)).unwrap();
    assert!(!report["shadowed"].as_array().unwrap().is_empty());
    assert_eq!(problems(&whole, &report), [""; 0]);

    // The schemas refuse what they do not know.
    let mut wrong = report["files"][0].clone();
    wrong["surprise"] = true.into();
    assert_eq!(problems(&one, &wrong).len(), 1);
    wrong.as_object_mut().unwrap().remove("surprise");
    wrong["faults"] = serde_json::json!([{ "code": "X" }]);
    assert!(problems(&one, &wrong).len() > 1);
}

/// Somebody mistypes the scheme of a plugin that is there, but of another processor.
#[tokio::test]
async fn what_a_refused_file_would_provide_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let mut image = good.image();
    let mut facts = Facts::good("good");
    facts.about["schemes"] = serde_json::json!(["s3", "s3a"]);
    image.fill(".holdall", &facts.bytes());
    // The processor of the ELF header: aarch64.
    image.bytes[18..20].copy_from_slice(&183u16.to_le_bytes());
    std::fs::write(plugins.join("libs3.so"), &image.bytes).unwrap();
    std::fs::write(plugins.join("notes.txt"), "text").unwrap();
    Fixture::named("good").build_at(&good, &plugins.join("libgood.so"));

    let host = Host::builder()
        .config(holdall::config::Config::default())
        .plugin_dir(&plugins)
        .plugin_dir(folder.path().join("missing"))
        .build()
        .unwrap();
    let facts = async |scheme: &str| {
        host.register("store", holdall::Registration::new(scheme))
            .unwrap();
        let error = host.backend("store").await.unwrap_err();
        let facts = error
            .facts()
            .map(|(name, value)| format!("{name}: {value}"));
        let text = facts.collect::<Vec<_>>().join("\n");
        plain(&format!("{error}\n{text}"), folder.path())
    };
    assert_eq!(
        facts("s4").await,
        "plugin not loadable: no plugin has the name or scheme \"s4\", backend \"store\"\n\
         requested: s4\n\
         available: \"good\"\n\
         nearest: s3\n\
         searched: FOLDER/plugins\n\
         searched: FOLDER/missing: No such file or directory (os error 2)\n\
         refused: \"s3\" is provided by FOLDER/plugins/libs3.so, refused: arch_mismatch"
    );
    assert_eq!(
        facts("s3a").await.lines().last().unwrap(),
        "refused: \"s3a\" is provided by FOLDER/plugins/libs3.so, refused: arch_mismatch"
    );
    let unregistered = host.backend("s4").await.unwrap_err();
    assert!(
        unregistered
            .facts()
            .any(|(name, value)| name == "refused" && value.contains("\"s3\"")),
        "{unregistered:?}"
    );
}
