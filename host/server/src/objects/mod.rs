//! What can be done with objects: one file for each.

pub(crate) mod answer;
pub(crate) mod batch;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod form;
mod index;
pub(crate) mod list;
pub(crate) mod quota;
pub(crate) mod read;
pub(crate) mod webdav;
pub(crate) mod write;
