//! `download` and `head`.
//!
//! Facts and bytes must be of one version. Where the answer that brings the bytes has all the facts
//! ([`OpenedOperator::whole_facts`](crate::OpenedOperator::whole_facts)), that is the end of it. Elsewhere (file
//! systems, FTP, HDFS) the facts are taken before and after the stream is open: if they are equal,
//! so was the version; if not, once more.

use crate::adapter::{Adapter, OpenOperator};
use crate::convert;
use crate::fault::{Intent, fault};
use crate::provider_reply::ReplyCapture;
use futures_util::stream::{self, Stream, StreamExt};
use holdall_plugin_api::{
    Body, ByteRange, Bytes, Download, Downloaded, Error, ErrorKind, Head, ObjectInfo, ReadOptions,
    Result, Retry,
};
use opendal_core::options::{ReaderOptions, StatOptions};
use opendal_core::{Buffer, BufferStream, BytesRange, Metadata, Operator};
use std::ops::Range;
use std::time::SystemTime;

/// Times that a changing object is looked at before it counts as a conflict.
const LOOKS: usize = 20;

pub(crate) async fn head<A: OpenOperator>(this: &Adapter<A>, head: Head<'_>) -> Result<ObjectInfo> {
    let (operator, captured) = this.begin()?;
    let metadata = look(this, &operator, &captured, head.key.text(), head.options()).await?;
    Ok(convert::info(&metadata, &[]))
}

/// The facts under the conditions of a read.
async fn look<A: OpenOperator>(
    this: &Adapter<A>,
    operator: &Operator,
    captured: &ReplyCapture,
    key: &str,
    options: &ReadOptions<'_>,
) -> Result<Metadata> {
    convert::bounded(convert::read_texts(options))?;
    let time = |time: Option<SystemTime>| time.map(convert::timestamp).transpose();
    let conditions = StatOptions {
        version: options.version.map(str::to_owned),
        if_match: concrete(options.if_match),
        if_none_match: concrete(options.if_none_match),
        if_modified_since: time(options.if_modified_since)?,
        if_unmodified_since: time(options.if_unmodified_since)?,
        ..StatOptions::default()
    };
    let metadata = match operator.stat_options(key, conditions).await {
        Ok(metadata) => this.store.own(metadata)?,
        Err(error) => {
            return Err(this
                .missing(operator, captured, error, intent(options))
                .await);
        }
    };
    // A folder is no object.
    if !metadata.is_file() {
        return Err(Error::not_found());
    }
    any_etag(options)?;
    Ok(metadata)
}

/// `*` stands for any object, and is decided here: to a service it may mean something else, or
/// nothing.
fn concrete(etag: Option<&str>) -> Option<String> {
    etag.filter(|etag| *etag != "*").map(str::to_owned)
}

/// The object exists: what `*` makes of that.
fn any_etag(options: &ReadOptions<'_>) -> Result<()> {
    match options.if_none_match {
        Some("*") => Err(Error::new(ErrorKind::NotModified)),
        _ => Ok(()),
    }
}

fn intent(options: &ReadOptions<'_>) -> Intent {
    // A service says "the condition is lost" for either kind. When both are asked, what is lost
    // first counts, and RFC 9110 (13.2.2) asks for a match first.
    let guards = options.if_match.is_some() || options.if_unmodified_since.is_some();
    let asks = options.if_none_match.is_some() || options.if_modified_since.is_some();
    if asks && !guards {
        Intent::ReadIfChanged
    } else {
        Intent::Read
    }
}

pub(crate) async fn download<A: OpenOperator>(
    this: &Adapter<A>,
    download: Download<'_>,
) -> Result<Downloaded> {
    let (operator, captured) = this.begin()?;
    let (key, options) = (download.key.text(), download.options());
    convert::bounded(convert::read_texts(options))?;
    let opened = Reading {
        this,
        operator: &operator,
        captured: &captured,
        key,
        options,
        range: download.range.as_ref(),
    };
    let (metadata, range, chunks) = opened.open().await?;
    let beside = match this.store.whole_facts {
        true => captured.captured().metadata,
        false => Vec::new(),
    };
    let body = if range.is_empty() {
        Body::empty()
    } else {
        let hint = download.chunk_hint as usize;
        Body::stream(pieces(
            chunks,
            range.end - range.start,
            captured.clone(),
            hint,
        ))
    };
    let info = convert::info(&metadata, &beside);
    Ok(Downloaded::new(info, range, body))
}

struct Reading<'a, A> {
    this: &'a Adapter<A>,
    operator: &'a Operator,
    captured: &'a ReplyCapture,
    key: &'a str,
    options: &'a ReadOptions<'a>,
    range: Option<&'a ByteRange>,
}

type Chunks = stream::BoxStream<'static, opendal_core::Result<Buffer>>;

impl<A: OpenOperator> Reading<'_, A> {
    async fn open(&self) -> Result<(Metadata, Range<u64>, Chunks)> {
        if self.this.store.whole_facts {
            self.in_one().await
        } else {
            self.by_looks().await
        }
    }

    /// The answer that brings the bytes has all the facts.
    async fn in_one(&self) -> Result<(Metadata, Range<u64>, Chunks)> {
        let mut stream = self.stream(self.asked()?).await?;
        match stream.metadata().await {
            Ok(metadata) => {
                let metadata = self.this.store.own(metadata)?;
                any_etag(self.options)?;
                let range = self.within(metadata.content_length())?;
                Ok((metadata, range, stream.boxed()))
            }
            Err(error) => match self.missing(error).await {
                // Not every service says the size when it refuses a range.
                error
                    if error.kind() == ErrorKind::InvalidRange && error.fact("size").is_none() =>
                {
                    self.within(self.look().await?.content_length())?;
                    Err(error)
                }
                error => Err(error),
            },
        }
    }

    /// What the service is asked for. An end past the object is cut by the service itself.
    fn asked(&self) -> Result<BytesRange> {
        Ok(match self.range {
            None => BytesRange::new(0, None),
            Some(ByteRange::From(start)) => BytesRange::new(*start, None),
            Some(ByteRange::Last(count)) => BytesRange::suffix(*count),
            // Without its end when that is past all objects: start and length are added up.
            Some(ByteRange::Bounded(range)) => {
                BytesRange::new(range.start, Some(range.end - range.start))
            }
            Some(_) => return Err(Error::unsupported("this kind of range")),
        })
    }

    fn within(&self, size: u64) -> Result<Range<u64>> {
        match self.range {
            None => Ok(0..size),
            Some(range) => range.within(size),
        }
    }

    async fn look(&self) -> Result<Metadata> {
        look(
            self.this,
            self.operator,
            self.captured,
            self.key,
            self.options,
        )
        .await
    }

    async fn stream(&self, range: BytesRange) -> Result<BufferStream> {
        let time = |time: Option<SystemTime>| time.map(convert::timestamp).transpose();
        let conditions = ReaderOptions {
            version: self.options.version.map(str::to_owned),
            if_match: concrete(self.options.if_match),
            if_none_match: concrete(self.options.if_none_match),
            if_modified_since: time(self.options.if_modified_since)?,
            if_unmodified_since: time(self.options.if_unmodified_since)?,
            ..ReaderOptions::default()
        };
        let reader = self.operator.reader_options(self.key, conditions).await;
        let reader = reader.map_err(|error| self.failed(error))?;
        let stream = reader.into_stream(range).await;
        stream.map_err(|error| self.failed(error))
    }

    /// The facts are equal before and after the stream is open, so they were while it was opened.
    async fn by_looks(&self) -> Result<(Metadata, Range<u64>, Chunks)> {
        let mut before = self.look().await?;
        for _ in 0..LOOKS {
            let range = self.within(before.content_length())?;
            if range.is_empty() {
                return Ok((before, range, stream::empty().boxed()));
            }
            let length = range.end - range.start;
            let mut stream = self
                .stream(BytesRange::new(range.start, Some(length)))
                .await?;
            if let Ok(with_bytes) = stream.metadata().await
                && let Some(etag) = with_bytes.etag()
                && before.etag() == Some(etag)
            {
                return Ok((before, range, stream.boxed()));
            }
            // A file is opened by the first read and not before.
            let first = stream.next().await;
            let after = self.look().await?;
            if after == before {
                return match first {
                    Some(Err(error)) => Err(self.failed(error)),
                    first => Ok((before, range, stream::iter(first).chain(stream).boxed())),
                };
            }
            before = after;
        }
        Err(Error::new(ErrorKind::Conflict)
            .with_message("the object changes faster than it can be opened")
            .with_retry(Retry::Safe))
    }

    fn failed(&self, error: opendal_core::Error) -> Error {
        fault(error, self.captured, intent(self.options))
    }

    async fn missing(&self, error: opendal_core::Error) -> Error {
        let intent = intent(self.options);
        self.this
            .missing(self.operator, self.captured, error, intent)
            .await
    }
}

/// Chunks of at most the size that the caller likes; a cut copies nothing. Ends with the last byte
/// that is due: OpenDAL takes it for an error when a service cuts a range to the object's size.
fn pieces(
    chunks: Chunks,
    due: u64,
    captured: ReplyCapture,
    hint: usize,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let due = stream::unfold((chunks, due), |(mut chunks, due)| async move {
        if due == 0 {
            return None;
        }
        let chunk = chunks.next().await?;
        let size = chunk.as_ref().map_or(0, |buffer| buffer.len() as u64);
        Some((chunk, (chunks, due.saturating_sub(size))))
    });
    due.flat_map(move |chunk| {
        stream::iter(match chunk {
            Ok(buffer) => cut(buffer, hint),
            Err(error) => vec![Err(fault(error, &captured, Intent::Read))],
        })
    })
}

fn cut(buffer: Buffer, hint: usize) -> Vec<Result<Bytes>> {
    let mut pieces = Vec::new();
    for mut bytes in buffer {
        while bytes.len() > hint {
            pieces.push(Ok(bytes.split_to(hint)));
        }
        if !bytes.is_empty() {
            pieces.push(Ok(bytes));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_cut_and_not_copied() {
        let whole = Bytes::from(vec![7; 10]);
        let start = whole.as_ptr();
        let pieces = cut(
            Buffer::from(vec![whole, Bytes::new(), Bytes::from("ab")]),
            4,
        );
        let sizes: Vec<_> = pieces
            .iter()
            .map(|piece| piece.as_ref().unwrap().len())
            .collect();
        assert_eq!(sizes, [4, 4, 2, 2]);
        assert_eq!(pieces[1].as_ref().unwrap().as_ptr(), start.wrapping_add(4));
    }
}
