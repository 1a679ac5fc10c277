//! From the store's answer to facts and chunks.

use crate::error::error_of;
use crate::metadata;
use crate::reply::Call;
use crate::store::Store;
use futures_util::stream::BoxStream;
use holdall_plugin_api::abi::stream::Source;
use holdall_plugin_api::{ByteRange, Bytes, MAX_CHUNK, ObjectInfo, ReadOptions, Result};
use object_store::{Attribute, Attributes, GetOptions, GetRange, ObjectMeta};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

/// Stores count in 63 bits, and some read a larger number as a small one.
const FARTHEST: u64 = i64::MAX as u64;

pub(crate) fn options(asked: &ReadOptions<'_>, range: Option<ByteRange>) -> GetOptions {
    GetOptions {
        // `*` is any object, and a read of none fails anyway.
        if_match: asked
            .if_match
            .filter(|etag| *etag != "*")
            .map(str::to_owned),
        if_none_match: asked.if_none_match.map(str::to_owned),
        if_modified_since: asked.if_modified_since.map(Into::into),
        if_unmodified_since: asked.if_unmodified_since.map(Into::into),
        version: asked.version.map(str::to_owned),
        range: range.map(|range| match range {
            ByteRange::Bounded(range) => {
                let start = range.start.min(FARTHEST - 1);
                GetRange::Bounded(start..range.end.min(FARTHEST))
            }
            ByteRange::From(start) => GetRange::Offset(start.min(FARTHEST - 1)),
            ByteRange::Last(count) => GetRange::Suffix(count.min(FARTHEST)),
        }),
        ..GetOptions::default()
    }
}

pub(crate) fn info(store: &Store, meta: ObjectMeta, attributes: &Attributes) -> ObjectInfo {
    let mut info = ObjectInfo::new(meta.size);
    info.etag = store.etag(meta.e_tag, meta.version.as_deref());
    info.version = meta.version;
    info.last_modified = modified(meta.last_modified.into());
    for (attribute, value) in attributes {
        let text = || Some(value.as_ref().to_owned());
        match attribute {
            Attribute::ContentType => info.content_type = text(),
            Attribute::CacheControl => info.cache_control = text(),
            Attribute::ContentDisposition => info.content_disposition = text(),
            Attribute::ContentEncoding => info.content_encoding = text(),
            Attribute::ContentLanguage => info.content_language = text(),
            Attribute::Metadata(name) => info.metadata.push((
                metadata::name_back(name, store.metadata_names),
                metadata::decode(value.as_ref()),
            )),
            _ => {}
        }
    }
    info.metadata.sort_unstable();
    info
}

/// Stores that do not say give out the epoch.
pub(crate) fn modified(time: SystemTime) -> Option<SystemTime> {
    Some(time).filter(|time| *time != SystemTime::UNIX_EPOCH)
}

/// The bytes, in chunks that suit the caller. Pulls nothing ahead.
pub(crate) struct Chunks {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    call: Arc<Call>,
    most: usize,
    held: Bytes,
}

impl Chunks {
    pub(crate) fn new(
        stream: BoxStream<'static, object_store::Result<Bytes>>,
        call: Arc<Call>,
        hint: u32,
    ) -> Self {
        Self {
            stream,
            call,
            most: hint.clamp(1, MAX_CHUNK) as usize,
            held: Bytes::new(),
        }
    }
}

impl Source for Chunks {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        while this.held.is_empty() {
            let stream = this.stream.as_mut();
            let next = ready!(this.call.poll(|| stream.poll_next(cx)));
            match next {
                Some(Ok(bytes)) => this.held = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error_of(error, &this.call)))),
                None => return Poll::Ready(None),
            }
        }
        let most = this.most.min(this.held.len());
        Poll::Ready(Some(Ok(this.held.split_to(most))))
    }
}
