//! `download_ranges`.

use super::{calls, download, etag, fault};
use crate::backend::Backend;
use crate::backend::counters::add;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdall_plugin_api::{
    Capability, Download, DownloadRanges, Error, ErrorKind, ObjectInfo, Operation, Result,
};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Most bytes of all ranges of one read.
const MAX_BYTES: u64 = 1 << 30;
/// Gap below which two ranges are read as one where the plugin reads one range at a time, and how many go at once:
/// the figures of `object_store`.
const GAP: u64 = 1 << 20;
const AT_ONCE: usize = 8;

/// Many ranges of one version of an object.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ranges {
    /// Facts about the object.
    pub info: ObjectInfo,
    /// The bytes of each range, in the order of the request.
    pub ranges: Vec<Vec<u8>>,
}

impl Backend {
    /// Reads many ranges of one version of an object, each into memory of its own; the store reads what lies close
    /// together at once. Where the plugin has no such operation, the host reads one range after another, eight at a time.
    /// What was stored with the object as its digest is not verified: the ranges are parts of it.
    ///
    /// ```no_run
    /// # async fn example(points: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::DownloadRanges;
    ///
    /// let read = DownloadRanges::new("points.zarr", [0..100, 4096..4196]);
    /// let read = points.download_ranges(read).await?;
    /// assert_eq!(read.ranges[1].len(), 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `FileNotFound`, `InvalidKey`, `InvalidArgument`, `Unsupported`.
    /// - `InvalidRange`, with the size: a range ends behind the object.
    /// - `TooLarge`: more than 1 GiB in all.
    /// - `Conflict`: the object was replaced while the host read one range after another.
    pub async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<Ranges> {
        self.download_ranges_into(read, Vec::new()).await
    }

    /// As [`Backend::download_ranges`], into memory that the caller has already: one piece for each range, of any
    /// length; it is resized to that of the range. Missing pieces are made.
    ///
    /// # Errors
    ///
    /// As [`Backend::download_ranges`].
    pub async fn download_ranges_into(
        &self,
        read: DownloadRanges<'_>,
        memory: Vec<Vec<u8>>,
    ) -> Result<Ranges> {
        let scope = self.scope(Operation::DownloadRanges, Some(read.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                ranges(&scope, opened, read, memory).await
            }))
            .await
    }
}

/// Memory for each range, of its length.
pub(super) fn memory(read: &DownloadRanges<'_>) -> Vec<Vec<u8>> {
    let lengths = read.ranges.iter().map(|range| range.end - range.start);
    lengths.map(|length| vec![0; length as usize]).collect()
}

async fn ranges(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut read: DownloadRanges<'_>,
    mut memory: Vec<Vec<u8>>,
) -> Result<Ranges> {
    opened.terms.download_ranges(&read)?;
    let bytes = read.bytes();
    if bytes > MAX_BYTES {
        return Err(Error::new(ErrorKind::TooLarge)
            .with_message("the ranges of one read are larger than the host keeps in memory")
            .with_fact("limit", MAX_BYTES)
            .with_fact("requested", bytes));
    }
    let wanted;
    if let Some(given) = read.options().if_match {
        wanted = etag::native(scope, opened, read.key, given).await;
        read = read.if_match(&wanted);
    }
    let (mut info, ranges) = if opened.claims(Capability::Ranges) {
        memory.truncate(read.ranges.len());
        for (at, range) in read.ranges.iter().enumerate() {
            let length = (range.end - range.start) as usize;
            match memory.get_mut(at) {
                Some(piece) => piece.resize(length, 0),
                None => memory.push(vec![0; length]),
            }
        }
        let ranges = read.ranges.clone();
        let (info, filled) = calls::download_ranges(scope, opened, read, memory).await?;
        if let Some(range) = ranges.iter().find(|range| range.end > info.size) {
            return Err(fault("the plugin filled a range behind the object")
                .with_fact("size", info.size)
                .with_fact("range", format!("{}..{}", range.start, range.end)));
        }
        (info, filled)
    } else {
        one_by_one(scope, opened, &read).await?
    };
    opened.etags.show(&mut info.etag);
    scope.moved.store(bytes, Ordering::Relaxed);
    add(&scope.counters().bytes_out, bytes);
    Ok(Ranges { info, ranges })
}

/// Ranges that lie close together, as one; each with the places of those that are in it.
fn coalesced(ranges: &[Range<u64>], gap: u64) -> Vec<(Range<u64>, Vec<usize>)> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|at| ranges[*at].start);
    let mut joined: Vec<(Range<u64>, Vec<usize>)> = Vec::new();
    for at in order {
        let range = &ranges[at];
        match joined.last_mut() {
            Some((last, places)) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
                places.push(at);
            }
            _ => joined.push((range.clone(), vec![at])),
        }
    }
    joined
}

async fn one_by_one(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    read: &DownloadRanges<'_>,
) -> Result<(ObjectInfo, Vec<Vec<u8>>)> {
    let gap = read.coalesce.unwrap_or(GAP).min(GAP);
    let mut joined = coalesced(&read.ranges, gap).into_iter();
    let mut found = vec![Vec::new(); read.ranges.len()];
    let Some((first, places)) = joined.next() else {
        return Err(Error::invalid("no range"));
    };
    let part = |range: Range<u64>| {
        let options = (!read.is_plain()).then(|| read.options().clone());
        Download::new(read.key).range(range).with_options(options)
    };
    let info = one(
        scope,
        opened,
        part(first.clone()),
        (&first, &places),
        read,
        &mut found,
    )
    .await?;
    // The others are of the same version, or the whole is refused.
    let same = info
        .etag
        .clone()
        .filter(|_| opened.claims(Capability::IfMatchGet));
    let mut pieces = Vec::new();
    for (range, places) in joined {
        let mut download = part(range.clone());
        if let Some(etag) = &same
            && download.options().if_match.is_none()
        {
            download = download.if_match(etag);
        }
        pieces.push(async move {
            let mut own = vec![Vec::new(); read.ranges.len()];
            let target = (&range, &places[..]);
            let facts = one(scope, opened, download, target, read, &mut own).await;
            facts.map(|facts| (facts, places, own))
        });
    }
    let mut pieces = stream::iter(pieces).buffered(AT_ONCE);
    while let Some((facts, places, mut own)) = pieces.try_next().await.map_err(replaced)? {
        if facts.etag != info.etag || facts.size != info.size {
            return Err(replaced(Error::new(ErrorKind::PreconditionFailed)));
        }
        for at in places {
            found[at] = std::mem::take(&mut own[at]);
        }
    }
    Ok((info, found))
}

fn replaced(error: Error) -> Error {
    match error.kind() {
        ErrorKind::PreconditionFailed => Error::new(ErrorKind::Conflict)
            .with_message("the object was replaced while its ranges were read")
            .because(error),
        _ => error,
    }
}

async fn one(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    download: Download<'_>,
    (range, places): (&Range<u64>, &[usize]),
    read: &DownloadRanges<'_>,
    found: &mut [Vec<u8>],
) -> Result<ObjectInfo> {
    let downloaded = download::read(scope, opened, download, Instant::now()).await?;
    let info = downloaded.info;
    if range.end > info.size {
        return Err(Error::invalid_range(info.size));
    }
    let length = (range.end - range.start) as usize;
    let bytes = downloaded.body.collect(length).await?;
    for at in places {
        let piece = &read.ranges[*at];
        let (start, end) = (piece.start - range.start, piece.end - range.start);
        found[*at] = bytes[start as usize..end as usize].to_vec();
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_lie_close_together_are_read_as_one() {
        let ranges = [10..20, 0..5, 100..110, 12..15, 21..30];
        assert_eq!(
            coalesced(&ranges, 1),
            [
                (0..5, vec![1]),
                (10..30, vec![0, 3, 4]),
                (100..110, vec![2])
            ]
        );
        assert_eq!(coalesced(&ranges, 1000).len(), 1);
        assert_eq!(coalesced(&ranges, 0).len(), 4);
        assert!(coalesced(&[], 1).is_empty());
    }
}
