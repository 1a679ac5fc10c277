//! `download`, `head` and `exists`.

use super::calls;
use super::download_body::{Origin, Verified};
use super::etag;
use super::fault;
#[cfg(unix)]
use super::file_body::FileBody;
use super::needs;
use crate::backend::Backend;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use holdall_plugin_api::{Body, Download, Downloaded, Head, Key, ObjectInfo, Operation, Result};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

impl Backend {
    /// Reads an object: facts and bytes of one version. The body is pulled; it yields exactly the
    /// announced range, in chunks of at most 1 MiB, or ends in an error. A whole object is compared with the checksum
    /// that the store keeps, unless the caller takes [`unverified`](Download::unverified) bytes; on Unix those may come
    /// as a file ([`Body::file`]).
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::Download;
    ///
    /// let all = photos.download("2026/cat.txt").await?.bytes().await?;
    /// let part = photos.download(Download::new("2026/cat.txt").range(0..2)).await?;
    /// println!("{} and {:?} bytes", all.len(), part.range);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `FileNotFound`, `InvalidRange` (with the size), `InvalidKey`, `InvalidArgument`.
    /// - `PreconditionFailed`, and `NotModified`, which is an answer and is not counted as error.
    /// - `Unsupported`: a condition or range that the backend does not claim.
    /// - In the body: `Unavailable` when it ends early, `Corrupt` when a whole read has not the
    ///   digest that was stored with it.
    pub fn download<'a>(
        &self,
        download: impl Into<Download<'a>>,
    ) -> impl Future<Output = Result<Downloaded>> + Send {
        let download = download.into();
        async move {
            let started = Instant::now();
            let scope = self.scope(Operation::Download, Some(download.key));
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    read(&scope, opened, download, started).await
                }))
                .await
        }
    }

    /// Facts about an object. Where the plugin has no `head`, a download is begun and dropped.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let facts = photos.head("2026/cat.txt").await?;
    /// println!("{} bytes, changed {:?}", facts.size, facts.last_modified);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Backend::download`].
    pub fn head<'a>(
        &self,
        head: impl Into<Head<'a>>,
    ) -> impl Future<Output = Result<ObjectInfo>> + Send {
        let head = head.into();
        async move {
            let scope = self.scope(Operation::Head, Some(head.key));
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    facts(&scope, opened, head).await
                }))
                .await
        }
    }

    /// Whether an object has exactly this key; a mere prefix is no object.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// if !photos.exists("2026/cat.txt").await? {
    ///     println!("no cat");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidKey`, and whatever keeps the store from telling: `Ok(false)` is a proven absence.
    pub async fn exists<K: AsRef<Key> + ?Sized + Sync>(&self, key: &K) -> Result<bool> {
        let key = key.as_ref();
        let scope = self.scope(Operation::Exists, Some(key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                opened.terms.key(key.text())?;
                calls::exists(&scope, opened, key).await
            }))
            .await
    }
}

pub(super) async fn read(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    download: Download<'_>,
    started: Instant,
) -> Result<Downloaded> {
    opened.terms.download(&download)?;
    let (key, asked) = (download.key.text().to_owned(), download.range.clone());
    let (unverified, chunk) = (download.unverified, download.chunk_hint);
    let mut download = download;
    let (wanted, known);
    if let Some(given) = download.options().if_match {
        wanted = etag::native(scope, opened, download.key, given).await;
        download = download.if_match(&wanted);
    }
    if let Some(given) = download.options().if_none_match {
        known = etag::native(scope, opened, download.key, given).await;
        download = download.if_none_match(&known);
    }
    let mut downloaded = calls::download(scope, opened, download).await?;
    opened.etags.show(&mut downloaded.info.etag);
    let size = downloaded.info.size;
    let range = match asked {
        None => 0..size,
        Some(asked) => asked.within(size)?,
    };
    if downloaded.range != range {
        return Err(fault("the plugin answered another range than was asked")
            .with_fact("expected", format!("{range:?}"))
            .with_fact("found", format!("{:?}", downloaded.range)));
    }
    let whole = range.end - range.start == size;
    let stored = downloaded.info.checksums.crc32c;
    let stored = stored.filter(|_| whole && !unverified);
    let origin = Origin {
        slot: scope.backend.slot.clone(),
        generation: scope.generation()?.clone(),
        opened: opened.clone(),
        key,
        started,
        deadline: scope.body_deadline(),
        idle: scope.guards().and_then(|guards| guards.idle_timeout),
        _turn: scope.take_turn(),
    };
    let body = std::mem::replace(&mut downloaded.body, Body::empty());
    #[cfg(unix)]
    let body = match unverified {
        true => FileBody::new(body, chunk).map_or_else(|body| body, Body::source),
        false => body,
    };
    #[cfg(not(unix))]
    let _ = chunk;
    downloaded.body = Body::source(Verified::new(body, range.end - range.start, stored, origin));
    Ok(downloaded)
}

pub(super) async fn facts(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    head: Head<'_>,
) -> Result<ObjectInfo> {
    opened.terms.head(&head)?;
    let mut head = head;
    let (wanted, known);
    if let Some(given) = head.options().if_match {
        wanted = etag::native(scope, opened, head.key, given).await;
        head = head.if_match(&wanted);
    }
    if let Some(given) = head.options().if_none_match {
        known = etag::native(scope, opened, head.key, given).await;
        head = head.if_none_match(&known);
    }
    let mut info = if needs(opened, Operation::Head).is_ok() {
        calls::head(scope, opened, head).await?
    } else {
        let options = (!head.is_plain()).then(|| head.options().clone());
        let download = Download::new(head.key).with_options(options);
        calls::download(scope, opened, download).await?.info
    };
    opened.etags.show(&mut info.etag);
    Ok(info)
}
