//! What "a correct storage backend" means, as named cases.
//!
//! For plugin authors, who run the cases on their type with a few lines in `tests/conformance.rs`,
//! and for the host's own tests, which run the same cases on the linked and on the loaded plugin.
//! The three runs must agree ([`Report::disagreements`]).
//!
//! ```
//! use holdall_conformance::{Claims, Harness, run, rust_stage};
//! # use holdall_plugin_api::*;
//! # #[derive(serde::Deserialize)] struct Settings {}
//! # struct Shelf;
//! # impl StorageBackend for Shelf {
//! #     type Config = Settings;
//! #     async fn open(_: Settings, _: Host) -> Result<Self> { Ok(Shelf) }
//! #     async fn upload(&self, _: Upload<'_>) -> Result<Uploaded> { Err(Error::unsupported("upload")) }
//! #     async fn download(&self, _: Download<'_>) -> Result<Downloaded> { Err(Error::not_found()) }
//! #     async fn delete(&self, _: Delete<'_>) -> Result<Deleted> { Ok(Deleted::new(None)) }
//! #     async fn exists(&self, _: &Key) -> Result<bool> { Ok(false) }
//! #     async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> { Ok(Signing::AtGateway) }
//! # }
//! struct Mine;
//!
//! impl Harness for Mine {
//!     type Config = Settings;
//!     fn config(&self, _store: u32) -> Settings {
//!         Settings {}
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! // A plugin says `Claims::of(&PLUGIN)`.
//! let claims = Claims {
//!     plugin: "shelf".to_owned(),
//!     operations: Operations::REQUIRED,
//!     capabilities: Capabilities::atomic_put,
//!     schema: None,
//!     flags: Default::default(),
//! };
//! let stage = rust_stage::<Shelf>(claims, Mine);
//! let report = runtime.block_on(run(stage, |case| case.group() == 'H'));
//! assert!(!report.is_ok(), "it answers, but keeps nothing");
//! ```
//!
//! With [`conformance_tests!`] each case becomes one `#[test]`.
//!
//! **How a case ends.** *Passed*; *not applicable*, with the reason; *failed*; *lied*: a capability
//! that is not claimed must answer `Unsupported`, fast, and leave nothing behind, and one that works
//! all the same has lied too, modestly. *Skipped*: it should have run and could not.
//!
//! **What a stage supplies.** A case that needs what the stage does not have is not applicable, and
//! says what it lacks. A backend that signs URLs itself, or whose host does, supplies
//! [`Stage::follow`]. A backend that speaks HTTP supplies [`Stage::at`] and [`Stage::dialect`]: the
//! kit then plays its server ([`wire::Endpoint`]) on all its bad days. With
//! [`Stage::open_with`] the kit tries configurations of its own.
//!
//! Reading order: [`Harness`] (what an author writes), [`Subject`] and [`Stage`] (what is driven),
//! [`rust_stage`] (a plain type as a subject), [`Case`], `trial` (what a case works with), `cases` (one file
//! for each group), [`run()`], [`Report`].
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_errors_doc,
    reason = "a case fails for exactly the reason that its own line states"
)]

pub mod body;
mod case;
mod cases;
mod checked;
mod data;
mod folder_store;
mod follow;
mod harness;
mod macros;
mod report;
mod run;
mod runtime;
mod rust;
mod subject;
mod trial;
mod unclaimed;
mod watch;
pub mod wire;

pub use case::{Case, Tag};
pub use cases::all as cases;
pub use folder_store::FolderStore;
pub use harness::Harness;
/// The contract that the cases speak of, for stages outside of a plugin.
pub use holdall_plugin_api;
pub use report::{CaseResult, Disagreement, Report, Status};
pub use run::{Step, run, run_watched, test_case};
pub use rust::{Claims, rust_stage, rust_stage_from};
pub use subject::{
    Broken, DirectAccess, Following, Handshake, Level, Loader, Opening, Stage, Subject, SubjectInfo,
};
