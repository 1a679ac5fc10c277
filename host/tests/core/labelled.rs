//! A plugin whose instances say in every answer which registration they were opened for.
#![allow(
    unreachable_pub,
    reason = "this is a test: what the macro exports is public"
)]

use holdall_plugin_api::{
    Body, Bytes, Custom, Delete, Deleted, Download, Downloaded, Error, Host, Key, ObjectInfo,
    Result, SignUrl, Signing, StorageBackend, Upload, Uploaded,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// Instances that were opened and have not ended. Of the process: one test uses it.
pub(crate) static ALIVE: AtomicU64 = AtomicU64::new(0);

/// Chunks of a download; each is the label.
pub(crate) const CHUNKS: usize = 4;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Told by every answer.
    label: u64,
}

pub struct Labelled(u64);

impl Drop for Labelled {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

impl StorageBackend for Labelled {
    type Config = Config;

    async fn open(config: Config, _: Host) -> Result<Self> {
        // So that others come in between.
        tokio::task::yield_now().await;
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Ok(Self(config.label))
    }

    /// The label as `etag`, and again in each chunk of the body.
    async fn download(&self, _: Download<'_>) -> Result<Downloaded> {
        let chunk = Bytes::from(self.0.to_le_bytes().to_vec());
        let size = (CHUNKS * chunk.len()) as u64;
        let mut info = ObjectInfo::new(size);
        info.etag = Some(self.0.to_string());
        let body = futures_util::stream::iter((0..CHUNKS).map(move |_| Ok(chunk.clone())));
        Ok(Downloaded::new(info, 0..size, Body::stream(body)))
    }

    /// The label.
    async fn custom(&self, _: Custom<'_>) -> Result<Bytes> {
        Ok(self.0.to_le_bytes().to_vec().into())
    }

    async fn exists(&self, _: &Key) -> Result<bool> {
        Ok(true)
    }

    async fn upload(&self, _: Upload<'_>) -> Result<Uploaded> {
        Err(Error::unsupported("it only tells its label"))
    }

    async fn delete(&self, _: Delete<'_>) -> Result<Deleted> {
        Ok(Deleted::new(None))
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        Ok(Signing::AtGateway)
    }
}

holdall_plugin_api::export_plugin! {
    backend: Labelled,
    name: "labelled",
    schemes: ["labelled"],
    operations: [custom],
    capabilities: [atomic_put, custom],
    config_schema: "tests/core/labelled.schema.json",
}
