//! What is checked once constructors have run: rules R1, R4 and R14. Every fault at once.

use super::load_fault;
use crate::plugin::fault::{Code as FaultCode, Fault};
use holdall_plugin_api::abi::FINGERPRINTS;
use holdall_plugin_api::abi::grow::copy_in;
use holdall_plugin_api::abi::list::slot;
use holdall_plugin_api::abi::tables::{BackendTable, PluginTable};
use holdall_plugin_api::abi::text::bytes;
use holdall_plugin_api::descriptor::{Descriptor, Flags};
use holdall_plugin_api::{Operation, Operations};
use std::ffi::c_void;

/// The host's copies of a plugin's tables; the plugin may scribble over its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    pub(super) table: PluginTable,
    pub(super) ops: BackendTable,
    pub(super) operations: Operations,
    /// Operations with a filled slot that the descriptor does not claim: never called.
    pub(super) unclaimed: Operations,
}

// SAFETY: tables hold functions and pointers to statics of a library that is never unmapped (R13).
unsafe impl Send for Checked {}
// SAFETY: as above, and they are only read.
unsafe impl Sync for Checked {}

/// Tells which addresses a plugin's functions may have.
pub(super) trait Code {
    fn contains(&self, address: usize) -> bool;
}

/// For a plugin that is linked in: its code is the program's.
pub(super) struct Anywhere;

impl Code for Anywhere {
    fn contains(&self, _: usize) -> bool {
        true
    }
}

/// Checks the tables of a plugin whose descriptor was accepted.
pub(super) fn check(
    table: *const PluginTable,
    descriptor: &Descriptor,
    code: &dyn Code,
) -> Result<Checked, Vec<Fault>> {
    if table.is_null() {
        let found = "the entry function returned null";
        return Err(vec![load_fault(
            FaultCode::EntryReturnedNull,
            "a table of the plugin",
            found,
        )]);
    }
    let malformed = |fault: &dyn std::fmt::Display| {
        load_fault(
            FaultCode::TableMalformed,
            "tables as the ABI describes them",
            fault.to_string(),
        )
    };
    // SAFETY: R1: non-null, from the entry of a plugin.
    let table = unsafe { copy_in(table) }.map_err(|fault| vec![malformed(&fault)])?;
    let mut faults = Vec::new();

    let version = (
        u32::from(descriptor.abi_major),
        u32::from(descriptor.abi_minor),
    );
    if (table.abi_major, table.abi_minor) != version {
        faults.push(load_fault(
            FaultCode::DescriptorLies,
            format!("ABI {}.{}, as the file says", version.0, version.1),
            format!(
                "the loaded table says {}.{}",
                table.abi_major, table.abi_minor
            ),
        ));
    }
    // SAFETY: R4: the descriptor is lent for the life of the process.
    match unsafe { bytes(table.descriptor) } {
        Ok(Some(loaded)) if loaded == descriptor.bytes => {}
        Ok(loaded) => faults.push(load_fault(
            FaultCode::DescriptorLies,
            format!(
                "the {} bytes of the file's descriptor",
                descriptor.bytes.len()
            ),
            format!(
                "the loaded table shows {} other bytes",
                loaded.map_or(0, <[u8]>::len)
            ),
        )),
        Err(breach) => faults.push(malformed(&breach.message())),
    }
    // Of two drafts that differ only what is frozen is spoken: their fingerprints were compared.
    let drafts_differ =
        descriptor.flags.has(Flags::DRAFT_MINOR) && descriptor.fingerprints != FINGERPRINTS;
    if !table.rust_layout.is_null()
        && !drafts_differ
        && let Err((place, difference)) = layout(table.rust_layout)
    {
        faults.push(
            load_fault(
                FaultCode::LayoutMismatch,
                "equal layouts of every table",
                difference,
            )
            .location(place),
        );
    }
    match table.open {
        None => faults.push(load_fault(
            FaultCode::TableMalformed,
            "a function `open`",
            "null",
        )),
        Some(open) if !code.contains(open as usize) => faults.push(outside_code("open")),
        Some(_) => {}
    }
    if let Some(get) = table.get_extension
        && !code.contains(get as usize)
    {
        faults.push(outside_code("get_extension"));
    }
    // SAFETY: R1.
    match unsafe { copy_in(table.ops) } {
        Err(fault) => faults.push(malformed(&fault)),
        Ok(ops) => {
            let (operations, unclaimed) = slots(&ops, descriptor, code, &mut faults);
            if faults.is_empty() {
                return Ok(Checked {
                    table,
                    ops,
                    operations,
                    unclaimed,
                });
            }
        }
    }
    // The gravest first, as with those of a file.
    faults.sort_by_key(|fault| fault.code);
    Err(faults)
}

/// The operations whose slots are filled: claimed ones, then the others. Claimed ones that are not filled are
/// faults.
fn slots(
    ops: &BackendTable,
    descriptor: &Descriptor,
    code: &dyn Code,
    faults: &mut Vec<Fault>,
) -> (Operations, Operations) {
    let (mut filled, mut unclaimed) = (Operations::EMPTY, Operations::EMPTY);
    if ops.drop.is_none() {
        faults.push(load_fault(
            FaultCode::TableMalformed,
            "a function `drop`",
            "null",
        ));
    }
    for operation in Operation::ALL.iter().copied() {
        let address = address_of(ops, operation);
        let claimed = descriptor.operations.has(operation);
        match address {
            Some(address) if !code.contains(address) => faults.push(outside_code(operation.name())),
            // An operation that is not claimed is never called, whatever lies in its slot.
            Some(_) if claimed => filled = filled.with(operation.into()),
            Some(_) => unclaimed = unclaimed.with(operation.into()),
            None if Operations::REQUIRED.has(operation) => {
                let expected = format!("the required operation `{operation}`");
                faults.push(load_fault(
                    FaultCode::RequiredOperationNull,
                    expected,
                    "a null slot",
                ));
            }
            None if claimed => {
                let expected = format!("`{operation}`, which the descriptor claims");
                faults.push(load_fault(
                    FaultCode::ClaimedOperationNull,
                    expected,
                    "a null slot",
                ));
            }
            None => {}
        }
    }
    (filled, unclaimed)
}

fn address_of(ops: &BackendTable, operation: Operation) -> Option<usize> {
    let offset = slot(operation);
    // The copy is zeroed past the plugin's own size, so a shorter table reads as null slots.
    // SAFETY: `slot` gives the offset of a function pointer inside this struct.
    let slot = unsafe { (&raw const *ops).byte_add(offset) };
    // SAFETY: a nullable function pointer, read as a data pointer of the same size.
    let address = unsafe { slot.cast::<*const c_void>().read() };
    (!address.is_null()).then(|| address.addr())
}

fn outside_code(name: &str) -> Fault {
    let found = "it points outside of the file's code";
    load_fault(
        FaultCode::SlotOutsideFile,
        format!("`{name}` inside the plugin's own code"),
        found,
    )
}

/// Compares both sides' tables field by field, in the direction of the older minor.
fn layout(header: *const c_void) -> Result<(), (String, String)> {
    use abi_stable::StableAbi;
    use abi_stable::abi_stability::abi_checking::{
        CheckingGlobals, check_layout_compatibility_with_globals,
    };
    use abi_stable::library::{AbiHeaderRef, RootModule};
    use abi_stable::sabi_types::VersionNumber;
    use holdall_plugin_api::abi::layout::Root_Ref;

    let whole = |text: String| ("rust_layout".to_owned(), text);
    // SAFETY: `AbiHeaderRef` is a pointer to a header; the plugin points to one. `upgrade` checks
    // its magic before anything else is read.
    let header = unsafe { std::mem::transmute::<*const c_void, AbiHeaderRef>(header) };
    let header = header.upgrade().map_err(|error| whole(error.to_string()))?;
    let theirs = VersionNumber::new(header.version_strings())
        .map_err(|error| whole(format!("{error:?}")))?;
    let ours = VersionNumber::new(Root_Ref::VERSION_STRINGS)
        .map_err(|error| whole(format!("{error:?}")))?;
    let theirs_layout = header
        .layout()
        .ok_or_else(|| whole("no layout".to_owned()))?;
    let ours_layout = <Root_Ref as StableAbi>::LAYOUT;
    // Fresh globals each time: with shared ones a plugin that is refused would spoil the next.
    let globals = CheckingGlobals::new();
    let compared = if theirs.minor < ours.minor {
        check_layout_compatibility_with_globals(theirs_layout, ours_layout, &globals)
    } else {
        check_layout_compatibility_with_globals(ours_layout, theirs_layout, &globals)
    };
    compared.map_err(|error| shortened(&error.to_string()))
}

/// Kilobytes of text; the path of fields and the last error are what helps.
fn shortened(text: &str) -> (String, String) {
    let (head, last) = text.rsplit_once("\nError:").unwrap_or(("", text));
    let stack = head
        .rsplit_once("Layout of expected type")
        .map_or(head, |(before, _)| before);
    let path: Vec<&str> = stack
        .lines()
        .filter_map(|line| line.trim().strip_prefix("field_name:"))
        .filter(|name| name.parse::<u8>().is_err())
        .collect();
    // Every error repeats the stack from the root.
    let from = path.iter().rposition(|name| *name == "entry").unwrap_or(0);
    let mut difference = last.split_whitespace().collect::<Vec<_>>().join(" ");
    if difference.len() > 400 {
        difference = difference.chars().take(400).chain("…".chars()).collect();
    }
    (path[from..].join("."), difference)
}
