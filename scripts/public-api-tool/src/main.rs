//! Prints the public items of a crate, one a line, from the rustdoc JSON named by the first argument.
//! With `--without-example` only types, traits, functions and macros whose name stands in no example of the crate.

use std::collections::BTreeSet;
use std::error::Error;

use public_api::{Builder, PublicItem};
use rustdoc_types::{Crate, ItemEnum};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let json = arguments
        .next()
        .ok_or("usage: public-api-tool FILE.json [--without-example]")?;
    let without_example = arguments
        .next()
        .is_some_and(|option| option == "--without-example");
    // What every type gets from blanket impls and auto traits says little and changes with `std`.
    let builder = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true);
    let whole = builder.clone().build()?;
    let written = builder.omit_auto_derived_impls(true).build()?;
    if without_example {
        let krate: Crate = serde_json::from_str(&std::fs::read_to_string(json)?)?;
        let shown = names_in_examples(&krate);
        for item in written
            .items()
            .filter(|item| needs_example(&krate, item, &shown))
        {
            println!("{item}");
        }
        return Ok(());
    }
    let written: BTreeSet<String> = written.items().map(ToString::to_string).collect();
    for item in whole.items() {
        let line = item.to_string();
        // Of a derived impl the line that names it, not its methods.
        if written.contains(&line) || line.starts_with("impl") {
            println!("{line}");
        }
    }
    Ok(())
}

/// Every identifier in a Rust code block of the crate's documentation.
fn names_in_examples(krate: &Crate) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for docs in krate.index.values().filter_map(|item| item.docs.as_deref()) {
        let mut example = false;
        let mut inside = false;
        for line in docs.lines() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                inside = !inside;
                example = inside && matches!(language, "" | "no_run" | "rust" | "rust,no_run");
            } else if example {
                names.extend(line.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
            }
        }
    }
    names
}

/// Whether an item is a type, trait, function or macro of this crate that no example names.
fn needs_example(krate: &Crate, item: &PublicItem, shown: &BTreeSet<&str>) -> bool {
    let Some(found) = krate.index.get(&item.id()) else {
        return false;
    };
    // A trait's methods are called by the trait's own name: `Display`, `From`, `Serialize`.
    let of_a_trait = item
        .parent_id()
        .and_then(|parent| krate.index.get(&parent))
        .is_some_and(
            |parent| matches!(&parent.inner, ItemEnum::Impl(block) if block.trait_.is_some()),
        );
    let kind = matches!(
        found.inner,
        ItemEnum::Struct(_)
            | ItemEnum::Enum(_)
            | ItemEnum::Union(_)
            | ItemEnum::Trait(_)
            | ItemEnum::Function(_)
            | ItemEnum::Macro(_)
    );
    let named = found
        .name
        .as_deref()
        .is_some_and(|name| shown.contains(name));
    kind && !of_a_trait && !named
}
