//! Folders of odd files, and what is said about libraries of other platforms.
#![allow(clippy::unwrap_used, reason = "tests; a panic is the report")]

use holdall::fault::Code;
use holdall::inspect::{Verdict, inspect_file};
use holdall::scan::scan;
use holdall_zoo::{Fixture, Good, all};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

fn fixture(name: &str) -> Fixture {
    all()
        .into_iter()
        .find(|fixture| fixture.name == name)
        .unwrap()
}

/// The files whose content is mapped into this process.
fn mapped() -> BTreeSet<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let names = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| line[at..].to_owned()));
    names.collect()
}

/// Puts a fixture into the folder under another name.
fn put(name: &str, good: &Good, folder: &Path, at: &str) {
    let built = fixture(name).build(good, folder);
    fs::rename(built, folder.join(at)).unwrap();
}

/// The files that operators and build tools leave in a folder, and one plugin.
fn odd_files(good: &Good, folder: &Path) -> Vec<(&'static str, Verdict, Option<Code>)> {
    let at = |name: &str| folder.join(name);
    fs::write(at("README"), "Put plugins here.\n").unwrap();
    fs::write(at("text.so"), "INPUT(libplugin.so)\n").unwrap();
    fs::write(at("zero.so"), "").unwrap();
    fs::create_dir(at("x.so")).unwrap();
    symlink("/nowhere/at/all.so", at("dangling.so")).unwrap();
    put("pipe", good, folder, "fifo.so");
    put("other_processor", good, folder, "foreign.so");
    put("cut", good, folder, "truncated.so");
    put("good", good, folder, "valid.so");
    let plain = good.compile_other("plain", "int answer(void) { return 42; }\n", &[]);
    fs::copy(plain, at("plain.so")).unwrap();
    let split = Command::new("objcopy")
        .arg("--only-keep-debug")
        .args([at("valid.so"), at("valid.so.debug")])
        .status()
        .unwrap();
    assert!(split.success());
    fs::write(at("unreadable.so"), "").unwrap();
    fs::set_permissions(at("unreadable.so"), Permissions::from_mode(0o000)).unwrap();
    if File::open(at("unreadable.so")).is_ok() {
        // Root reads everything but a link to itself.
        fs::remove_file(at("unreadable.so")).unwrap();
        symlink("unreadable.so", at("unreadable.so")).unwrap();
    }
    vec![
        ("README", Verdict::NotAPlugin, Some(Code::NotALibrary)),
        ("dangling.so", Verdict::Refused, Some(Code::Unreadable)),
        ("fifo.so", Verdict::NotAPlugin, Some(Code::NotRegularFile)),
        ("foreign.so", Verdict::Refused, Some(Code::ArchMismatch)),
        ("plain.so", Verdict::NotAPlugin, Some(Code::NoDescriptor)),
        ("text.so", Verdict::NotAPlugin, Some(Code::NotALibrary)),
        ("truncated.so", Verdict::Refused, Some(Code::Truncated)),
        ("unreadable.so", Verdict::Refused, Some(Code::Unreadable)),
        ("valid.so", Verdict::Accepted, None),
        (
            "valid.so.debug",
            Verdict::NotAPlugin,
            Some(Code::NotALibrary),
        ),
        ("x.so", Verdict::NotAPlugin, Some(Code::NotRegularFile)),
        ("zero.so", Verdict::Refused, Some(Code::EmptyFile)),
    ]
}

#[test]
fn twelve_odd_files_get_twelve_verdicts() {
    let build = tempfile::tempdir().unwrap();
    let good = Good::build(build.path());
    let folder = tempfile::tempdir().unwrap();
    let expected = odd_files(&good, folder.path());
    assert_eq!(expected.len(), 12);
    let before = mapped();
    let started = Instant::now();
    let report = scan(&[folder.path().to_owned()]);
    // Nobody writes into the pipe: who opened it and waited would wait for ever.
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(mapped(), before, "something was mapped");
    let found: Vec<_> = report
        .files
        .iter()
        .map(|file| {
            let name = file.path.file_name().unwrap().to_str().unwrap();
            (
                name,
                file.verdict(),
                file.faults.first().map(|fault| fault.code),
            )
        })
        .collect();
    assert_eq!(found, expected);
    let ran = build
        .path()
        .read_dir()
        .unwrap()
        .chain(folder.path().read_dir().unwrap());
    let ran: Vec<_> = ran.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        ran.iter()
            .all(|name| !name.to_string_lossy().ends_with(".ran")),
        "{ran:?}"
    );
}

#[test]
fn the_order_of_creation_changes_nothing() {
    const ROUNDS: usize = 1000;
    let build = tempfile::tempdir().unwrap();
    let good = Good::build(build.path());
    let valid = fixture("good").build(&good, build.path());
    let cut = fixture("only_magic").build(&good, build.path());
    let text = fixture("text").build(&good, build.path());
    // The same plugin twice: who wins must not depend on the file system either.
    let mut files = [
        ("z.so", &valid),
        ("a.so", &valid),
        ("B.so", &text),
        ("b.so", &cut),
        ("\u{e9}.so", &text),
        ("a.so.1", &text),
        ("0", &cut),
    ];
    let root = tempfile::tempdir().unwrap();
    let folder: PathBuf = root.path().join("plugins");
    let mut seed = 0x0dd5_eed5_u64;
    let mut first = None;
    for round in 0..ROUNDS {
        for last in (1..files.len()).rev() {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            files.swap(last, (seed >> 33) as usize % (last + 1));
        }
        fs::create_dir(&folder).unwrap();
        for (name, source) in &files {
            fs::hard_link(source, folder.join(name)).unwrap();
        }
        let report = scan(std::slice::from_ref(&folder));
        let json = serde_json::to_string(&report).unwrap();
        let first = first.get_or_insert_with(|| json.clone());
        assert_eq!(*first, json, "round {round}, created as {files:?}");
        fs::remove_dir_all(&folder).unwrap();
        if round == 0 {
            let loser = folder.join("z.so");
            assert!(!report.shadowed.is_empty());
            assert!(
                report
                    .shadowed
                    .iter()
                    .all(|shadowed| shadowed.loser == loser)
            );
        }
    }
}

/// Who has the wrong build reads what it is, and what this host needs.
#[test]
fn foreign_files_name_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let processor = std::env::consts::ARCH;
    let other = if processor == "x86_64" {
        "aarch64"
    } else {
        "x86_64"
    };
    let host = format!("{processor}-linux-gnu");
    for (name, code, expected, found) in [
        ("elf32", Code::ArchMismatch, host.as_str(), "32 bit"),
        ("big_endian", Code::ArchMismatch, &host, "big endian"),
        ("other_processor", Code::ArchMismatch, &host, other),
        ("musl", Code::LibcMismatch, &host, "-musl"),
        ("dll", Code::FormatMismatch, "ELF", "pe x86_64-windows"),
        ("mach_o", Code::FormatMismatch, "ELF", "mach-o"),
        (
            "archive",
            Code::NotALibrary,
            "a shared library",
            "an archive",
        ),
        ("cut", Code::Truncated, "up to byte ", " bytes"),
    ] {
        let path = fixture(name).build(&good, folder.path());
        let inspection = inspect_file(&path);
        let fault = inspection.faults.iter().find(|fault| fault.code == code);
        let fault = fault.unwrap_or_else(|| panic!("{name}: {:?}", inspection.faults));
        assert!(fault.expected.contains(expected), "{name}: {fault}");
        assert!(fault.found.contains(found), "{name}: {fault}");
        let line = fault.to_string();
        assert!(
            line.contains(expected) && line.contains(found),
            "{name}: {line}"
        );
    }
}

/// Inspects in another process, so that nothing of this one can have helped or hidden anything.
#[test]
fn another_process_inspects_and_runs_nothing() {
    const NAME: &str = "another_process_inspects_and_runs_nothing";
    const FOLDER: &str = "HOLDALL_ZOO_CHILD_FOLDER";
    const LINE: &str = "inspected ";
    if let Some(folder) = std::env::var_os(FOLDER) {
        // The other process.
        let before = mapped();
        for file in scan(&[folder.into()]).files {
            let codes: Vec<&str> = file.faults.iter().map(|fault| fault.code.name()).collect();
            let name = file.path.file_stem().unwrap().to_str().unwrap();
            println!("\n{LINE}{name} {}", codes.join(","));
        }
        assert_eq!(mapped(), before, "something was mapped");
        return;
    }
    let build = tempfile::tempdir().unwrap();
    let good = Good::build(build.path());
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeSet::new();
    for fixture in all() {
        fixture.build(&good, folder.path());
        let inspected = fixture
            .codes
            .iter()
            .filter(|code| code.phase() == holdall::fault::Phase::Inspect);
        let codes: Vec<&str> = inspected.map(|code| code.name()).collect();
        expected.insert(format!("{} {}", fixture.name, codes.join(",")));
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    assert!(
        child.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let found: BTreeSet<String> = said
        .lines()
        .filter_map(|line| line.strip_prefix(LINE))
        .map(str::to_owned)
        .collect();
    assert_eq!(found, expected);
    for fixture in all() {
        let path = folder.path().join(format!("{}.so", fixture.name));
        assert!(!Fixture::marker(&path).exists(), "{} has run", fixture.name);
    }
}
