//! One file per command: its options, what it asks of the library, how it tells the answer.

pub(crate) mod check;
pub(crate) mod completions;
mod concurrent;
pub(crate) mod config;
pub(crate) mod cp;
pub(crate) mod exists;
pub(crate) mod get;
pub(crate) mod head;
pub(crate) mod inspect;
mod listing;
pub(crate) mod ls;
pub(crate) mod man;
mod metadata;
pub(crate) mod new;
mod object_json;
pub(crate) mod plugins;
pub(crate) mod put;
pub(crate) mod quota;
pub(crate) mod rm;
pub(crate) mod serve;
pub(crate) mod sign;
pub(crate) mod token;
