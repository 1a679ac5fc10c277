//! `delete`.

use crate::adapter::{Adapter, OpenOperator};
use crate::claims::Namespace;
use crate::convert;
use crate::fault::{Intent, fault};
use holdall_plugin_api::{Delete, Deleted, Error, ErrorKind, Result};
use opendal_core::ErrorKind as Kind;
use opendal_core::options::DeleteOptions;

pub(crate) async fn delete<A: OpenOperator>(
    this: &Adapter<A>,
    delete: Delete<'_>,
) -> Result<Deleted> {
    let (operator, captured) = this.begin()?;
    let key = delete.key.text();
    convert::bounded([delete.if_match, delete.version])?;
    let mut existed = None;
    // A service with folders may take the name of a folder for all that is in it, so that is
    // looked at first. Another writer may make a folder in between; nothing better is possible from here.
    if this.store.namespace() == Namespace::Folders {
        existed = match operator.stat(key).await {
            Ok(metadata) => Some(metadata.is_file()),
            Err(error) if error.kind() == Kind::NotADirectory => Some(false),
            Err(error) => match this
                .missing(&operator, &captured, error, Intent::Read)
                .await
            {
                missing if missing.kind() == ErrorKind::FileNotFound => Some(false),
                error => return Err(error),
            },
        };
        if existed == Some(false) {
            return match (delete.if_match, delete.must_exist) {
                (_, true) => Err(Error::not_found()),
                (Some(_), _) => {
                    Err(Error::new(ErrorKind::PreconditionFailed)
                        .with_message("there is no object"))
                }
                (None, false) => Ok(Deleted::new(existed)),
            };
        }
    }
    let options = DeleteOptions {
        if_match: delete.if_match.map(str::to_owned),
        version: delete.version.map(str::to_owned),
        ..DeleteOptions::default()
    };
    match operator.delete_options(key, options).await {
        Ok(()) => Ok(Deleted::new(existed)),
        Err(error) => match fault(error, &captured, Intent::Write) {
            // Some services tell; the contract has it that a missing object is gone.
            missing
                if missing.kind() == ErrorKind::FileNotFound
                    && !delete.must_exist
                    && delete.if_match.is_none() =>
            {
                Ok(Deleted::new(Some(false)))
            }
            missing if missing.kind() == ErrorKind::FileNotFound && delete.if_match.is_some() => {
                Err(Error::new(ErrorKind::PreconditionFailed).with_message("there is no object"))
            }
            error => Err(error),
        },
    }
}
