//! Both ends of an HTTP connection, doing exactly as told.
//!
//! For the tests of whatever speaks HTTP: [`send`] uses a signed URL as a stranger would.
#![forbid(unsafe_code)]

mod client;

pub use client::send;
