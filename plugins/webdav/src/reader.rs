//! A download: facts first, then the bytes that they describe and no others.

use crate::client::Ask;
use crate::condition::check_read;
use crate::error::{self, About};
use crate::key_changes;
use crate::multistatus;
use crate::store::{Object, WebdavStore, is_stumble, restless};
use futures_util::stream;
use holdall_plugin_api::{
    Body, ByteRange, Bytes, Download, Downloaded, Error, ErrorKind, MAX_CHUNK, Result, Retry,
};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED,
};
use reqwest::{Response, StatusCode, Url};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How often the facts are looked up again because the object changed before its bytes came.
const TRIES: usize = 50;

/// Facts, conditions, bytes.
pub(crate) async fn download(
    store: &Arc<WebdavStore>,
    download: &Download<'_>,
) -> Result<Downloaded> {
    let url = store.url(download.key.text())?;
    for _ in 0..TRIES {
        let mark = key_changes::mark(url.as_str());
        let tried = match store.features.properties {
            true => described(store, &url, download).await,
            false => plain(store, &url, download).await,
        };
        match tried {
            Ok(Some(downloaded)) => return Ok(downloaded),
            // The bytes were of another version than the facts.
            Ok(None) => {
                if !mark.is_past().await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Err(error)
                if (error.kind() == ErrorKind::FileNotFound || is_stumble(&error))
                    && mark.is_past().await => {}
            Err(error) => return Err(error),
        }
    }
    Err(restless())
}

/// Where a server has properties: the facts first, then the bytes that they describe. `None` when
/// there is another version by then.
async fn described(
    store: &Arc<WebdavStore>,
    url: &Url,
    download: &Download<'_>,
) -> Result<Option<Downloaded>> {
    let object = store.object(download.key.text()).await?;
    check_read(store, &object, download.options())?;
    let range = match &download.range {
        Some(range) => range.within(object.size)?,
        None => 0..object.size,
    };
    if range.is_empty() {
        let info = object.info(&store.features);
        return Ok(Some(Downloaded::new(info, range, Body::empty())));
    }
    let part = (range != (0..object.size)).then(|| ByteRange::Bounded(range.clone()));
    let answer = match store.dav.get(url, part.as_ref()).await {
        Ok(answer) => answer,
        // Gone, or shorter than a moment ago.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::FileNotFound | ErrorKind::InvalidRange
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let is_html = |kind: &str| kind.starts_with("text/html");
    let kind = object
        .record
        .as_ref()
        .and_then(|record| record.content_type.as_deref());
    if is_page(answer.headers(), download.key.text())
        && time(answer.headers()).is_none()
        && !kind.is_some_and(is_html)
    {
        return Err(odd("a page in HTML that names no version of the object"));
    }
    if Part::of(&answer)?
        .size
        .is_some_and(|size| size != object.size)
        || !is_of(answer.headers(), &object)
    {
        return Ok(None);
    }
    reading(store, answer, object, range, download).map(Some)
}

/// Where a server has none: one request, whose answer has all that there is to know.
async fn plain(
    store: &Arc<WebdavStore>,
    url: &Url,
    download: &Download<'_>,
) -> Result<Option<Downloaded>> {
    let answer = match store.dav.get(url, download.range.as_ref()).await {
        Ok(answer) => answer,
        Err(error) if error.kind() == ErrorKind::FileNotFound => {
            return Err(store.missing(error).await);
        }
        // Some refuse what is no more than a large end or suffix.
        Err(error) if error.kind() == ErrorKind::InvalidRange => {
            return described(store, url, download).await;
        }
        // What servers say of folders, which are no objects.
        Err(error)
            if matches!(
                error.provider().status,
                Some(301 | 302 | 307 | 308 | 403 | 405)
            ) =>
        {
            return match store.dav.facts(About::Reading, url, Ask::Facts).await {
                Ok((resource, _)) if resource.folder => Err(Error::not_found()),
                _ => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    // Without a size, or perhaps the page of a proxy: the server is asked for the facts.
    let size = match Part::of(&answer)?.size {
        Some(size) if !is_page(answer.headers(), download.key.text()) => size,
        _ => return described(store, url, download).await,
    };
    let object = Object {
        size,
        of: None,
        modified: time(answer.headers()),
        record: None,
    };
    check_read(store, &object, download.options())?;
    let range = match &download.range {
        Some(range) => range.within(size)?,
        None => 0..size,
    };
    reading(store, answer, object, range, download).map(Some)
}

/// The wanted bytes of an answer.
fn reading(
    store: &WebdavStore,
    answer: Response,
    object: Object,
    range: Range<u64>,
    download: &Download<'_>,
) -> Result<Downloaded> {
    let part = Part::of(&answer)?;
    let object_size = object.size;
    let info = object.info(&store.features);
    if part.start > range.start || part.end.is_some_and(|end| end < range.end) {
        return Err(odd("another part than the one asked for"));
    }
    let body = Reading {
        answer,
        skip: range.start - part.start,
        left: range.end - range.start,
        rest: Bytes::new(),
        is_whole: part.end.is_none() && range.end == object_size,
        hint: download.chunk_hint.min(MAX_CHUNK) as usize,
        patience: store.dav.patience,
    };
    Ok(Downloaded::new(info, range, body.into_body()))
}

/// Which bytes an answer has.
struct Part {
    start: u64,
    /// Excluded; the end of the object where it is not told.
    end: Option<u64>,
    /// Of the whole object.
    size: Option<u64>,
}

impl Part {
    /// # Errors
    ///
    /// `Unavailable` for a part that does not say which.
    fn of(answer: &Response) -> Result<Self> {
        let text = |name| answer.headers().get(name)?.to_str().ok();
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            let part = text(CONTENT_RANGE).and_then(content_range);
            let (start, end, size) = part.ok_or_else(|| odd("a part without saying which"))?;
            return Ok(Self {
                start,
                end: Some(end),
                size,
            });
        }
        // The whole object: asked for, or from a server that ignores ranges.
        Ok(Self {
            start: 0,
            end: None,
            size: text(CONTENT_LENGTH).and_then(|text| text.trim().parse().ok()),
        })
    }
}

fn odd(what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_message(format!("the server answers with {what}"))
        .with_retry(Retry::Safe)
}

/// Whether an answer is of the version that the facts are of, as far as it tells.
fn is_of(headers: &HeaderMap, object: &Object) -> bool {
    let etag = headers
        .get(ETAG)
        .and_then(|etag| multistatus::etag(etag.to_str().ok()?));
    if let (Some(etag), Some(of)) = (&etag, &object.of) {
        return etag == of;
    }
    match (time(headers), object.modified) {
        (Some(modified), Some(expected)) => modified == expected,
        _ => true,
    }
}

/// Whether an answer may be the page of a proxy: HTML without a validator, for a key that does not
/// say that it is HTML. Login pages and captive portals send such a page with status 200.
fn is_page(headers: &HeaderMap, key: &str) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let key = key.to_ascii_lowercase();
    kind.is_some_and(|kind| kind.starts_with("text/html"))
        && !headers.contains_key(ETAG)
        && ![".html", ".htm"].iter().any(|end| key.ends_with(end))
}

fn time(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(LAST_MODIFIED)?.to_str().ok()?).ok()
}

/// `bytes 0-9/100` as start, end (excluded) and size.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (part, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let end = last.checked_add(1).filter(|end| *end > first)?;
    Some((first, end, total.trim().parse().ok()))
}

/// The bytes of an answer, cut to what was asked for.
struct Reading {
    answer: Response,
    skip: u64,
    left: u64,
    /// Of a piece that was larger than a chunk may be.
    rest: Bytes,
    /// The end of the answer is the end of the object.
    is_whole: bool,
    hint: usize,
    patience: Duration,
}

impl Reading {
    fn into_body(self) -> Body {
        Body::stream(stream::unfold(Some(self), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.rest.is_empty() {
            if self.left == 0 && !self.is_whole {
                return Ok(None);
            }
            let piece = timeout(self.patience, self.answer.chunk())
                .await
                .map_err(|_| error::too_slow(About::Reading))?
                .map_err(|cause| error::from_transport(About::Reading, cause))?;
            if self.left == 0 {
                return match piece {
                    None => Ok(None),
                    Some(_) => Err(odd("more bytes than the object has")),
                };
            }
            let Some(mut piece) = piece else {
                return Err(Error::new(ErrorKind::Unavailable)
                    .with_message("the server ended the object too early")
                    .with_retry(Retry::Safe)
                    .with_fact("missing_bytes", self.left));
            };
            let skipped = self.skip.min(piece.len() as u64);
            self.skip -= skipped;
            // No larger than a piece, which is in memory.
            let _ = piece.split_to(skipped as usize);
            if self.is_whole && piece.len() as u64 > self.left {
                return Err(odd("more bytes than the object has"));
            }
            piece.truncate(self.left.min(piece.len() as u64) as usize);
            self.left -= piece.len() as u64;
            self.rest = piece;
        }
        let size = self.rest.len().min(self.hint);
        Ok(Some(self.rest.split_to(size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_exactly() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0, 10, Some(100))));
        assert_eq!(content_range("bytes 5-5/*"), Some((5, 6, None)));
        for bad in [
            "",
            "bytes",
            "bytes */9",
            "items 0-9/10",
            "bytes 9-0/10",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
