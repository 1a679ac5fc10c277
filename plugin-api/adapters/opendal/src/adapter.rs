//! The contract, method by method; each is a few lines that lead to its file.

use crate::fault::{Intent, fault};
use crate::provider_reply::ReplyCapture;
use crate::upload::Writers;
use crate::{OpenedOperator, copy, delete, download, list, sign, upload};
use holdall_plugin_api::{
    Capabilities, Capability, Copied, CopyObject, Delete, Deleted, Download, Downloaded, Error,
    ErrorKind, Head, Health, Host, Instance, Key, List, ObjectInfo, Page, Rename, Renamed, Result,
    SignUrl, Signing, StorageBackend, Upload, Uploaded,
};
use opendal_core::{ErrorKind as Kind, Operator};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What an author writes: how a configuration becomes a store.
pub trait OpenOperator: Send + Sync + 'static {
    /// What `holdall.toml` says under `[backend.NAME.config]`.
    type Config: DeserializeOwned + Send + 'static;

    /// Makes the operator; an `async fn`. No request is sent.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`, with every bad field; [`from_config`](crate::from_config) makes one of an
    /// operator's error.
    fn open(
        config: Self::Config,
        host: &Host,
    ) -> impl Future<Output = Result<OpenedOperator>> + Send;
}

/// The backend that an [`OpenOperator`] describes.
pub struct Adapter<A> {
    pub(crate) store: OpenedOperator,
    pub(crate) claims: Capabilities,
    pub(crate) host: Host,
    pub(crate) writers: Writers,
    shut_down: AtomicBool,
    _author: PhantomData<fn() -> A>,
}

/// Longest time that `shutdown` waits for uploads to be taken back.
const SHUTDOWN: Duration = Duration::from_secs(10);

impl<A> Adapter<A> {
    /// The operator for one operation, and the capture of its answers.
    pub(crate) fn begin(&self) -> Result<(Operator, ReplyCapture)> {
        if self.shut_down.load(Ordering::Acquire) {
            return Err(
                Error::new(ErrorKind::Unavailable).with_message("the backend has been shut down")
            );
        }
        Ok(self.store.operation())
    }

    /// What a look at an object failed with. The answer to a `HEAD`, and Swift's to a `GET`, has no body
    /// that could tell a missing object from a missing bucket, so that one is looked for.
    pub(crate) async fn missing(
        &self,
        operator: &Operator,
        captured: &ReplyCapture,
        error: opendal_core::Error,
        intent: Intent,
    ) -> Error {
        let error = fault(error, captured, intent);
        let untold = error.provider().status == Some(404) && error.provider().code.is_none();
        if error.kind() != ErrorKind::FileNotFound || !untold || !self.store.capability.list {
            return error;
        }
        match list::container(operator, captured, &self.store).await {
            Ok(()) => error,
            Err(of_container) => of_container,
        }
    }

    pub(crate) fn claims(&self, capability: Capability) -> bool {
        self.claims.has(capability)
    }
}

impl<A> fmt::Debug for Adapter<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter")
            .field("store", &self.store.description)
            .finish_non_exhaustive()
    }
}

impl<A: OpenOperator> StorageBackend for Adapter<A> {
    type Config = A::Config;

    async fn open(config: A::Config, host: Host) -> Result<Self> {
        let store = A::open(config, &host).await?;
        Ok(Self {
            claims: store.capabilities(),
            store,
            host,
            writers: Writers::default(),
            shut_down: AtomicBool::new(false),
            _author: PhantomData,
        })
    }

    fn instance(&self) -> Instance {
        self.store.instance()
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        upload::upload(self, upload).await
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        download::download(self, download).await
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        delete::delete(self, delete).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let (operator, captured) = self.begin()?;
        match operator.stat(key.text()).await {
            // A folder of this name is no object.
            Ok(metadata) => Ok(self.store.own(metadata)?.is_file()),
            Err(error) => match self
                .missing(&operator, &captured, error, Intent::Read)
                .await
            {
                missing if missing.kind() == ErrorKind::FileNotFound => Ok(false),
                error => Err(error),
            },
        }
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        sign::sign(self, sign).await
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        download::head(self, head).await
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        list::page(self, &list).await
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        copy::copy(self, copy).await
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        copy::rename(self, rename).await
    }

    async fn health(&self) -> Result<Health> {
        let (operator, captured) = self.begin()?;
        let answer = if self.store.capability.list {
            list::container(&operator, &captured, &self.store).await
        } else {
            // Any answer about a name will do; the name need not exist.
            match operator.stat("holdall-health").await {
                Err(error) if error.kind() == Kind::NotFound => Ok(()),
                answer => answer
                    .map(drop)
                    .map_err(|error| fault(error, &captured, Intent::Read)),
            }
        };
        Ok(match answer {
            Ok(()) => Health::up(),
            Err(error) => Health::down(error.to_string()),
        })
    }

    async fn shutdown(&self) -> Result<()> {
        self.shut_down.store(true, Ordering::Release);
        // Uploads under way are taken back; what does not answer in time is left to the service.
        let _ = tokio::time::timeout(SHUTDOWN, self.writers.end()).await;
        Ok(())
    }
}
