//! A backend as an [`opendal::Operator`](opendal_core::Operator), for programs that speak OpenDAL
//! (feature `opendal`).
//!
//! ```no_run
//! # async fn example(host: holdall::Host) -> Result<(), Box<dyn std::error::Error>> {
//! let operator = host.backend("media").await?.into_operator().await?;
//! operator.write("2026/photo.jpg", "bytes").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The operator has the capabilities that the backend claims when it is made, and follows the
//! backend as every handle does. What has no counterpart: OpenDAL's folders. A backend has keys
//! only, so a path that ends in `/` exists while some key begins so, and `create_dir` is refused.
//! Layers of OpenDAL (retries, metrics, ..) go on top as usual.

mod error;
mod lister;
mod metadata;
mod reader;
mod service;
mod writer;

use crate::Backend;
use holdall_plugin_api::{Error, ErrorKind, Result};
use opendal_core::Operator;

impl Backend {
    /// This backend as an operator of OpenDAL. Opens it, because an operator says from the start
    /// what it can do.
    ///
    /// # Errors
    ///
    /// Why the backend cannot be opened.
    pub async fn into_operator(self) -> Result<Operator> {
        let facts = self.facts().await?;
        let builder = service::Holdall::new(self, &facts);
        Operator::new(builder).map_err(|error| Error::new(ErrorKind::Other).because(error))
    }
}
