//! Both ends of an HTTP connection, doing exactly as told: for the tests of what speaks HTTP.
//!
//! [`send`] is a client that adds nothing of its own: it uses a signed URL as a stranger would.
//!
//! [`Endpoint`] is a server that answers as a script says and counts what it is asked. Between a
//! backend and its provider it plays the provider's bad days: every status, garbage, silence, an
//! answer that is cut off, an answer that gets lost ([`Reply`]), in the provider's own words
//! ([`Dialect`]).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use holdall_conformance::wire::{Dialect, Endpoint, Fault, Reply, send};
//!
//! // The first request is throttled, the second gets its object.
//! let mut count = 0;
//! let endpoint = Endpoint::start(move |request| {
//!     count += 1;
//!     match (count, request.method.as_str()) {
//!         (1, _) => Dialect::S3.fault(Fault::SlowDown),
//!         (_, "GET") => Dialect::S3.object("hello"),
//!         _ => Reply::new(405),
//!     }
//! })
//! .await;
//!
//! let get = || http::Request::get(format!("{}/bucket/key", endpoint.url())).body("".into());
//! let first = send(get().unwrap()).await.unwrap();
//! assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (503, &"7".parse().unwrap()));
//! assert_eq!(send(get().unwrap()).await.unwrap().body(), "hello");
//! assert_eq!(endpoint.seen().len(), 2);
//! # });
//! ```
//!
//! **A plugin that speaks HTTP** is pointed at an endpoint by its stage of the conformance kit
//! (`Stage::at`, `Harness::at`), and gets the cases tagged `NEED:http` for it.

mod client;
mod dialect;
mod endpoint;
mod reply;

pub use client::send;
pub use dialect::{Dialect, Fault, REQUEST_ID, RETRY_AFTER};
pub use endpoint::{Endpoint, Seen, refused_url};
pub use reply::Reply;
