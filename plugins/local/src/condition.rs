//! Conditions of reads, and of the bytes of an upload.

use crate::engine::read::ObjectFacts;
use crate::engine::store::LocalStore;
use crate::engine::write::Writer;
use holdall_plugin_api::{Error, ErrorKind, ReadOptions, Result};
use std::time::{SystemTime, UNIX_EPOCH};

/// Checks the conditions of a read against the object, in the order of RFC 9110, 13.2.2.
pub(crate) fn check_read(
    store: &LocalStore,
    options: &ReadOptions<'_>,
    facts: &ObjectFacts,
) -> Result<()> {
    if options.version.is_some() {
        return Err(Error::unsupported("the backend does not keep versions"));
    }
    let etag = || store.etag(facts.stamp, facts.changed, facts.size);
    let names = |wanted: &str| wanted == "*" || etag().as_deref() == Some(wanted);
    let changed_after = |time: SystemTime| seconds(facts.stamp.time()) > seconds(time);
    let lost = Error::new(ErrorKind::PreconditionFailed);
    match (options.if_match, options.if_unmodified_since) {
        (Some(wanted), _) if !names(wanted) => {
            return Err(lost.with_message("the object has another etag"));
        }
        (None, Some(time)) if changed_after(time) => {
            return Err(lost.with_message("the object has changed since"));
        }
        _ => {}
    }
    match (options.if_none_match, options.if_modified_since) {
        (Some(known), _) if names(known) => Err(Error::new(ErrorKind::NotModified)),
        (None, Some(time)) if !changed_after(time) => Err(Error::new(ErrorKind::NotModified)),
        _ => Ok(()),
    }
}

/// Times are compared in whole seconds, as HTTP writes them.
fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX) - 1,
    }
}

/// Expected length and checksums of an upload.
pub(crate) struct Expected {
    pub(crate) length: Option<u64>,
    /// As computed by the host during the transfer, and as given by the caller.
    pub(crate) crc32c: [Option<u32>; 2],
}

impl Expected {
    /// Compares them with the written bytes.
    pub(crate) fn check(&self, writer: &Writer) -> Result<()> {
        if let Some(length) = self.length.filter(|length| *length != writer.size()) {
            return Err(Error::invalid("the body has another length than stated")
                .with_fact("expected", length)
                .with_fact("found", writer.size()));
        }
        let found = writer.crc32c();
        match self
            .crc32c
            .iter()
            .flatten()
            .find(|expected| **expected != found)
        {
            None => Ok(()),
            Some(expected) => Err(Error::new(ErrorKind::ChecksumMismatch)
                .with_message("the received bytes have another checksum than stated")
                .with_fact("expected_crc32c", format_args!("{expected:08x}"))
                .with_fact("found_crc32c", format_args!("{found:08x}"))),
        }
    }
}
