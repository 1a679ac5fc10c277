//! Every minor is a frozen file; the tables of today, cut to that minor, must still be it.
//!
//! While the ABI is a draft the newest file may be rewritten: `HOLDALL_UPDATE=1 cargo test -p
//! holdall-plugin-api --test golden`. Once a minor is frozen, only a new minor may be added, and the
//! file of the old one is held by its hash.

#![allow(clippy::unwrap_used, reason = "a test")]

mod gate;

use gate::{Field, Tables, cut, problems, read, write};
use holdall_plugin_api::abi::list::{DRAFT, TABLES, VERSION};
use quote::ToTokens;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SOURCE: &str = include_str!("../../src/abi/tables.rs");

/// The minors that are frozen, each with the SHA-256 of its golden file. `scripts/freeze` adds the
/// first line; each later minor adds one when it is released.
const FROZEN: &[(u16, &str)] = &[(
    0,
    "e6c35218d7ce4b3cce2da5e2bca6c59aaf08512744944801040cde0aed9b6f9e",
)];

/// The type as text, without the noise that differs between formatters.
fn text(ty: &impl ToTokens) -> String {
    ty.to_token_stream()
        .to_string()
        .replace(' ', "")
        .replace("unsafeextern\"C\"fn", "fn")
        .replace("*const", "*const ")
        .replace("*mut", "*mut ")
        .replace(",)", ")")
        .replace(",>", ">")
}

fn signatures() -> BTreeMap<(String, String), String> {
    let file = syn::parse_file(SOURCE).unwrap();
    let mut signatures = BTreeMap::new();
    for item in file.items {
        if let syn::Item::Struct(table) = item {
            for field in &table.fields {
                let name = field.ident.as_ref().unwrap().to_string();
                signatures.insert((table.ident.to_string(), name), text(&field.ty));
            }
        }
    }
    signatures
}

/// The tables as this crate has them.
fn today() -> Tables {
    let signatures = signatures();
    let listed: usize = TABLES.iter().map(|table| table.fields.len()).sum();
    assert_eq!(
        signatures.len(),
        listed,
        "a struct of tables.rs is not in the list"
    );
    let field = |table: &str, field: &holdall_plugin_api::abi::list::Field| Field {
        name: field.name.to_owned(),
        offset: field.offset,
        size: field.size,
        align: field.align,
        since: field.since,
        ty: signatures[&(table.to_owned(), field.name.to_owned())].replace('"', "'"),
    };
    TABLES
        .iter()
        .map(|table| {
            let fields = table.fields.iter().map(|it| field(table.name, it));
            (table.name.to_owned(), fields.collect())
        })
        .collect()
}

fn path(minor: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/abi-1.{minor}.json"))
}

#[test]
#[cfg(target_pointer_width = "64")]
fn every_minor_is_still_there() {
    let today = today();
    let newest = cut(&today, VERSION.minor);
    if DRAFT && std::env::var_os("HOLDALL_UPDATE").is_some() {
        std::fs::write(path(VERSION.minor), write(&newest)).unwrap();
    }
    let stored: Vec<String> = (0..=VERSION.minor)
        .map(|minor| std::fs::read_to_string(path(minor)).unwrap())
        .collect();
    let promised: Vec<Tables> = stored.iter().map(|text| read(text)).collect();
    let problems = problems(&promised, &today);
    assert!(
        problems.is_empty(),
        "tables.rs breaks what a golden file promises.\nA draft: run HOLDALL_UPDATE=1 cargo test. \
         Frozen: only append, with a new minor.\n{}",
        problems.join("\n")
    );
    // The fingerprints are hashes of the text, so that has to be the same too.
    for (minor, stored) in (0..).zip(&stored) {
        assert!(
            *stored == write(&cut(&today, minor)),
            "{} is written differently",
            path(minor).display()
        );
    }
}

#[test]
fn a_frozen_file_stays_as_it_was() {
    for (minor, expected) in FROZEN {
        let found: String = Sha256::digest(std::fs::read(path(*minor)).unwrap())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(found, *expected, "{} was changed", path(*minor).display());
    }
    let frozen: Vec<u16> = FROZEN.iter().map(|(minor, _)| *minor).collect();
    let promised: Vec<u16> = if DRAFT {
        (0..VERSION.minor).collect()
    } else {
        (0..=VERSION.minor).collect()
    };
    assert_eq!(frozen, promised, "every minor but a draft is frozen");
}

#[test]
fn the_golden_file_is_json_and_names_every_table() {
    let golden: serde_json::Value =
        serde_json::from_str(&write(&cut(&today(), VERSION.minor))).unwrap();
    assert_eq!(golden.as_object().unwrap().len(), TABLES.len());
    assert_eq!(
        golden["BackendTable"].as_array().unwrap()[3]["name"],
        "start_upload",
        "the first slot after size, extension and drop"
    );
}

/// A table inside another could not grow: what follows it would move.
#[test]
fn nothing_that_grows_lies_inside_another() {
    let today = today();
    let grows = |name: &str| {
        let table = today.iter().find(|(known, _)| known == name);
        let first = table.map(|(_, fields)| fields[0].name.as_str());
        let items = [
            "FfiEntry",
            "FfiDeleteResult",
            "FfiPart",
            "FfiUpload",
            "FfiPartRef",
            "FfiVersion",
        ];
        first == Some("size") || items.contains(&name)
    };
    for (table, fields) in &today {
        for field in fields {
            assert!(!grows(&field.ty), "{table}.{}: {}", field.name, field.ty);
        }
    }
}
