//! Extensions by name (rule R18 of the ABI): tables that the program offers to plugins.

use holdall_plugin_api::abi::extension::is_extension_name;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{PoisonError, RwLock};

/// Addresses of tables that live as long as the process.
static OFFERED: RwLock<BTreeMap<String, usize>> = RwLock::new(BTreeMap::new());

/// Offers a table to every plugin of this process, by its name: `unstable.MAKER.NAME` for an experiment between a
/// program and a plugin of one maker. What the table is, its maker says; by convention its first field is its size in
/// bytes, as `usize`, so that it can grow. A plugin asks with `Host::extension`, a C plugin with
/// `HoldallHostServices.get_extension`.
///
/// # Errors
///
/// What is wrong: a name of another form, or one that is taken by another table.
///
/// ```
/// #[repr(C)]
/// struct Scratch {
///     size: usize,
///     bytes: u64,
/// }
/// static SCRATCH: Scratch = Scratch { size: size_of::<Scratch>(), bytes: 1 << 30 };
/// holdall::offer_extension("unstable.acme.scratch", &SCRATCH)?;
/// assert!(holdall::offer_extension("scratch", &SCRATCH).is_err());
/// # Ok::<(), String>(())
/// ```
pub fn offer_extension<T: Sync>(name: &str, table: &'static T) -> Result<(), String> {
    if !is_extension_name(name) {
        return Err(format!(
            "an extension is named `holdall.NAME.VERSION` or `unstable.MAKER.NAME`, found {name:?}"
        ));
    }
    let address = std::ptr::from_ref(table).expose_provenance();
    let mut offered = OFFERED.write().unwrap_or_else(PoisonError::into_inner);
    match offered.get(name) {
        Some(known) if *known != address => Err(format!("the extension {name} is offered already")),
        _ => {
            offered.insert(name.to_owned(), address);
            Ok(())
        }
    }
}

/// The table of this name, or null.
pub(super) fn offered(name: &str) -> *const c_void {
    let offered = OFFERED.read().unwrap_or_else(PoisonError::into_inner);
    match offered.get(name) {
        Some(address) => std::ptr::with_exposed_provenance(*address),
        None => std::ptr::null(),
    }
}
