#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// Put together.
mod router;
mod serve;
mod settings;
mod state;

// Around every request.
mod access;
mod call;
mod cors;
mod problem;
mod tls;
mod trace;

// Read from requests, written into answers.
mod body;
mod conditions;
mod digests;
mod etag;
mod headers;
mod query;
mod ranges;
mod target;

// Done.
mod objects;
mod openapi;
mod signing;

// Watched.
mod watch;

pub use access::{Rule, Scope, Token};
pub use cors::Cors;
pub use openapi::openapi;
pub use router::router;
pub use serve::{Control, LessProtected, Server, Stopped};
pub use settings::{Profile, Settings};
pub use tls::Tls;
