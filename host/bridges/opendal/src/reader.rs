//! Reads: one download for each stream.

use super::error::error;
use super::metadata;
use holdall::Backend;
use holdall_plugin_api::{Body, ByteRange, Bytes, Download, ReadOptions};
use opendal_core::raw::oio::{ReadStream, ReadStreamDyn, StreamRead};
use opendal_core::raw::{OpRead, OpStat, RpRead, Timestamp};
use opendal_core::{Buffer, BytesRange, Result};
use std::sync::Mutex;
use std::time::SystemTime;

pub(super) struct Reading {
    pub(super) backend: Backend,
    pub(super) key: String,
    pub(super) conditions: Conditions,
}

/// The conditions of a read, owned.
#[derive(Default)]
pub(super) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    version: Option<String>,
}

macro_rules! conditions {
    ($args:ty) => {
        impl From<&$args> for Conditions {
            fn from(args: &$args) -> Self {
                let owned = |text: Option<&str>| text.map(str::to_owned);
                let time = |time: Option<Timestamp>| time.map(SystemTime::from);
                Self {
                    if_match: owned(args.if_match()),
                    if_none_match: owned(args.if_none_match()),
                    if_modified_since: time(args.if_modified_since()),
                    if_unmodified_since: time(args.if_unmodified_since()),
                    version: owned(args.version()),
                }
            }
        }
    };
}
conditions!(OpRead);
conditions!(OpStat);

impl Conditions {
    pub(super) fn apply<'a>(&'a self, options: &mut ReadOptions<'a>) {
        options.if_match = self.if_match.as_deref();
        options.if_none_match = self.if_none_match.as_deref();
        options.if_modified_since = self.if_modified_since;
        options.if_unmodified_since = self.if_unmodified_since;
        options.version = self.version.as_deref();
    }
}

impl StreamRead for Reading {
    async fn open(&self, range: BytesRange) -> Result<(RpRead, Box<dyn ReadStreamDyn>)> {
        let mut download = Download::new(&self.key);
        self.conditions.apply(download.options_mut());
        download = match range {
            BytesRange::Range {
                offset: 0,
                size: None,
            } => download,
            BytesRange::Range { offset, size: None } => download.range(ByteRange::From(offset)),
            BytesRange::Range {
                offset,
                size: Some(size),
            } => {
                let end = offset.saturating_add(size);
                download.range(ByteRange::Bounded(offset..end))
            }
            BytesRange::Suffix { size } => download.range(ByteRange::Last(size)),
        };
        let downloaded = self.backend.download(download).await.map_err(error)?;
        let metadata = metadata::of_object(&downloaded.info);
        let stream = Stream(Mutex::new(downloaded.body));
        Ok((RpRead::new(metadata), Box::new(stream)))
    }
}

/// The lock is never contended: a body belongs to one task, and OpenDAL requires `Sync`.
struct Stream(Mutex<Body>);

impl ReadStream for Stream {
    async fn read(&mut self) -> Result<Buffer> {
        let body = match self.0.get_mut() {
            Ok(body) => body,
            Err(poisoned) => poisoned.into_inner(),
        };
        loop {
            match body.chunk().await {
                None => return Ok(Buffer::new()),
                // An empty buffer means the end.
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => return Ok(Buffer::from(Bytes::from(chunk))),
                Some(Err(of_body)) => return Err(error(of_body)),
            }
        }
    }
}
