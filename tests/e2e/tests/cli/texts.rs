//! Texts that a person reads: output, errors and verdicts of the command, whole. Other tests assert
//! codes, fields and facts; after a rewording `scripts/snapshots` renews what is here.

use std::fmt::Write;

use holdall_e2e::artifacts;

use super::workdir::{Workdir, plugins};

/// Runs each line and writes what it prints, with what differs from run to run masked.
fn transcript(workdir: &Workdir, lines: &[&str]) -> String {
    let mut page = String::new();
    for line in lines {
        let ran = workdir.run(line.split_whitespace());
        writeln!(page, "$ holdall {line}\n{}{}", ran.text(), ran.err).unwrap();
        if ran.code != 0 {
            writeln!(page, "[exit {}]\n", ran.code).unwrap();
        }
    }
    for (found, mask) in [
        (workdir.path(""), "[workdir]/"),
        (plugins().join(""), "[plugins]/"),
    ] {
        page = page.replace(found.to_str().unwrap(), mask);
    }
    page.replace(plugins().to_str().unwrap(), "[plugins]")
}

fn assert_texts(name: &str, page: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, mask) in [
        (
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?",
            "[time]",
        ),
        (r"etag: .*", "etag: [etag]"),
        (r"\b\d{5,}\b", "[size]"),
        (r"built by .*", "built by      [compiler]"),
        (r"\b(x86_64|aarch64)-", "[arch]-"),
        (&env!("CARGO_PKG_VERSION").replace('.', r"\."), "[version]"),
    ] {
        settings.add_filter(pattern, mask);
    }
    settings.bind(|| insta::assert_snapshot!(name, page));
}

#[test]
fn output() {
    let workdir = Workdir::new();
    workdir.write("in.txt", "0123456789");
    workdir.write("tree/a.txt", "a");
    workdir.write("tree/b/c.txt", "c");
    let page = transcript(
        &workdir,
        &[
            "put in.txt local:a.txt -m author=me",
            "put tree local:tree -r --jobs 1",
            "get local:a.txt -",
            "get local:a.txt out.txt",
            "get local:tree out -r --jobs 1",
            "head local:a.txt",
            "exists local:a.txt",
            "exists local:nothing",
            "cp local:a.txt other:a.txt",
            "ls local:",
            "ls local: -l",
            "ls local: -r",
            "rm local:a.txt",
            "config check",
            "plugins",
        ],
    );
    assert_texts("output", &page);
}

#[test]
fn refusals() {
    let workdir = Workdir::new();
    workdir.write("in.txt", "0123456789");
    std::fs::create_dir(workdir.path("folder")).unwrap();
    workdir.write(
        "bad.toml",
        "defualt_backend = \"x\"\n[backend.local.config]\nrot = \"data\"\n",
    );
    workdir.write("unsigned.toml", "[backend.local.config]\nroot = \"data\"\n");
    workdir.write(
        "media.toml",
        "default_backend = \"media\"\n[backend.media]\nplugin = \"memory\"\n[backend.other]\nplugin = \"memory\"\n",
    );
    let page = transcript(
        &workdir,
        &[
            "put in.txt local:a.txt",
            "frobnicate",
            "put in.txt",
            "put in.txt no-colon",
            "put in.txt local:",
            "put in.txt local:../a",
            "put in.txt local:a.txt/b",
            "put in.txt tiny:a",
            "put in.txt local:a.txt --if-none-match",
            "put in.txt local:a.txt --create-only",
            "put in.txt local:a.txt --if-match other",
            "put in.txt local:a --sha256 abc",
            "put missing local:a",
            "put folder local:a",
            "put holdall.toml tiny:a",
            "get local:nothing",
            "get local:a.txt --range 10-12",
            "head local:nothing",
            "ls local",
            "ls medai:",
            "ls local: --config missing.toml",
            "ls local: --config bad.toml",
            "config check --config bad.toml",
            "ls local: --plugin-dir folder",
            "exists a.txt --config media.toml",
            "put in.txt memory:a --config media.toml",
            "sign local:a.txt --config unsigned.toml",
            "check x.so",
            "serve --listen nowhere",
        ],
    );
    assert_texts("refusals", &page);
}

#[test]
fn verdicts() {
    let workdir = Workdir::new();
    std::fs::create_dir(workdir.path("plugins")).unwrap();
    let good = artifacts().plugin("local");
    std::fs::copy(good, workdir.path("good.so")).unwrap();
    let whole = std::fs::read(good).unwrap();
    std::fs::copy(good, workdir.path("plugins/first.so")).unwrap();
    std::fs::copy(good, workdir.path("plugins/second.so")).unwrap();
    workdir.write("plugins/cut.so", &whole[..8192]);
    workdir.write("plugins/empty.so", "");
    workdir.write("plugins/text.so", "#!/bin/sh\n");
    workdir.write("plugins/README.md", "text");
    let page = transcript(
        &workdir,
        &[
            "inspect good.so",
            "inspect plugins/cut.so",
            "inspect plugins/empty.so",
            "inspect plugins/text.so",
            "inspect missing.so",
            "inspect .",
            "plugins --plugin-dir plugins",
            "plugins --plugin-dir missing",
        ],
    );
    assert_texts("verdicts", &page);
}
