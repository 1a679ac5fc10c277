//! From file to plugin: found by a scan, judged without running it, loaded when first needed.

pub(crate) mod catalog;
pub(crate) mod emulation;
pub(crate) mod errors;
pub(crate) mod extensions;
pub mod fault;
pub mod inspect;
#[allow(
    unsafe_code,
    reason = "calls foreign code: maps libraries and drives the tables"
)]
pub(crate) mod load;
pub mod quarantine;
mod reference;
pub mod scan;
pub mod trial;
pub mod trust;

pub use reference::PluginRef;
