//! Extensions by name (rule R18 of the ABI): tables that the program provides to plugins.

use holdall_plugin_api::abi::extension::is_extension_name;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{PoisonError, RwLock};

/// Addresses of the tables by name. Each table lives as long as the process.
static OFFERED: RwLock<BTreeMap<String, usize>> = RwLock::new(BTreeMap::new());

/// Provides a table to every plugin of this process, under a name.
///
/// The name is `unstable.MAKER.NAME` for an experiment between a program and a plugin of the same maker. The maker
/// defines the table. By convention its first field is its size in bytes, as `usize`, so that later versions can add
/// fields. A plugin gets the table with `Host::extension`, a plugin in C with `HoldallHostServices.get_extension`.
///
/// # Errors
///
/// A text that says what is wrong: the name has another form, or another table has this name.
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
        Some(known) if *known != address => Err(format!(
            "the extension {name} is another table already; choose another name"
        )),
        _ => {
            offered.insert(name.to_owned(), address);
            Ok(())
        }
    }
}

/// Returns the table of this name, or null.
pub(super) fn offered(name: &str) -> *const c_void {
    let offered = OFFERED.read().unwrap_or_else(PoisonError::into_inner);
    match offered.get(name) {
        Some(address) => std::ptr::with_exposed_provenance(*address),
        None => std::ptr::null(),
    }
}
