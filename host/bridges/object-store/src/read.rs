//! `get_opts` and `get_ranges`.

use super::attributes;
use super::error::{During, outward};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt};
use holdall::Backend;
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{
    Body, ByteRange, Capability, Download, DownloadRanges, Error, ErrorKind, Head, MAX_RANGES,
    ReadOptions, Result,
};
use object_store::path::Path;
use object_store::{
    Extensions, GetOptions, GetRange, GetResult, GetResultPayload, OBJECT_STORE_COALESCE_DEFAULT,
    ObjectMeta, Result as StoreResult, coalesce_ranges,
};
use std::ops::Range;
use std::time::SystemTime;

pub(super) async fn get(
    backend: &Backend,
    location: &Path,
    options: GetOptions,
) -> StoreResult<GetResult> {
    let outward = outward(During::Other);
    let terms = backend.terms().await.map_err(outward)?;
    let native = natively(&options, &terms);
    let key = location.as_ref();
    let (info, range, body) = if options.head {
        let head = Head::new(key).with_options(native);
        let info = backend.head(head).await.map_err(outward)?;
        let range = match &options.range {
            None => 0..info.size,
            Some(range) => byte_range(range).within(info.size).map_err(outward)?,
        };
        (info, range, Body::empty())
    } else {
        let suffix = matches!(options.range, Some(GetRange::Suffix(_)));
        let downloaded = if suffix && !terms.capabilities.has(Capability::Suffix) {
            last(backend, &terms, location, &options, native).await
        } else {
            let mut download = Download::new(key).with_options(native);
            download.range = options.range.as_ref().map(byte_range);
            backend.download(download).await
        };
        let downloaded = downloaded.map_err(outward)?;
        (downloaded.info, downloaded.range, downloaded.body)
    };
    let meta = ObjectMeta {
        location: location.clone(),
        last_modified: time(info.last_modified),
        size: info.size,
        e_tag: info.etag.clone(),
        version: info.version.clone(),
    };
    check(&options, &meta)?;
    let attributes = attributes::of(&info);
    let payload = GetResultPayload::Stream(body.map_err(outward).boxed());
    let mut extensions = Extensions::new();
    extensions.insert(info);
    Ok(GetResult {
        payload,
        meta,
        range,
        attributes,
        extensions,
    })
}

pub(super) async fn ranges(
    backend: &Backend,
    location: &Path,
    ranges: &[Range<u64>],
) -> StoreResult<Vec<Bytes>> {
    if let Some(found) = at_once(backend, location, ranges).await? {
        return Ok(found);
    }
    let fetch = |range: Range<u64>| async move {
        let options = GetOptions::new().with_range(Some(range));
        get(backend, location, options).await?.bytes().await
    };
    coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
}

/// All ranges in one operation of the backend; `None` where it has none, or where a range is one that only the others
/// understand: `object_store` cuts a range at the end of the object.
async fn at_once(
    backend: &Backend,
    location: &Path,
    ranges: &[Range<u64>],
) -> StoreResult<Option<Vec<Bytes>>> {
    let outward = outward(During::Other);
    let terms = backend.terms().await.map_err(outward)?;
    let read = DownloadRanges::new(location.as_ref(), ranges.iter().cloned());
    let fits = !ranges.is_empty()
        && ranges.len() <= MAX_RANGES
        && ranges.iter().all(|range| range.start < range.end);
    if !terms.capabilities.has(Capability::Ranges) || !fits {
        return Ok(None);
    }
    match backend.download_ranges(read).await {
        Ok(read) => Ok(Some(read.ranges.into_iter().map(Bytes::from).collect())),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidRange | ErrorKind::TooLarge) => {
            Ok(None)
        }
        Err(error) => Err(outward(error)),
    }
}

/// Reads a suffix range from a backend that does not claim one: asks for the size, then reads the
/// range of the same content.
async fn last(
    backend: &Backend,
    terms: &Terms,
    location: &Path,
    options: &GetOptions,
    native: Option<ReadOptions<'_>>,
) -> Result<holdall_plugin_api::Downloaded> {
    let Some(range) = &options.range else {
        return Err(Error::invalid("no range"));
    };
    const TRIES: u32 = 3;
    for _ in 0..TRIES {
        let head = Head::new(location.as_ref()).with_options(native.clone());
        let seen = backend.head(head).await?;
        let mut download = Download::new(location.as_ref()).with_options(native.clone());
        download.range = Some(ByteRange::From(byte_range(range).within(seen.size)?.start));
        let pin = seen.etag.as_deref();
        let pin = pin.filter(|_| terms.capabilities.has(Capability::IfMatchGet));
        if let Some(etag) = pin {
            download = download.if_match(etag);
        }
        let downloaded = match backend.download(download).await {
            // The condition set here: the object was replaced between the two requests.
            Err(lost) if lost.kind() == ErrorKind::PreconditionFailed && pin.is_some() => continue,
            outcome => outcome?,
        };
        if downloaded.info.etag == seen.etag && downloaded.info.size == seen.size {
            return Ok(downloaded);
        }
    }
    Err(Error::new(ErrorKind::Conflict)
        .with_message("the object was replaced during each of three attempts"))
}

/// Returns the conditions that the backend decides itself. [`check`] decides the others.
fn natively<'a>(options: &'a GetOptions, terms: &Terms) -> Option<ReadOptions<'a>> {
    let claims = |capability| terms.capabilities.has(capability);
    let mut native = ReadOptions::default();
    // The host refuses unclaimed versions: another version would be a wrong answer.
    native.version = options.version.as_deref();
    let if_match = options.if_match.as_deref();
    native.if_match = if_match.filter(|etags| is_one(etags) && claims(Capability::IfMatchGet));
    let if_none_match = options.if_none_match.as_deref();
    native.if_none_match = if_none_match
        .filter(|etags| is_one(etags) && *etags != "*" && claims(Capability::IfNoneMatchGet));
    // RFC 9110, 13.2.2: a condition on etags takes precedence over one on time.
    if claims(Capability::IfTime) {
        let since = options
            .if_modified_since
            .filter(|_| if_none_match.is_none());
        native.if_modified_since = since.map(SystemTime::from);
        let since = options.if_unmodified_since.filter(|_| if_match.is_none());
        native.if_unmodified_since = since.map(SystemTime::from);
    }
    (native != ReadOptions::default()).then_some(native)
}

fn is_one(etags: &str) -> bool {
    !etags.contains(',')
}

/// Checks all conditions against the facts of the answer.
fn check(options: &GetOptions, meta: &ObjectMeta) -> StoreResult<()> {
    if options.if_match.is_none()
        && options.if_none_match.is_none()
        && options.if_modified_since.is_none()
        && options.if_unmodified_since.is_none()
    {
        return Ok(());
    }
    // Times count in whole seconds, as in HTTP: otherwise an object would be newer than the
    // `Last-Modified` that its reader got.
    let options = GetOptions {
        if_modified_since: options.if_modified_since.map(seconds),
        if_unmodified_since: options.if_unmodified_since.map(seconds),
        ..options.clone()
    };
    let meta = ObjectMeta {
        last_modified: seconds(meta.last_modified),
        ..meta.clone()
    };
    options.check_preconditions(&meta)
}

fn seconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(time.timestamp(), 0).unwrap_or(time)
}

fn byte_range(range: &GetRange) -> ByteRange {
    match range {
        GetRange::Bounded(range) => ByteRange::Bounded(range.clone()),
        GetRange::Offset(start) => ByteRange::From(*start),
        GetRange::Suffix(count) => ByteRange::Last(*count),
    }
}

/// Modification time; 1970-01-01 if the store does not report it.
pub(super) fn time(last_modified: Option<SystemTime>) -> DateTime<Utc> {
    last_modified.map_or(DateTime::UNIX_EPOCH, DateTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(millis: i64) -> ObjectMeta {
        ObjectMeta {
            location: Path::from("a"),
            last_modified: DateTime::from_timestamp_millis(millis).unwrap(),
            size: 1,
            e_tag: Some("e".to_owned()),
            version: None,
        }
    }

    #[test]
    fn times_count_in_whole_seconds() {
        let at = |millis| DateTime::from_timestamp_millis(millis);
        let unmodified = |millis| GetOptions::new().with_if_unmodified_since(at(millis));
        assert!(check(&unmodified(5_000), &meta(5_900)).is_ok());
        assert!(check(&unmodified(4_999), &meta(5_000)).is_err());
        let modified = |millis| GetOptions::new().with_if_modified_since(at(millis));
        assert!(check(&modified(5_000), &meta(5_900)).is_err());
        assert!(check(&modified(5_999), &meta(6_000)).is_ok());
    }

    #[test]
    fn lists_of_etags() {
        let matching = |etags: &str| GetOptions::new().with_if_match(Some(etags));
        assert!(check(&matching("x, e"), &meta(0)).is_ok());
        assert!(check(&matching("x, y"), &meta(0)).is_err());
        let other = |etags: &str| GetOptions::new().with_if_none_match(Some(etags));
        assert!(check(&other("x, e"), &meta(0)).is_err());
        assert!(check(&other("*"), &meta(0)).is_err());
        assert!(check(&other("x"), &meta(0)).is_ok());
    }
}
