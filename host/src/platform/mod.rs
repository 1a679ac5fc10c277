//! What differs by platform, or needs unsafe code outside the loader.

pub(crate) mod crash;
pub(crate) mod crumbs;
pub mod exit;
pub mod limits;
pub mod privileges;
pub mod signals;
