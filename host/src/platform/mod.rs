//! What differs by platform, or needs unsafe code outside the loader.

pub(crate) mod signals;
