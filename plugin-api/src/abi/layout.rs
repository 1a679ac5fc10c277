//! The layout of every table, described by `abi_stable` for the host to compare.
//!
//! Only described: no table is carried, loaded or called by that crate, which is not maintained any
//! more. A plugin built without the feature `layout-check`, or in C, says null instead.

#![allow(non_camel_case_types, reason = "the derived layout descriptions")]

use super::tables::PluginTable;
use abi_stable::StableAbi;
use abi_stable::library::{
    CheckTypeLayout, LibHeader, RootModule, RootModuleError, RootModuleResult,
};
use abi_stable::sabi_types::VersionStrings;

/// The root of the description: everything else is found from the entry's result.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = Root_Ref, prefix_fields = Root_Prefix)))]
pub struct Root {
    /// The shape of the exported symbol.
    #[sabi(last_prefix_field)]
    pub entry: extern "C" fn() -> *const PluginTable,
}

impl RootModule for Root_Ref {
    abi_stable::declare_root_module_statics! {Root_Ref}
    const BASE_NAME: &'static str = "holdall";
    const NAME: &'static str = "holdall";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.1.0");
}

const _: () = assert!(
    super::list::VERSION.major == 1 && super::list::VERSION.minor == 1,
    "raise VERSION_STRINGS together with the minor: it decides in which direction layouts are compared"
);

extern "C" fn no_module() -> RootModuleResult {
    RootModuleResult::RErr(RootModuleError::Unwound)
}

/// What `PluginTable::rust_layout` points to.
pub static RUST_LAYOUT: LibHeader = {
    // SAFETY: the constructor is never called: the header is read for its layout only.
    unsafe { LibHeader::from_constructor::<Root_Ref>(no_module, CheckTypeLayout::Yes) }
};
