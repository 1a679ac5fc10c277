//! Every minor is a frozen file; the tables of today, cut to that minor, must still be it.
//!
//! While the ABI is a draft the newest file may be rewritten: `HOLDALL_UPDATE=1 cargo test -p
//! holdall-plugin-api --test golden`. Once a minor is frozen, only a new minor may be added.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall_plugin_api::abi::list::{DRAFT, TABLES, VERSION};
use quote::ToTokens;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const SOURCE: &str = include_str!("../src/abi/tables.rs");

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

fn cut(minor: u16) -> String {
    let signatures = signatures();
    let listed: usize = TABLES.iter().map(|table| table.fields.len()).sum();
    assert_eq!(
        signatures.len(),
        listed,
        "a struct of tables.rs is not in the list"
    );
    let mut out = String::from("{\n");
    let tables: Vec<_> = TABLES
        .iter()
        .filter(|table| table.fields[0].since <= minor)
        .collect();
    for (index, table) in tables.iter().enumerate() {
        let fields: Vec<_> = table
            .fields
            .iter()
            .filter(|field| field.since <= minor)
            .collect();
        writeln!(out, "  \"{}\": [", table.name).unwrap();
        for (at, field) in fields.iter().enumerate() {
            let ty = signatures[&(table.name.to_owned(), field.name.to_owned())].replace('"', "'");
            let comma = if at + 1 < fields.len() { "," } else { "" };
            writeln!(
                out,
                "    {{\"name\": \"{}\", \"offset\": {}, \"size\": {}, \"align\": {}, \"since\": {}, \"type\": \"{ty}\"}}{comma}",
                field.name, field.offset, field.size, field.align, field.since
            )
            .unwrap();
        }
        writeln!(
            out,
            "  ]{}",
            if index + 1 < tables.len() { "," } else { "" }
        )
        .unwrap();
    }
    out + "}\n"
}

#[test]
#[cfg(target_pointer_width = "64")]
fn every_minor_is_still_there() {
    for minor in 0..=VERSION.minor {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/abi-1.{minor}.json"));
        if DRAFT && minor == VERSION.minor && std::env::var_os("HOLDALL_UPDATE").is_some() {
            std::fs::write(&path, cut(minor)).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap();
        assert!(
            stored == cut(minor),
            "{} is not what tables.rs says. Draft: run HOLDALL_UPDATE=1 cargo test. Frozen: only append, with a new minor.",
            path.display()
        );
    }
}

#[test]
fn the_golden_file_is_json_and_names_every_table() {
    let golden: serde_json::Value = serde_json::from_str(&cut(VERSION.minor)).unwrap();
    assert_eq!(golden.as_object().unwrap().len(), TABLES.len());
    assert_eq!(
        golden["BackendTable"].as_array().unwrap()[3]["name"],
        "start_upload",
        "the first slot after size, extension and drop"
    );
}
