#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod directory;
mod error;
mod lister;
mod metadata;
mod reader;
mod service;
mod writer;

use holdall::{Backend, Error, ErrorKind, Result};
use opendal_core::Operator;

/// Converts a [`Backend`] into an [`Operator`].
pub trait IntoOperator {
    /// Returns the backend as an operator. Opens the backend, because an operator states its
    /// capabilities from the start.
    ///
    /// # Errors
    ///
    /// Why the backend cannot be opened.
    fn into_operator(self) -> impl Future<Output = Result<Operator>> + Send;
}

impl IntoOperator for Backend {
    async fn into_operator(self) -> Result<Operator> {
        let (facts, terms) = (self.info().await?, self.terms().await?);
        let builder = service::HoldallBuilder::new(self, &facts, &terms);
        Operator::new(builder).map_err(|error| Error::new(ErrorKind::Other).because(error))
    }
}
