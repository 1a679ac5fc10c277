//! The bytes of an upload or of a part: gathered while they are few, else staged as they arrive.

use crate::condition::Expected;
use crate::engine::fault::Outcome;
use crate::engine::write::Writer;
use crate::error::from_fault;
use crate::writer::{GATHER, Gathered, Sink};
use holdall_plugin_api::{Body, Result};

/// A body that was received.
pub(super) struct Received {
    gathered: Gathered,
    /// The larger ones.
    staged: Option<Writer>,
    expected: Expected,
}

/// Reads a body to its end. `begin` opens where it is staged, and runs only for what is not gathered. `vouched`: its
/// CRC-32C as the caller gave it.
pub(super) async fn receive(
    mut body: Body,
    length: Option<u64>,
    vouched: Option<u32>,
    begin: impl Future<Output = Result<Writer>> + Send,
) -> Result<Received> {
    // What is known to be larger is not gathered: many uploads at once would hold as many times 1 MiB.
    let gather = match length {
        Some(length) if length > GATHER as u64 => 0,
        _ => GATHER,
    };
    let mut gathered = Gathered::default();
    let mut begin = Some(begin);
    let mut sink: Option<Sink> = None;
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk?;
        match (&mut sink, begin.take()) {
            (Some(sink), _) => sink.push(chunk).await?,
            (None, Some(begin))
                if gathered.bytes() > 0 && gathered.bytes() + chunk.len() > gather =>
            {
                let mut opened = Sink::new(begin.await?, std::mem::take(&mut gathered));
                opened.push(chunk).await?;
                sink = Some(opened);
            }
            (None, not_yet) => {
                begin = not_yet;
                gathered.push(chunk);
            }
        }
    }
    let counted = body
        .trailers()
        .and_then(|trailers| trailers.checksums.crc32c);
    // Frees what the sender holds before the wait for the medium.
    drop(body);
    let staged = match sink {
        Some(sink) => Some(sink.finish().await?),
        None => None,
    };
    Ok(Received {
        gathered,
        staged,
        expected: Expected {
            length,
            crc32c: [counted, vouched],
        },
    })
}

impl Received {
    /// Stages what was gathered, and checks length and checksums. In a job of the pool: it blocks. `begin` takes the
    /// number of bytes.
    pub(super) fn written(self, begin: impl FnOnce(u64) -> Outcome<Writer>) -> Result<Writer> {
        let writer = match self.staged {
            Some(writer) => writer,
            None => {
                let size = self.gathered.bytes() as u64;
                let mut writer = begin(size).map_err(from_fault)?;
                for part in self.gathered.into_parts() {
                    writer.write(part.as_ref()).map_err(from_fault)?;
                }
                writer
            }
        };
        self.expected.check(&writer)?;
        Ok(writer)
    }
}
