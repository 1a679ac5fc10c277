//! A download: a few reads ahead of the caller, all on one open file, so of one version.

use crate::error::{self, About};
use crate::pool::Lease;
use crate::session::Opened;
use futures_util::stream::{self, FuturesOrdered, StreamExt};
use holdall_plugin_api::{Body, Bytes, Error, ErrorKind, Result, Retry};
use russh_sftp::protocol::StatusCode;
use std::ops::Range;
use std::sync::Arc;

/// Reads that are on their way at once.
const AHEAD: usize = 8;

/// The bytes `range` of an open file.
pub(crate) fn body(lease: Lease, file: Opened, range: Range<u64>, hint: usize) -> Body {
    let piece = lease.session.piece.min(hint) as u64;
    let reading = Reading {
        next: range.start,
        end: range.end,
        piece,
        file: Arc::new(file),
        pieces: FuturesOrdered::new(),
        _lease: lease,
    };
    Body::stream(stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.chunk().await {
            Some(Ok(chunk)) => Some((Ok(chunk), Some(reading))),
            Some(Err(error)) => Some((Err(error), None)),
            None => None,
        }
    }))
}

type Piece = std::pin::Pin<Box<dyn Future<Output = Result<Bytes>> + Send>>;

struct Reading {
    next: u64,
    end: u64,
    piece: u64,
    file: Arc<Opened>,
    pieces: FuturesOrdered<Piece>,
    _lease: Lease,
}

impl Reading {
    async fn chunk(&mut self) -> Option<Result<Bytes>> {
        while self.pieces.len() < AHEAD && self.next < self.end {
            let wanted = self.next..self.end.min(self.next + self.piece);
            self.next = wanted.end;
            self.pieces
                .push_back(Box::pin(whole(Arc::clone(&self.file), wanted)));
        }
        self.pieces.next().await
    }
}

/// All bytes of a piece: a server may answer with fewer than it is asked for.
async fn whole(file: Arc<Opened>, wanted: Range<u64>) -> Result<Bytes> {
    // A piece is at most 128 KiB.
    let length = (wanted.end - wanted.start) as usize;
    let mut got = Vec::new();
    while got.len() < length {
        let at = wanted.start + got.len() as u64;
        let left = (length - got.len()) as u32;
        match file.session.sftp.read(file.handle.as_str(), at, left).await {
            Ok(data) if data.data.is_empty() || data.data.len() > left as usize => {
                return Err(cut_short());
            }
            Ok(data) if got.is_empty() => got = data.data,
            Ok(data) => got.extend_from_slice(&data.data),
            Err(cause) if error::status(&cause) == Some(StatusCode::Eof) => {
                return Err(cut_short());
            }
            Err(cause) => return Err(error::from_sftp(About::Reading, cause)),
        }
    }
    Ok(got.into())
}

/// Another program wrote into the file instead of replacing it.
fn cut_short() -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_message("the object is shorter than it was when the download began")
        .with_retry(Retry::Safe)
}
