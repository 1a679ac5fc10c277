//! Conditions of requests, held against what was just looked up.

use crate::store::{Object, WebdavStore};
use holdall_plugin_api::{Error, ErrorKind, ReadOptions, Result};
use std::time::{SystemTime, UNIX_EPOCH};

/// Holds the conditions of a read against the object: an etag wins over a time, as [RFC 9110,
/// 13.2.2] has it.
///
/// [RFC 9110, 13.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
pub(crate) fn check_read(
    store: &WebdavStore,
    object: &Object,
    options: &ReadOptions<'_>,
) -> Result<()> {
    let etag = object.etag(&store.features);
    let names = |wanted: &str| wanted == "*" || etag.as_deref() == Some(wanted);
    let changed_after = |time: SystemTime| object.modified.map(seconds) > Some(seconds(time));
    match (options.if_match, options.if_unmodified_since) {
        (Some(wanted), _) if !names(wanted) => return Err(lost("the object has another etag")),
        (None, Some(time)) if changed_after(time) => {
            return Err(lost("the object has changed since"));
        }
        _ => {}
    }
    match (options.if_none_match, options.if_modified_since) {
        (Some(wanted), _) if names(wanted) => Err(Error::new(ErrorKind::NotModified)),
        (None, Some(time)) if !changed_after(time) => Err(Error::new(ErrorKind::NotModified)),
        _ => Ok(()),
    }
}

/// Conditions of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) create_only: bool,
    pub(crate) if_match: Option<&'a str>,
}

impl Expected<'_> {
    pub(crate) fn is_any(&self) -> bool {
        !self.create_only && self.if_match.is_none()
    }

    /// # Errors
    ///
    /// `PreconditionFailed`; what the server says.
    pub(crate) async fn check(&self, store: &WebdavStore, key: &str) -> Result<()> {
        match self.is_any() {
            true => Ok(()),
            false => self.check_object(store, store.object(key).await),
        }
    }

    /// As [`Expected::check`], for who changes this key just now.
    pub(crate) async fn check_held(&self, store: &WebdavStore, key: &str) -> Result<()> {
        match self.is_any() {
            true => Ok(()),
            false => self.check_object(store, store.object_held(key).await),
        }
    }

    fn check_object(&self, store: &WebdavStore, found: Result<Object>) -> Result<()> {
        match found {
            Ok(_) if self.create_only => Err(lost("the object exists")),
            Ok(object) => match self.if_match {
                Some("*") | None => Ok(()),
                Some(etag) if object.etag(&store.features).as_deref() == Some(etag) => Ok(()),
                Some(_) => Err(lost("the object has another etag")),
            },
            Err(error) if error.kind() == ErrorKind::FileNotFound => match self.if_match {
                Some(_) => Err(lost("there is no object")),
                None => Ok(()),
            },
            Err(error) => Err(error),
        }
    }
}

fn lost(why: &'static str) -> Error {
    Error::new(ErrorKind::PreconditionFailed).with_message(why)
}

/// Whole seconds: HTTP dates have no finer time.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
