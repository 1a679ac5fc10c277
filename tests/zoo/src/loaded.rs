//! Files that look right and are refused after they were mapped.

use crate::fixture::{Fixture, Make};
use crate::{Good, Image};
use holdall::fault::Code;

const fn variant(
    name: &'static str,
    codes: &'static [Code],
    defines: &'static [&'static str],
) -> Fixture {
    Fixture {
        name,
        codes,
        make: Make::Compile(defines, |_| Vec::new(), |_| {}),
    }
}

pub(crate) const FIXTURES: &[Fixture] = &[
    variant("unresolved", &[Code::MapFailed], &["ZOO_UNRESOLVED"]),
    Fixture {
        name: "unlisted_entry",
        codes: &[Code::SymbolMissing],
        make: Make::Compile(&[], |_| Vec::new(), hide_symbols),
    },
    Fixture {
        name: "entry_elsewhere",
        codes: &[Code::EntryOutsideFile],
        // The loader finds the symbol in a library that this one needs.
        make: Make::Compile(&[], needs_another_entry, hide_symbols),
    },
    variant(
        "null_table",
        &[Code::EntryReturnedNull],
        &["ZOO_RETURN_NULL"],
    ),
    variant("short_table", &[Code::TableMalformed], &["ZOO_SHORT_TABLE"]),
    variant(
        "short_operations",
        &[Code::TableMalformed],
        &["ZOO_SHORT_OPERATIONS"],
    ),
    variant(
        "null_operations",
        &[Code::TableMalformed],
        &["ZOO_NULL_OPERATIONS"],
    ),
    variant("null_open", &[Code::TableMalformed], &["ZOO_NULL_OPEN"]),
    variant("null_drop", &[Code::TableMalformed], &["ZOO_NULL_DROP"]),
    variant(
        "other_descriptor",
        &[Code::DescriptorLies],
        &["ZOO_OTHER_DESCRIPTOR"],
    ),
    variant("other_minor", &[Code::DescriptorLies], &["ZOO_OTHER_MINOR"]),
    variant(
        "other_layout",
        &[Code::LayoutMismatch],
        &["ZOO_OTHER_LAYOUT"],
    ),
    variant(
        "null_delete",
        &[Code::RequiredOperationNull],
        &["ZOO_NULL_DELETE"],
    ),
    variant(
        "null_head",
        &[Code::ClaimedOperationNull],
        &["ZOO_NULL_HEAD"],
    ),
    variant(
        "foreign_exists",
        &[Code::SlotOutsideFile],
        &["ZOO_FOREIGN_EXISTS"],
    ),
    variant(
        "four_lies",
        &[
            Code::DescriptorLies,
            Code::RequiredOperationNull,
            Code::ClaimedOperationNull,
            Code::SlotOutsideFile,
        ],
        &[
            "ZOO_OTHER_MINOR",
            "ZOO_NULL_DELETE",
            "ZOO_NULL_HEAD",
            "ZOO_FOREIGN_EXISTS",
        ],
    ),
];

/// Empties the filter that the loader asks before it looks for a symbol: none is found any more.
fn hide_symbols(image: &mut Image) {
    let table = image.section(".gnu.hash").start;
    let words = (image.word(table + 8) & 0xffff_ffff) as usize;
    image.bytes[table + 16..table + 16 + words * 8].fill(0);
}

fn needs_another_entry(good: &Good) -> Vec<String> {
    let text = "void *holdall_plugin_v1_entryelsewhere(void);\n\
                void *holdall_plugin_v1_entryelsewhere(void) { return 0; }\n";
    let other = good.compile_other("another_entry", text, &[]);
    // Without a soname the path itself is what the plugin needs.
    vec!["-Wl,--no-as-needed".to_owned(), other.display().to_string()]
}
