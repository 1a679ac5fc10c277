//! F: streams hold little, wait for their reader, and give back what they hold.

use super::remote;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::subject::Level;
use crate::trial::{Trial, not_applicable, soon};
use crate::watch::refused;
use crate::{body, data};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use holdall_plugin_api::{Body, Download, ErrorKind, MAX_CHUNK, Upload};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    case!(
        "F-01",
        Tag::Core,
        "an upload of 256 MiB, or of the largest object, holds no more of its chunks than the claimed bound",
        upload_is_bounded
    )
    .within(120),
    case!(
        "F-02",
        Tag::Core,
        "a reader that stops gets no more than it asks for",
        reader_stops
    ),
    case!(
        "F-03",
        Tag::Need("http"),
        "a reader slower than the network, and a network slower than its limits, break no stream",
        remote::other_paces
    )
    .within(120),
    case!(
        "F-04",
        Tag::Need("deadlines"),
        "a source that stalls ends in Timeout, and nothing becomes visible",
        source_stalls
    ),
    case!(
        "F-05",
        Tag::Core,
        "a download dropped half way gives its descriptor back",
        descriptors
    ),
    case!(
        "F-06",
        Tag::Core,
        "no chunk is larger than agreed",
        chunk_sizes
    ),
    case!(
        "F-07",
        Tag::Core,
        "64 streams at once on one instance make progress",
        many_streams
    )
    .within(60),
    case!(
        "F-08",
        Tag::Need("http"),
        "a server that closes early or falls silent is an error, not a short success",
        remote::early_close
    )
    .within(240),
];

async fn source_stalls(t: &Trial) -> Outcome {
    let (old, new) = (t.key("old"), t.key("new"));
    t.put(&old, "as it was").await?;
    for key in [&old, &new] {
        let (body, gate) = body::gated(vec![data::bytes(100_000, 6)], vec!["never".into()]);
        let upload = Upload::new(key, body).length(100_005);
        let Some(answer) = t.upload_within(upload, Duration::from_millis(500)).await else {
            return not_applicable("calls have no deadline at this level");
        };
        refused(answer, ErrorKind::Timeout, "an upload whose source stalls")?;
        drop(gate);
    }
    t.holds(&old, b"as it was").await?;
    t.is_absent(&new).await
}

/// A chunk that knows how many of its kind are alive.
struct Alive(Bytes, Arc<AtomicU64>);

impl AsRef<[u8]> for Alive {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len() as u64, Ordering::SeqCst);
    }
}

async fn upload_is_bounded(t: &Trial) -> Outcome {
    const CHUNK: usize = 1 << 20;
    let largest = t.info().limits.max_object_size.unwrap_or(u64::MAX);
    let chunks_due = (largest / CHUNK as u64).min(256);
    if t.info().level == Level::Rust {
        return not_applicable("chunks are counted where they cross the boundary");
    }
    let (alive, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let piece = data::bytes(CHUNK, 1);
    let (now, peak) = (alive.clone(), most.clone());
    let chunks = stream::iter(0..chunks_due).map(move |_| {
        let alive = now.fetch_add(CHUNK as u64, Ordering::SeqCst) + CHUNK as u64;
        peak.fetch_max(alive, Ordering::SeqCst);
        Ok(Bytes::from_owner(Alive(piece.clone(), now.clone())))
    });
    let key = t.key("object");
    t.upload(Upload::new(&key, Body::stream(chunks)).length(chunks_due * CHUNK as u64))
        .await?;
    let (held, bound) = (most.load(Ordering::SeqCst), t.info().limits.buffer_bytes);
    ensure!(
        held <= bound + CHUNK as u64,
        "{held} bytes of chunks were held, the claimed bound is {bound}"
    );
    Ok(())
}

async fn reader_stops(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = data::bytes(6 << 20, 2);
    t.put(&key, bytes.clone()).await?;
    let mut downloaded = t.download(Download::new(&key).chunk_hint(64 << 10)).await?;
    let mut got = Vec::new();
    // While this reader rests after each chunk, others are served.
    while let Some(chunk) = downloaded.body.chunk().await {
        got.extend_from_slice(&chunk?);
        ensure!(t.exists(&key).await?, "the object is gone while it is read");
        ensure!(
            downloaded.body.seen() == got.len() as u64,
            "the body counts other bytes than it gives"
        );
    }
    match data::difference(&got, &bytes) {
        Some(difference) => Err(Stop::Failed(difference)),
        None => Ok(()),
    }
}

pub(super) fn open_descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

async fn descriptors(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, data::bytes(6 << 20, 3)).await?;
    let Some(before) = open_descriptors() else {
        return not_applicable("the process does not tell its descriptors");
    };
    for _ in 0..200 {
        let mut downloaded = t.download(Download::new(&key).chunk_hint(64 << 10)).await?;
        downloaded.body.chunk().await.transpose()?;
    }
    // Other tests of this process may open a few meanwhile.
    let gone = soon(|| open_descriptors().is_some_and(|now| now < before + 50)).await;
    ensure!(
        gone,
        "{before} descriptors before 200 dropped downloads, {:?} after",
        open_descriptors()
    );
    Ok(())
}

async fn chunk_sizes(t: &Trial) -> Outcome {
    let key = t.key("object");
    let size = (5 << 20) + 77;
    t.put(&key, data::bytes(size, 4)).await?;
    for hint in [64 << 10, 100_000, 1 << 20] {
        let mut downloaded = t.download(Download::new(&key).chunk_hint(hint)).await?;
        let mut seen = 0;
        while let Some(chunk) = downloaded.body.chunk().await.transpose()? {
            ensure!(
                chunk.len() <= MAX_CHUNK as usize,
                "a chunk of {} bytes",
                chunk.len()
            );
            seen += chunk.len();
        }
        ensure!(seen == size, "{seen} bytes of {size}");
    }
    Ok(())
}

async fn many_streams(t: &Trial) -> Outcome {
    const STREAMS: usize = 64;
    let bytes = data::bytes(500_000, 5);
    let names: Vec<String> = (0..STREAMS)
        .map(|index| t.key(&format!("object-{index}")))
        .collect();
    // All of them are half way at the same time.
    let mut gates = Vec::new();
    let mut uploads = Vec::new();
    for key in &names {
        let pieces = data::pieces(&bytes, 100_000);
        let (body, gate) = body::gated(pieces[..3].to_vec(), pieces[3..].to_vec());
        gates.push(gate);
        uploads.push(t.upload(Upload::new(key, body).length(bytes.len() as u64)));
    }
    let half_way = async {
        for gate in &mut gates {
            ensure!(gate.reached().await, "an upload ended before its body did");
        }
        gates.into_iter().for_each(body::Gate::open);
        Ok(())
    };
    let (uploaded, reached) =
        futures_util::future::join(futures_util::future::join_all(uploads), half_way).await;
    reached?;
    for one in uploaded {
        one?;
    }
    let mut readers = Vec::new();
    for key in &names {
        readers.push(
            t.download(Download::new(key).chunk_hint(64 << 10))
                .await?
                .body,
        );
    }
    let mut total = 0;
    while !readers.is_empty() {
        let mut going_on = Vec::new();
        for mut reader in readers {
            if let Some(chunk) = reader.chunk().await.transpose()? {
                total += chunk.len();
                going_on.push(reader);
            }
        }
        readers = going_on;
    }
    ensure!(
        total == STREAMS * bytes.len(),
        "{total} bytes from {STREAMS} streams"
    );
    Ok(())
}
