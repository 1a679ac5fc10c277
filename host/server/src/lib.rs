//! HTTP over any backend of a [`holdall::Host`], and nothing else.
//!
//! For programs that put their storage on the network: mounted into an `axum` application by
//! [`router`], or run as a server of its own by [`Server`], as `holdall serve` does.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use holdall::Host;
//! use holdall_server::{Server, Settings};
//!
//! let host = Host::builder().plugin_dir("plugins").config_file("holdall.toml").build()?;
//! let settings = Settings::of(&host.config())?;
//! let listener = tokio::net::TcpListener::bind(settings.listen).await?;
//! Server::new(host, settings).run(listener, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Requests
//!
//! | request | does |
//! | --- | --- |
//! | `GET`, `HEAD /v1/{backend}/{key}` | reads an object: one range, conditions, `?download=NAME` |
//! | `PUT /v1/{backend}/{key}` | stores one: any length, chunked too; conditions, digests, metadata |
//! | `PUT /v1/{backend}/{key}?copy_from=KEY` | copies one inside the backend |
//! | `DELETE /v1/{backend}/{key}` | 204, also when there was none; `?must_exist=true`: 404 then |
//! | `POST /v1/{backend}/{key}?sign` | makes a URL that works without credentials |
//! | `GET /v1/{backend}?list` | a page: `prefix`, `delimiter`, `limit`, `page_token`, `start_after` |
//! | `POST /v1/{backend}?delete` | deletes `{"keys": [..]}`, one answer for each |
//! | `POST /v1/{backend}` | stores the files of a `multipart/form-data` form |
//!
//! Keys are percent-decoded exactly once and never normalised. Errors are problem details (RFC 9457)
//! with a stable `code`. What each operation means is the contract of the `holdall` crate; what HTTP
//! means is RFC 9110.
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
pub use serve::{Control, Server, Stopped};
pub use settings::{Profile, Settings};
pub use tls::Tls;
