//! The C header is made from `tables.rs`; run `HOLDALL_UPDATE=1 cargo test -p holdall-plugin-api
//! --test header` after a change there.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall_plugin_api::abi::list::{DRAFT, FINGERPRINTS, TABLES, VERSION};
use holdall_plugin_api::{Capability, ErrorKind, Operation, descriptor};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let about =
        "// Tables of a Holdall plugin. Made from plugin-api/src/abi/tables.rs; do not edit.";
    config.header = Some(format!(
        "{about}\n\n{}\n#ifndef HOLDALL_H\n#define HOLDALL_H",
        include_str!("header_rules.txt")
    ));
    config.trailer = Some(trailer() + "\n#endif // HOLDALL_H");
    // No function uses the tables: they are reached through a plugin's entry symbol.
    config.export.include = TABLES.iter().map(|table| table.name.to_owned()).collect();
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/abi/tables.rs"))
        .generate()
        .unwrap();
    let mut text = Vec::new();
    bindings.write(&mut text);
    // Bare names would collide in C; cbindgen prefixes types only.
    let mut text = String::from_utf8(text).unwrap();
    for name in [
        "PENDING",
        "READY",
        "FAILED",
        "PANICKED",
        "END",
        "STORAGE_BYTES",
    ] {
        text = text.replace(
            &format!("#define Holdall{name} "),
            &format!("#define HOLDALL_{name} "),
        );
        text = text.replace(&format!("[Holdall{name}]"), &format!("[HOLDALL_{name}]"));
    }
    text
}

/// The documentation of each member of a list in a source file, by the name at the end of its line
/// (`Variant = 3 name,`) or by its variant.
fn documented(source: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut text = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("///") {
            text.push(' ');
            text.push_str(more.trim());
            continue;
        }
        if let Some((variant, rest)) = line.split_once(" = ") {
            let number = rest.split([' ', ',']).next().unwrap_or_default();
            if number.parse::<u32>().is_ok() {
                // Links and paths of Rust say nothing in C.
                let text = text.trim().replace("[`Limits::", "`").replace("`]", "`");
                all.insert(variant.to_owned(), text);
            }
        }
        text.clear();
    }
    all
}

/// A definition with its comment above it.
fn define(out: &mut String, about: &str, definition: &str) {
    writeln!(out, "// {about}\n#define {definition}").unwrap();
}

const BLOCKING: &str = "
// A plugin whose descriptor has HOLDALL_FLAG_BLOCKING may block in every function but a `release`:
// the host calls it from threads of its own pool. The streams that the host gives to such a plugin
// block too: their `poll_next` never answers HOLDALL_PENDING, so no waker is needed. When the caller
// of an operation has gone, they fail, and `HoldallFfiCall.cancelled` is set.

";

/// What a plugin needs beside the tables: names of the descriptor, bits, fingerprints.
fn trailer() -> String {
    let mut out = String::from(
        "\n// The descriptor: `HoldallHeader`, the fingerprints, then the JSON, in this section.\n",
    );
    writeln!(
        out,
        "#ifdef __APPLE__\n#define HOLDALL_SECTION \"__DATA,{}\" // Mach-O\n#else\n\
         #define HOLDALL_SECTION \"{}\" // ELF and PE\n#endif",
        descriptor::SECTION_MACH_O,
        descriptor::SECTION
    )
    .unwrap();
    writeln!(
        out,
        "#define HOLDALL_ENTRY_PREFIX \"{}\"",
        descriptor::ENTRY_PREFIX
    )
    .unwrap();
    writeln!(
        out,
        "#define HOLDALL_DESCRIPTOR_VERSION {}",
        descriptor::VERSION
    )
    .unwrap();
    writeln!(
        out,
        "#define HOLDALL_ABI_MAJOR {}\n#define HOLDALL_ABI_MINOR {}",
        VERSION.major, VERSION.minor
    )
    .unwrap();
    out.push_str(BLOCKING);
    writeln!(out, "// Flags.").unwrap();
    for bit in 0..7 {
        let name = descriptor::Flags(1 << bit).names()[0].to_uppercase();
        writeln!(out, "#define HOLDALL_FLAG_{name} {}u", 1 << bit).unwrap();
    }
    let of_abi = if DRAFT {
        "HOLDALL_FLAG_DRAFT_MINOR"
    } else {
        "0u"
    };
    writeln!(
        out,
        "// The flags that come with this version of the ABI: in every descriptor."
    )
    .unwrap();
    writeln!(out, "#define HOLDALL_ABI_FLAGS {of_abi}").unwrap();
    out.push_str(
        "\ntypedef struct HoldallHeader {\n  uint8_t magic[8]; // \"HOLDALL\\0\"\n  uint16_t descriptor_version;\n  \
         uint16_t abi_major;\n  uint16_t abi_minor;\n  uint16_t min_host_minor;\n  uint32_t flags;\n  \
         uint32_t fingerprint_count;\n  uint64_t operations;\n  uint64_t capabilities;\n  uint64_t json_len;\n  \
         uint32_t max_in_flight; // 0: any number; 1: never two threads inside, but in a `release`\n  \
         uint32_t reserved;\n  uint64_t capabilities_2; // since 1.1: HOLDALL_CAP2_...\n  uint8_t reserved_2[64];\n} HoldallHeader;\n",
    );
    let lists = include_str!("../src/capability.rs").split_once("pub struct Capabilities(u128) of");
    let (operation_about, capability) = lists
        .map(|(one, other)| (documented(one), documented(other)))
        .unwrap();
    let kind_of = documented(include_str!("../src/error/kind.rs"));
    writeln!(out, "\n// Operations: the first five are required.").unwrap();
    for operation in Operation::ALL {
        let (name, bit) = (operation.name().to_uppercase(), *operation as u8);
        let about = &operation_about[&format!("{operation:?}")];
        define(
            &mut out,
            about,
            &format!("HOLDALL_OP_{name} (UINT64_C(1) << {bit})"),
        );
    }
    writeln!(
        out,
        "\n// Capabilities: promises. What is not claimed is refused by the host and never arrives. Those of the second word\n\
         // (HOLDALL_CAP2_...) go into `capabilities_2`."
    )
    .unwrap();
    let bits = Capability::ALL.iter().map(|one| {
        let (name, bit) = (one.name().to_uppercase(), *one as u8);
        let about = capability[&format!("{one:?}")].clone();
        let (word, bit) = if bit < 64 {
            ("CAP", bit)
        } else {
            ("CAP2", bit - 64)
        };
        (
            about,
            format!("HOLDALL_{word}_{name} (UINT64_C(1) << {bit})"),
        )
    });
    for (about, definition) in bits {
        define(&mut out, &about, &definition);
    }
    writeln!(out, "\n// Kinds of errors, for `HoldallFfiError.kind`.").unwrap();
    for kind in ErrorKind::ALL {
        let (name, number) = (kind.code().to_uppercase(), *kind as u32);
        let about = &kind_of[&format!("{kind:?}")];
        define(&mut out, about, &format!("HOLDALL_KIND_{name} {number}u"));
    }
    out.push_str(include_str!("header_names.txt"));
    writeln!(
        out,
        "\n#define HOLDALL_FINGERPRINT_COUNT {}\n#define HOLDALL_FINGERPRINTS {{ \\",
        FINGERPRINTS.len()
    )
    .unwrap();
    for [low, high] in &FINGERPRINTS {
        writeln!(
            out,
            "  {{ UINT64_C(0x{low:016x}), UINT64_C(0x{high:016x}) }}, \\"
        )
        .unwrap();
    }
    out.push_str("}\n");
    writeln!(
        out,
        "// The same as a table, for languages that read no brace macros.\n\
         static const uint64_t HOLDALL_FINGERPRINT_TABLE[HOLDALL_FINGERPRINT_COUNT][2] = HOLDALL_FINGERPRINTS;"
    )
    .unwrap();
    out
}

#[test]
fn the_header_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/holdall.h");
    let generated = generated();
    if std::env::var_os("HOLDALL_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == generated,
        "include/holdall.h is not what tables.rs makes; run HOLDALL_UPDATE=1 cargo test"
    );
}

/// What `header_names.txt` says is what the codec does.
#[test]
fn names_of_numbers_are_those_of_the_codec() {
    use holdall_plugin_api::{Level, MAX_CHUNK, MIN_CHUNK, Method};
    let header = generated();
    let says = |name: &str, number: u64| {
        let line = format!("#define HOLDALL_{name} {number}u");
        assert!(header.contains(&line), "{line}");
    };
    for method in [Method::Get, Method::Put, Method::Head, Method::Delete] {
        says(&format!("METHOD_{}", method.name()), method as u64);
    }
    for (name, level) in [
        ("ERROR", Level::Error),
        ("WARN", Level::Warn),
        ("INFO", Level::Info),
        ("DEBUG", Level::Debug),
        ("TRACE", Level::Trace),
    ] {
        says(&format!("LEVEL_{name}"), level as u64);
    }
    says("MIN_CHUNK", MIN_CHUNK as u64);
    says("MAX_CHUNK", MAX_CHUNK as u64);
}

/// Every size that Rust sees, C and C++ see too.
#[test]
fn c_and_cpp_and_rust_agree_on_sizes() {
    let folder = std::env::temp_dir().join(format!("holdall-header-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut program =
        String::from("#include \"holdall.h\"\n#include <assert.h>\n#include <stddef.h>\n");
    for table in TABLES {
        let name = format!("Holdall{}", table.name);
        writeln!(
            program,
            "static_assert(sizeof({name}) == {}, \"{name}\");",
            table.size
        )
        .unwrap();
        for field in table.fields {
            let (field, offset) = (field.name, field.offset);
            writeln!(
                program,
                "static_assert(offsetof({name}, {field}) == {offset}, \"{name}.{field}\");"
            )
            .unwrap();
        }
    }
    writeln!(
        program,
        "static_assert(sizeof(HoldallHeader) == {}, \"header\");",
        descriptor::HEADER_BYTES
    )
    .unwrap();
    for (compiler, standard, source) in [
        ("gcc", "-std=c11", "sizes.c"),
        ("g++", "-std=c++17", "sizes.cpp"),
        ("clang", "-std=c11", "sizes.c"),
        ("clang++", "-std=c++17", "sizes.cpp"),
    ] {
        // Those of GCC are what the tests need; the others are asked where they are.
        if compiler.starts_with("clang")
            && Command::new(compiler).arg("--version").output().is_err()
        {
            println!("SKIPPED: there is no {compiler}");
            continue;
        }
        let source = folder.join(source);
        std::fs::write(&source, &program).unwrap();
        let compiled = Command::new(compiler)
            .args([
                standard,
                "-Wall",
                "-Wextra",
                "-pedantic",
                "-Werror",
                "-fsyntax-only",
                "-I",
            ])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"))
            .arg(&source)
            .output()
            .unwrap();
        assert!(
            compiled.status.success(),
            "{compiler}: {}",
            String::from_utf8_lossy(&compiled.stderr)
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
