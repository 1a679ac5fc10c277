//! `plugins/s3` and `plugins/webdav`, the loaded files, against servers that lie, loop and never end.
//!
//! Each server is a script of [`Endpoint`] in this process, so these tests need no server and are not
//! ignored. [`MODES`](s3) name what a server does, what is asked of the backend, and how it must end.
//! Every mode is bounded in time and memory, and no request may leave the bucket or the folder, or
//! reach another server.
#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

/// Rows of a table: name, operation, end, and the script by the address of another server.
macro_rules! modes {
    ($($name:literal, $ask:ident, $end:expr, |$elsewhere:pat_param| $script:expr;)*) => {
        &[$(Mode { name: $name, ask: Ask::$ask, end: $end, script: |$elsewhere| $script }),*]
    };
}

mod lines;
mod retries;
mod rig;
mod s3;
mod tls;
mod webdav;
