//! From the store's answer to facts and chunks.

use crate::error::of_read;
use crate::metadata;
use crate::opened_store::OpenedStore;
use crate::reply::Call;
use futures_util::stream::BoxStream;
use holdall_plugin_api::Source;
use holdall_plugin_api::{
    ByteRange, Bytes, Error, ErrorKind, MAX_CHUNK, ObjectInfo, ReadOptions, Result,
};
use object_store::{Attribute, Attributes, GetOptions, GetRange, ObjectMeta};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

/// Stores count in 63 bits, and some read a larger number as a small one.
const FARTHEST: u64 = i64::MAX as u64;

/// Whether an object may have this etag at all. One that no header can carry belongs to no object, and the
/// stores' clients take it for a programming error.
pub(crate) fn is_possible(etag: &str) -> bool {
    http::HeaderValue::from_str(etag).is_ok()
}

/// # Errors
///
/// `PreconditionFailed`: an etag that no object has.
pub(crate) fn options(asked: &ReadOptions<'_>, range: Option<ByteRange>) -> Result<GetOptions> {
    if asked.if_match.is_some_and(|etag| !is_possible(etag)) {
        return Err(
            Error::new(ErrorKind::PreconditionFailed).with_message("no object has this etag")
        );
    }
    Ok(GetOptions {
        // `*` is any object, and a read of none fails anyway.
        if_match: asked
            .if_match
            .filter(|etag| *etag != "*")
            .map(str::to_owned),
        if_none_match: asked
            .if_none_match
            .filter(|etag| *etag != "*" && is_possible(etag))
            .map(str::to_owned),
        if_modified_since: asked.if_modified_since.map(Into::into),
        if_unmodified_since: asked.if_unmodified_since.map(Into::into),
        version: asked.version.map(str::to_owned),
        range: match range {
            None => None,
            Some(ByteRange::Bounded(range)) => {
                let start = range.start.min(FARTHEST - 1);
                Some(GetRange::Bounded(start..range.end.min(FARTHEST)))
            }
            Some(ByteRange::From(start)) => Some(GetRange::Offset(start.min(FARTHEST - 1))),
            Some(ByteRange::Last(count)) => Some(GetRange::Suffix(count.min(FARTHEST))),
            Some(_) => return Err(Error::unsupported("this kind of range")),
        },
        ..GetOptions::default()
    })
}

pub(crate) fn info(store: &OpenedStore, meta: ObjectMeta, attributes: &Attributes) -> ObjectInfo {
    let mut info = ObjectInfo::new(meta.size);
    info.etag = etag(meta.e_tag);
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

/// Some answers have an empty one.
pub(crate) fn etag(etag: Option<String>) -> Option<String> {
    etag.filter(|etag| !etag.is_empty())
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
                Some(Err(error)) => return Poll::Ready(Some(Err(of_read(error, &this.call)))),
                None => return Poll::Ready(None),
            }
        }
        let most = this.most.min(this.held.len());
        Poll::Ready(Some(Ok(this.held.split_to(most))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_that_no_header_carries_is_nobodys() {
        let mut asked = ReadOptions::default();
        asked.if_match = Some("\0");
        let refused = options(&asked, None).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PreconditionFailed);
        asked.if_match = None;
        asked.if_none_match = Some("a\r\nb");
        assert_eq!(options(&asked, None).unwrap().if_none_match, None);
        asked.if_none_match = Some("\"good\"");
        assert!(options(&asked, None).unwrap().if_none_match.is_some());
    }

    #[test]
    fn ranges_stay_within_63_bits() {
        let far = ByteRange::Bounded(u64::MAX - 5..u64::MAX);
        let range = options(&ReadOptions::default(), Some(far)).unwrap().range;
        assert_eq!(range, Some(GetRange::Bounded(FARTHEST - 1..FARTHEST)));
    }
}
