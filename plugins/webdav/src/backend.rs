//! The contract, operation by operation.

use crate::WebdavConfig;
use crate::client::{Ask, Dav};
use crate::condition::{Expected, check_read};
use crate::error::About;
use crate::features::{self, Features};
use crate::key_changes;
use crate::lock::Held;
use crate::metadata_record::{MetadataRecord, checksums, unique};
use crate::reader;
use crate::store::{Object, WebdavStore, restless};
use crate::sweep;
use crate::writer::Staged;
use holdall_plugin_api::{
    Copied, CopyObject, Delete, Deleted, Download, Downloaded, Error, ErrorKind, Head, Health,
    Host, Instance, Key, List, ObjectInfo, Page, Rename, Renamed, Result, SignUrl, Signing,
    StorageBackend, Upload, Uploaded, Usage,
};
use std::sync::Arc;

/// A folder of a WebDAV server as a store.
#[derive(Debug)]
pub struct Webdav {
    store: Arc<WebdavStore>,
}

impl Webdav {
    /// Puts a staged file in its place, if what is there is as expected.
    async fn publish(&self, staged: Staged, key: &str, expected: Expected<'_>) -> Result<()> {
        let held = match expected.is_any() {
            true => None,
            false => Some(Held::of(&self.store, key).await?),
        };
        let moving = key_changes::begin(self.store.url(key)?.as_str()).await;
        expected.check_held(&self.store, key).await?;
        if let Some(held) = &held {
            held.check()?;
        }
        self.store
            .publish("MOVE", &staged.url, key, !expected.create_only)
            .await?;
        staged.published();
        drop(moving);
        if let Some(held) = held {
            held.release().await;
        }
        Ok(())
    }
}

impl StorageBackend for Webdav {
    type Config = WebdavConfig;

    async fn open(config: WebdavConfig, host: Host) -> Result<Self> {
        let settings = config.checked()?;
        let certificates = match &config.ca_file {
            None => Vec::new(),
            Some(path) => std::fs::read(path).map_err(|cause| {
                Error::new(ErrorKind::ConfigInvalid)
                    .with_message("`ca_file` cannot be read")
                    .because(cause)
            })?,
        };
        let dav = Dav::new(&settings, &certificates)?;
        if config.create || config.probe {
            features::prepare(&dav, &settings, config.create).await?;
        }
        let features = match config.probe {
            true => features::probe(&dav, &settings, &host).await?,
            false => Features::default(),
        };
        let store = Arc::new(WebdavStore::new(dav, settings, features, host));
        if config.stale_after_seconds > 0 {
            sweep::begin(&store, config.stale_after_seconds);
        }
        Ok(Self { store })
    }

    fn instance(&self) -> Instance {
        self.store.features.instance(&self.store.settings.root)
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let store = &self.store;
        store.check_open()?;
        let (key, mut body, length, options) = upload.into_parts();
        let key = key.text();
        let expected = Expected {
            create_only: options.create_only,
            if_match: options.if_match,
        };
        store.url(key)?;
        // Early, for the caller's sake; what counts is the second look, under the lock.
        expected.check(store, key).await?;
        let mut staged = Staged::new(store);
        let of = staged.put(&mut body, length).await?;
        let end = body.trailers().unwrap_or_default();
        let mut uploaded = Uploaded::new(end.size);
        if store.features.properties {
            let of = of.ok_or_else(|| {
                Error::new(ErrorKind::Unavailable)
                    .with_message("the server has no etag for what was put")
            })?;
            let mut record = MetadataRecord::new(&store.host, &options, of);
            record.crc32c = end.checksums.crc32c;
            set(store, &staged, &record).await?;
            uploaded.checksums = checksums(record.crc32c);
            uploaded.etag = Some(record.etag);
        }
        self.publish(staged, key, expected).await?;
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        self.store.check_open()?;
        reader::download(&self.store, &download).await
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let store = &self.store;
        store.check_open()?;
        let key = delete.key.text();
        let url = store.url(key)?;
        let expected = Expected {
            create_only: false,
            if_match: delete.if_match,
        };
        let held = match expected.is_any() {
            true => None,
            false => Some(Held::of(store, key).await?),
        };
        let moving = key_changes::begin(url.as_str()).await;
        expected.check_held(store, key).await?;
        // A folder is no object, and to delete it would delete all that is in it.
        let is_there = match store.object_held(key).await {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::FileNotFound => false,
            Err(error) => return Err(error),
        };
        let existed = is_there && store.dav.remove(About::Changing, &url).await?;
        drop(moving);
        if let Some(held) = held {
            held.release().await;
        }
        match existed {
            false if delete.must_exist => Err(Error::not_found()),
            existed => Ok(Deleted::new(Some(existed))),
        }
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.store.check_open()?;
        match self.store.object(key.text()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        // WebDAV has no URL that works without credentials.
        self.store.check_open().map(|()| Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        self.store.check_open()?;
        let object = self.store.object(head.key.text()).await?;
        check_read(&self.store, &object, head.options())?;
        Ok(object.info(&self.store.features))
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        self.store.check_open()?;
        holdall_plugin_api_hierarchical_list::page(&*self.store, &list).await
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let store = &self.store;
        store.check_open()?;
        let (from, to) = (copy.from.text(), copy.to.text());
        store.url(to)?;
        let expected = Expected {
            create_only: copy.create_only,
            if_match: None,
        };
        if from == to {
            let source = store.object(from).await?;
            expected.check(store, to).await?;
            return Ok(copied(&source, source.etag(&store.features)));
        }
        expected.check(store, to).await?;
        let (staged, source) = self.staged_copy(from).await?;
        let mut etag = None;
        if store.features.properties {
            let (resource, _) = store
                .dav
                .facts(About::Staging, &staged.url, Ask::Facts)
                .await?;
            let of = resource.etag.ok_or_else(|| {
                Error::new(ErrorKind::Unavailable)
                    .with_message("the server has no etag for what was copied")
            })?;
            let mut record = source.record.clone().unwrap_or_default();
            record.of = of;
            record.etag = unique(&store.host);
            set(store, &staged, &record).await?;
            etag = Some(record.etag);
        }
        self.publish(staged, to, expected).await?;
        let mut copied = copied(&source, etag);
        copied.last_modified = None;
        Ok(copied)
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let store = &self.store;
        store.check_open()?;
        let (from, to) = (rename.from.text(), rename.to.text());
        let source = store.object(from).await?;
        // The server decides how many steps it takes.
        let mut renamed = Renamed::new(false);
        renamed.etag = source.etag(&store.features);
        if from == to {
            return Ok(renamed);
        }
        let url = store.url(from)?;
        let target = store.url(to)?;
        let _moving = key_changes::begin_both(url.as_str(), target.as_str()).await;
        store.publish("MOVE", &url, to, true).await?;
        Ok(renamed)
    }

    async fn health(&self) -> Result<Health> {
        self.store.check_open()?;
        self.store.check_root().await.map(|()| Health::up())
    }

    async fn usage(&self) -> Result<Usage> {
        let store = &self.store;
        store.check_open()?;
        let (root, _) = store
            .dav
            .facts(About::Root, &store.settings.objects, Ask::Space)
            .await?;
        let mut usage = Usage::default();
        usage.used = root.used;
        usage.free = root.available;
        Ok(usage)
    }

    async fn shutdown(&self) -> Result<()> {
        self.store.close().await;
        Ok(())
    }
}

impl Webdav {
    /// A copy of an object in the staging folder, with the facts of exactly these bytes.
    async fn staged_copy(&self, from: &str) -> Result<(Staged, Object)> {
        let store = &self.store;
        let url = store.url(from)?;
        for _ in 0..5 {
            let before = store.object(from).await?;
            let mut staged = Staged::new(store);
            if store.features.copy {
                store
                    .dav
                    .transfer("COPY", About::Staging, &url, &staged.url, true)
                    .await?;
            } else {
                // Not claimed as a copy in the server, but the caller gets one.
                let source = Download::new(Key::new(from));
                let mut body = reader::download(store, &source).await?.body;
                staged.put(&mut body, Some(before.size)).await?;
            }
            let after = store.object(from).await?;
            if before.etag(&store.features) == after.etag(&store.features)
                && (before.size, before.modified) == (after.size, after.modified)
            {
                return Ok((staged, before));
            }
        }
        Err(restless())
    }
}

fn copied(source: &Object, etag: Option<String>) -> Copied {
    let mut copied = Copied::default();
    copied.size = Some(source.size);
    copied.etag = etag;
    copied.last_modified = source.modified;
    copied
}

/// Writes the record of a staged file.
async fn set(store: &WebdavStore, staged: &Staged, record: &MetadataRecord) -> Result<()> {
    if store.dav.set_record(&staged.url, &record.text()).await? {
        return Ok(());
    }
    // It did so at the opening. To go on would lose metadata in silence.
    Err(Error::new(ErrorKind::Unavailable).with_message("the server does not keep the metadata"))
}
