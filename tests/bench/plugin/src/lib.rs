//! A backend that does next to nothing, so that a bench sees what lies around it.
//!
//! It counts allocations, and chunks that do not lie in the memory they were made in. Loaded, it
//! counts its own side; linked in, it shares the counters with the program.

mod count;

use bytes::Bytes;
use holdall_plugin_api::{
    Body, Custom, Delete, Deleted, Download, Downloaded, Error, Host, Key, ObjectInfo, Result,
    SignUrl, Signing, StorageBackend, Upload, Uploaded,
};
use serde::Deserialize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use count::allocations;

/// Size of the memory that downloads are served from, in bytes.
pub const RESIDENT: usize = 8 << 20;

/// No options.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The backend.
#[derive(Debug)]
pub struct Nothing {
    resident: Bytes,
    /// Where the caller says its chunks lie.
    expected: Mutex<Range<usize>>,
    copied: AtomicU64,
}

impl StorageBackend for Nothing {
    type Config = Config;

    async fn open(_: Config, _: Host) -> Result<Self> {
        Ok(Nothing {
            resident: Bytes::from(vec![7; RESIDENT]),
            expected: Mutex::new(0..0),
            copied: AtomicU64::new(0),
        })
    }

    async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        let expected = self
            .expected
            .lock()
            .map_err(|_| Error::invalid("poisoned"))?
            .clone();
        while let Some(chunk) = upload.body.chunk().await {
            let chunk = chunk?;
            if !expected.is_empty() && !expected.contains(&chunk.as_ptr().addr()) {
                self.copied.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(Uploaded::new(upload.body.seen()))
    }

    /// The key is the size; chunks are slices of the resident memory.
    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let size: u64 = download
            .key
            .text()
            .parse()
            .map_err(|_| Error::not_found())?;
        let chunk = download.chunk_hint as usize;
        let resident = self.resident.clone();
        let body = if size <= chunk as u64 {
            Body::once(resident.slice(..size as usize))
        } else {
            let mut left = size;
            let mut at = 0;
            Body::stream(futures_util::stream::iter(std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let take = chunk.min(usize::try_from(left).unwrap_or(chunk));
                if at + take > RESIDENT {
                    at = 0;
                }
                let piece = resident.slice(at..at + take);
                at += take;
                left -= take as u64;
                Some(Ok(piece))
            })))
        };
        Ok(Downloaded::new(ObjectInfo::new(size), 0..size, body))
    }

    async fn delete(&self, _: Delete<'_>) -> Result<Deleted> {
        Ok(Deleted::new(None))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(key.text() == "yes")
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        Ok(Signing::AtGateway)
    }

    /// `allocations`, `copied`, `resident` answer numbers; `expect` takes two.
    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        let numbers = |numbers: &[u64]| {
            Bytes::from(
                numbers
                    .iter()
                    .flat_map(|n| n.to_le_bytes())
                    .collect::<Vec<u8>>(),
            )
        };
        match custom.name {
            "allocations" => Ok(numbers(&[allocations()])),
            "copied" => Ok(numbers(&[self.copied.load(Ordering::Relaxed)])),
            "resident" => Ok(numbers(&[
                self.resident.as_ptr().addr() as u64,
                RESIDENT as u64,
            ])),
            "expect" => {
                let (pairs, _) = custom.payload.as_chunks::<8>();
                let [start, length] = pairs else {
                    return Err(Error::invalid("two numbers"));
                };
                let start = u64::from_le_bytes(*start) as usize;
                let end = start + u64::from_le_bytes(*length) as usize;
                *self
                    .expected
                    .lock()
                    .map_err(|_| Error::invalid("poisoned"))? = start..end;
                self.copied.store(0, Ordering::Relaxed);
                Ok(Bytes::new())
            }
            _ => Err(Error::unsupported("this call")),
        }
    }
}

holdall_plugin_api::export_plugin! {
    backend: Nothing,
    name: "bench",
    schemes: ["bench"],
    operations: [custom],
    capabilities: [atomic_put, unknown_length, custom],
    config_schema: "config.schema.json",
}
