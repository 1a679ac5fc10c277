//! Turns any [`object_store::ObjectStore`] into a Holdall plugin.
//!
//! For authors of plugins. Say how a configuration becomes an [`OpenedStore`], name [`Adapter`] in
//! `export_plugin!`, and everything between is done: uploads in parts of bounded memory that are
//! aborted on every way out, ranges and conditions, pages, signed URLs, and errors that carry what
//! the provider answered.
//!
//! ```
//! use holdall_plugin_api::{Capabilities, Host, Result};
//! use holdall_plugin_api_object_store::object_store::memory::InMemory;
//! use holdall_plugin_api_object_store::{Adapter, GIVEN, OpenStore, OpenedStore};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! #[cfg_attr(test, derive(schemars::JsonSchema))]
//! pub struct Config {}
//!
//! pub struct OfMemory;
//!
//! impl OpenStore for OfMemory {
//!     type Config = Config;
//!     async fn open(_: Config, _: &Host) -> Result<OpenedStore> {
//!         Ok(OpenedStore::new(InMemory::new()).describe("memory"))
//!     }
//! }
//!
//! const CLAIMS: Capabilities = GIVEN.with(Capabilities::content_type);
//!
//! // holdall_plugin_api::export_plugin! {
//! //     backend: Adapter<OfMemory>,
//! //     name: "in-memory",
//! //     schemes: ["in-memory"],
//! //     runtime: tokio_spawn,
//! //     operations: [head, list, copy, delete_many, health, shutdown],
//! //     capabilities: CLAIMS,
//! //     config_schema: "config.schema.json",
//! // }
//! # fn exported(_: Adapter<OfMemory>) -> Capabilities { CLAIMS }
//! ```
//!
//! That is the whole library. Its manifest names `crate-type = ["cdylib"]`, depends on
//! `holdall-plugin-api`, this crate and `serde` (with `derive`), and for its test on `schemars` and
//! `serde_json`. The schema lies beside the manifest; `HOLDALL_UPDATE=1 cargo test` writes it from the
//! type. `holdall inspect` on the built file says whether a host takes it.
//!
//! **Capabilities.** The macro declares the most that the plugin can do. What an *instance* claims
//! follows from the store and its configuration: [`OpenedStore::capabilities`]. The adapter itself keeps
//! [`GIVEN`] for every store; the rest is the store's to promise.
//!
//! **Stores over HTTP** (feature `http`): give the builder of the store our connector, `Http`,
//! so that status, code, request id and `Retry-After` reach the error, and conditions can be held by the completion of parts. `Lister` makes
//! pages that survive foreign keys, and `ServiceSettings` are the fields that the configuration of every
//! such store has.
//!
//! Reading order: [`opened_store`](OpenedStore) (what an author states), `adapter` (the contract), `upload`, `download`,
//! `list`, `sign`, then `error`, `reply`, `connector` and `patient`; `service_settings` and `parts` for configurations;
//! `requests` of a plugin's own; `multipart` for uploads in parts that a caller leads, whose large parts are
//! `streamed`; `uploads` for what the protocol says of unfinished ones, and `sweep` for what killed processes leave.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod adapter;
#[cfg(feature = "http")]
mod answer;
#[cfg(feature = "http")]
mod connector;
mod download;
mod error;
mod list;
#[cfg(feature = "http")]
mod lister;
mod metadata;
#[cfg(feature = "http")]
mod multipart;
mod opened_store;
#[cfg(feature = "http")]
mod parts;
#[cfg(feature = "http")]
mod patient;
#[cfg_attr(
    not(feature = "http"),
    allow(dead_code, reason = "only the connector notes what was answered")
)]
mod reply;
#[cfg(feature = "http")]
mod requests;
#[cfg(feature = "http")]
mod service_settings;
mod sign;
#[cfg(feature = "http")]
mod streamed;
#[cfg(feature = "http")]
mod sweep;
mod upload;
#[cfg(feature = "http")]
mod uploads;

pub use adapter::{Adapter, OpenStore};
#[cfg(feature = "http")]
pub use connector::{Http, HttpOptions, Proxy};
pub use error::{error_of, of_code};
#[cfg(feature = "http")]
pub use holdall_plugin_api::Secret;
#[cfg(feature = "http")]
pub use lister::Lister;
#[cfg(feature = "http")]
pub use multipart::Multipart;
pub use object_store;
pub use opened_store::{Condition, LargeConditions, MetadataNames, Native, OpenedStore};
#[cfg(feature = "http")]
pub use parts::PartSettings;
pub use reply::Call;
#[cfg(feature = "http")]
pub use requests::{Authorize, AuthorizeError, Requests};
pub use service_settings::{ServiceSettings, check_name};

use holdall_plugin_api::Capabilities;

/// Signed URLs with all that S3 and Google bind.
pub const SIGNING: Capabilities = Capabilities::sign_get
    .with(Capabilities::sign_put)
    .with(Capabilities::sign_head)
    .with(Capabilities::sign_delete)
    .with(Capabilities::sign_content_type)
    .with(Capabilities::sign_disposition);

/// What the three large services keep alike, behind our connector: a plugin adds and takes away.
pub const CLOUD: Capabilities = GIVEN
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(Capabilities::if_time)
    .with(Capabilities::content_type)
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::header_content_language)
    .with(Capabilities::server_copy)
    .with(Capabilities::any_delimiter)
    .with(Capabilities::key_and_prefix)
    .with(Capabilities::case_sensitive)
    .with(Capabilities::unicode_exact)
    .with(SIGNING);

/// What the adapter keeps for every store that keeps the contract of `ObjectStore`. Not `if_time`:
/// times of HTTP have whole seconds, and stores that are not behind HTTP compare finer ones.
pub const GIVEN: Capabilities = Capabilities::atomic_put
    .with(Capabilities::create_only)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get)
    .with(Capabilities::suffix)
    .with(Capabilities::unknown_length);
