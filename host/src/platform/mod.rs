//! What differs by platform, or needs unsafe code outside the loader.

pub mod exit;
pub mod limits;
pub(crate) mod signals;
