//! What the command shares with the end-to-end tests of this repository: a built file as a stage of the
//! conformance kit. No API for others; the command itself is the binary.
#![forbid(unsafe_code)]

pub mod kit;
