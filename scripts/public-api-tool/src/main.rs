//! Prints the public items of a crate, one a line, from the rustdoc JSON named by the first argument.

use std::collections::BTreeSet;
use std::error::Error;

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args()
        .nth(1)
        .ok_or("usage: public-api-tool FILE.json")?;
    // What every type gets from blanket impls and auto traits says little and changes with `std`.
    let builder = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true);
    let whole = builder.clone().build()?;
    let written = builder.omit_auto_derived_impls(true).build()?;
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
