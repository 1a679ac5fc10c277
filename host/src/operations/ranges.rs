//! `download_ranges`.

use super::{calls, download, etag, fault};
use crate::backend::Backend;
use crate::backend::counters::add;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdall_plugin_api::{
    Body, Capability, Download, DownloadRanges, Error, ErrorKind, ObjectInfo, Operation, Result,
};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Largest sum of the lengths of all ranges of one request, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// Most bytes between two ranges that are read as one where the plugin reads one range at a time. The value is that of
/// `object_store` (`OBJECT_STORE_COALESCE_DEFAULT`).
const GAP: u64 = 1 << 20;
/// Most bytes of a read that several ranges share. One range of the request may be larger.
const MAX_JOINED: u64 = 16 << 20;
/// Most reads of one request at the same time.
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
    /// Reads many ranges of one version of an object, each into memory of its own.
    ///
    /// Where the plugin has no such operation (capability `ranges`), the host reads the ranges with downloads: at most
    /// eight at the same time, and neighbouring ranges together, up to 16 MiB. The digest that is stored with the object
    /// is not verified, because it is that of the whole object.
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
    /// - `FileNotFound`: no object has this key, or no such version.
    /// - `PreconditionFailed`: the object does not have the etag of `if_match`.
    /// - `InvalidRange`, with the size: a range ends after the end of the object.
    /// - `InvalidArgument`: an empty range, no range, or more than [`MAX_RANGES`](holdall_plugin_api::MAX_RANGES).
    /// - `TooLarge`: more than 1 GiB in all.
    /// - `Conflict`: the object was replaced between two of the downloads of the host.
    /// - `Unsupported`: a condition or a version that the backend does not claim. `InvalidKey`.
    pub async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<Ranges> {
        self.download_ranges_into(read, Vec::new()).await
    }

    /// As [`Backend::download_ranges`], into memory that the caller provides: one buffer for each range, of any length.
    /// A buffer is resized to the length of its range; missing buffers are allocated.
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

/// A buffer for each range, as long as the range.
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
    memory.resize_with(read.ranges.len(), Vec::new);
    let (mut info, ranges) = if opened.claims(Capability::Ranges) {
        for (piece, range) in memory.iter_mut().zip(&read.ranges) {
            piece.resize((range.end - range.start) as usize, 0);
        }
        let ranges = read.ranges.clone();
        let (info, filled) = calls::download_ranges(scope, opened, read, memory).await?;
        if let Some(range) = ranges.iter().find(|range| range.end > info.size) {
            return Err(fault("the plugin filled a range behind the object")
                .with_fact("size", info.size)
                .with_fact("range", format!("{}..{}", range.start, range.end)));
        }
        // The bodies of downloads count themselves.
        add(&scope.counters().bytes_out, bytes);
        (info, filled)
    } else {
        one_by_one(scope, opened, &read, memory).await?
    };
    opened.etags.show(&mut info.etag);
    scope.moved.store(bytes, Ordering::Relaxed);
    Ok(Ranges { info, ranges })
}

/// One of the caller's ranges and its memory.
struct Piece {
    /// Its index in the request.
    at: usize,
    range: Range<u64>,
    bytes: Vec<u8>,
}

/// One read of the object, and the caller's ranges that lie in it, by their start.
struct Joined {
    range: Range<u64>,
    pieces: Vec<Piece>,
}

/// Joins ranges that lie close together.
fn joined(ranges: &[Range<u64>], memory: Vec<Vec<u8>>, gap: u64) -> Vec<Joined> {
    let pieces = ranges.iter().cloned().zip(memory).enumerate();
    let mut pieces: Vec<_> = pieces
        .map(|(at, (range, bytes))| Piece { at, range, bytes })
        .collect();
    pieces.sort_by_key(|piece| piece.range.start);
    let mut reads: Vec<Joined> = Vec::new();
    for piece in pieces {
        let Range { start, end } = piece.range;
        match reads.last_mut() {
            Some(Joined { range, pieces })
                if end <= range.end
                    || start <= range.end.saturating_add(gap)
                        && end - range.start <= MAX_JOINED =>
            {
                range.end = range.end.max(end);
                pieces.push(piece);
            }
            _ => reads.push(Joined {
                range: start..end,
                pieces: vec![piece],
            }),
        }
    }
    reads
}

async fn one_by_one(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    read: &DownloadRanges<'_>,
    memory: Vec<Vec<u8>>,
) -> Result<(ObjectInfo, Vec<Vec<u8>>)> {
    let gap = read.coalesce.unwrap_or(GAP).min(GAP);
    let mut reads = joined(&read.ranges, memory, gap).into_iter();
    let Some(first) = reads.next() else {
        return Err(Error::invalid("no range"));
    };
    let download = |range: &Range<u64>| {
        let options = (!read.is_plain()).then(|| read.options().clone());
        Download::new(read.key)
            .range(range.clone())
            .with_options(options)
    };
    let of_first = download(&first.range);
    let first_read = download::read(scope, opened, of_first, Instant::now()).await?;
    let info = first_read.info;
    // Before memory is taken for any of them.
    read.within(info.size)?;
    let mut found = vec![Vec::new(); read.ranges.len()];
    for piece in filled(first_read.body, first).await? {
        found[piece.at] = piece.bytes;
    }
    // The others are of the same version, or the whole is refused.
    let same = info
        .etag
        .as_deref()
        .filter(|_| opened.claims(Capability::IfMatchGet));
    let reads = reads.map(|next| {
        let mut download = download(&next.range);
        if let Some(etag) = same
            && download.options().if_match.is_none()
        {
            download = download.if_match(etag);
        }
        (next, download)
    });
    let info_of_first = &info;
    let reads = reads.map(|(next, download)| async move {
        let read = download::read(scope, opened, download, Instant::now()).await?;
        if read.info.etag != info_of_first.etag || read.info.size != info_of_first.size {
            return Err(Error::new(ErrorKind::PreconditionFailed));
        }
        filled(read.body, next).await
    });
    // Collected: a stream of a lazy iterator of futures is not `Send` for every lifetime.
    let reads: Vec<_> = reads.collect();
    let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some(pieces) = reads.try_next().await.map_err(replaced)? {
        for piece in pieces {
            found[piece.at] = piece.bytes;
        }
    }
    drop(reads);
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

/// Copies the bytes of one read into the memory of its pieces, chunk by chunk.
async fn filled(mut body: Body, read: Joined) -> Result<Vec<Piece>> {
    let (mut at, mut pieces, mut complete) = (read.range.start, read.pieces, 0);
    for Piece { range, bytes, .. } in &mut pieces {
        bytes.clear();
        bytes.reserve_exact((range.end - range.start) as usize);
    }
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk?;
        let end = at + chunk.len() as u64;
        let is_complete = |piece: &Piece| piece.range.end <= at;
        while pieces.get(complete).is_some_and(is_complete) {
            complete += 1;
        }
        for piece in &mut pieces[complete..] {
            if piece.range.start >= end {
                break;
            }
            let (from, to) = (piece.range.start.max(at), piece.range.end.min(end));
            if from < to {
                let part = (from - at) as usize..(to - at) as usize;
                piece.bytes.extend_from_slice(&chunk[part]);
            }
        }
        at = end;
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use holdall_plugin_api::Bytes;

    fn reads(ranges: &[Range<u64>], gap: u64) -> Vec<(Range<u64>, Vec<usize>)> {
        let memory = vec![Vec::new(); ranges.len()];
        let reads = joined(ranges, memory, gap).into_iter();
        let places = |read: Joined| read.pieces.iter().map(|piece| piece.at).collect();
        reads
            .map(|read| (read.range.clone(), places(read)))
            .collect()
    }

    #[test]
    fn ranges_that_lie_close_together_are_read_as_one() {
        let ranges = [10..20, 0..5, 100..110, 12..15, 21..30];
        assert_eq!(
            reads(&ranges, 1),
            [
                (0..5, vec![1]),
                (10..30, vec![0, 3, 4]),
                (100..110, vec![2])
            ]
        );
        assert_eq!(reads(&ranges, 1000).len(), 1);
        assert_eq!(reads(&ranges, 0).len(), 4);
        assert!(reads(&[], 1).is_empty());
    }

    #[test]
    fn a_read_that_ranges_share_has_a_largest_size() {
        let most = MAX_JOINED;
        assert_eq!(reads(&[0..1, 1..most], 0).len(), 1);
        assert_eq!(reads(&[0..1, 1..most + 1], 0).len(), 2);
        // One range may be larger, and what lies in it needs no read of its own.
        let large = [0..4 * most, 5..9, 4 * most..4 * most + 1];
        let (within, behind) = ((0..4 * most, vec![0, 1]), (4 * most..4 * most + 1, vec![2]));
        assert_eq!(reads(&large, 0), [within, behind]);
        let many: Vec<_> = (0..64).map(|at| at << 20..(at + 1) << 20).collect();
        assert_eq!(reads(&many, GAP).len(), 4);
    }

    #[test]
    fn bytes_go_into_the_memory_of_each_range_however_they_are_cut() {
        let object: Vec<u8> = (0..40).collect();
        let ranges = [10..20, 5..38, 12..15, 18..30, 7..8];
        for size in [1, 2, 3, 7, 40] {
            let memory: Vec<Vec<u8>> = (0..5).map(|_| Vec::with_capacity(64)).collect();
            let places: Vec<_> = memory.iter().map(|piece| piece.as_ptr()).collect();
            let mut reads = joined(&ranges, memory, 0);
            let read = reads.remove(0);
            assert!(reads.is_empty());
            let chunks = object[5..38]
                .chunks(size)
                .map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
            let chunks: Vec<Result<Bytes>> = chunks.collect();
            let pieces = filled(Body::stream(stream::iter(chunks)), read).now_or_never();
            for piece in pieces.unwrap().unwrap() {
                let wanted = &object[piece.range.start as usize..piece.range.end as usize];
                assert_eq!(piece.bytes, wanted, "{:?} by {size}", piece.range);
                assert_eq!(piece.bytes.as_ptr(), places[piece.at]);
            }
        }
    }
}
