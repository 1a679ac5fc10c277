//! Stages for the conformance kit: a plugin as its Rust type, linked in, and loaded, the latter two
//! through the host ([`HostStage`], which the command `check` uses too).
//!
//! A plugin is described once, as a [`Harness`], and driven at each [`Level`]:
//!
//! ```no_run
//! # use holdall_conformance::Harness;
//! # use holdall_e2e::kit::loaded;
//! # use serde_json::{Value, json};
//! # use std::{path::Path, sync::Arc};
//! struct Memory;
//!
//! impl Harness for Memory {
//!     type Config = Value;
//!
//!     fn config(&self, _store: u32) -> Value {
//!         json!({})
//!     }
//! }
//!
//! # async fn run(library: &Path) {
//! let stage = loaded(library, Memory);
//! let report = holdall_conformance::run(Arc::new(stage), |_| true).await;
//! assert!(report.is_ok(), "{report}");
//! # }
//! ```
//!
//! A plugin that speaks HTTP says in [`Harness::at`] how it is pointed at another server, and gets
//! the cases tagged `NEED:http`; with [`Harness::server`] also the one that loses answers.
//!
//! URLs that the host's gateway signs are used in process, or over the wire with the server in front
//! ([`served`]); what a store signs itself is used by an HTTP client.

mod child;
mod served;
mod tools;

pub use child::child;
pub use holdall_cli::kit::HostStage;
pub use tools::{linked, loaded, served};

#[cfg(doc)]
use holdall_conformance::{Harness, Level};
