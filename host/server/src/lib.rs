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
mod connection;
mod cors;
mod message;
mod problem;
mod rights;
mod tls;
mod trace;

// Read from requests, written into answers.
mod body;
mod conditions;
mod digests;
mod headers;
mod ranges;

// Done.
mod objects;
mod openapi;
mod signing;

// Watched.
mod watch;

pub use cors::Cors;
pub use openapi::openapi;
pub use problem::Profile;
pub use rights::{Rule, Scope, Token};
pub use router::router;
pub use serve::{Control, LessProtected, Server, Stopped};
pub use settings::Settings;
pub use tls::Tls;
