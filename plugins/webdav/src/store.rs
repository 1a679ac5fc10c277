//! The objects on the server: looking at one, and putting one in its place.

use crate::client::{Ask, Dav};
use crate::config::CheckedConfig;
use crate::error::About;
use crate::features::Features;
use crate::key_changes;
use crate::lock;
use crate::metadata_record::{self, MetadataRecord};
use crate::multistatus::Resource;
use crate::names;
use holdall_plugin_api::{Error, ErrorKind, Host, ObjectInfo, Result, Retry};
use reqwest::Url;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// One opened store. Shared by the backend, its streams and what cleans up behind them.
#[derive(Debug)]
pub(crate) struct WebdavStore {
    pub(crate) dav: Dav,
    pub(crate) settings: CheckedConfig,
    pub(crate) features: Features,
    pub(crate) host: Host,
    /// Of this process, one for each lock of the server.
    pub(crate) turns: Vec<Arc<tokio::sync::Mutex<()>>>,
    closed: AtomicBool,
    /// Removals of staged files that run in the background.
    cleaning: TaskTracker,
    /// Staged files that could not be removed because the server did not answer.
    leftovers: Arc<Mutex<Vec<Url>>>,
    /// When the folder of the objects was last seen.
    seen: Mutex<Instant>,
}

/// A missing object proves little when its folder may be gone; looked at this often.
const TRUST: Duration = Duration::from_secs(10);
/// Most leftovers that are remembered; the next opening finds the others.
const LEFTOVERS: usize = 1000;
/// How often a reader looks again at what others change meanwhile.
const LOOKS: usize = 50;

/// An object, as the server and its record describe it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) size: u64,
    /// The server's own etag of the bytes.
    pub(crate) of: Option<String>,
    pub(crate) modified: Option<SystemTime>,
    /// Only when it belongs to these bytes.
    pub(crate) record: Option<MetadataRecord>,
}

impl Object {
    /// `None`: the record says that it belongs to other bytes.
    fn of(resource: &Resource, size: u64) -> Option<Self> {
        let record = resource.record.as_deref().and_then(MetadataRecord::parse);
        let belongs = |record: &MetadataRecord| Some(&record.of) == resource.etag.as_ref();
        if record.as_ref().is_some_and(|record| !belongs(record)) {
            return None;
        }
        Some(Self {
            size,
            of: resource.etag.clone(),
            modified: resource.modified,
            record,
        })
    }

    /// Whatever record there is, without it.
    pub(crate) fn bare(resource: &Resource, size: u64) -> Self {
        Self {
            size,
            of: resource.etag.clone(),
            modified: resource.modified,
            record: None,
        }
    }

    /// For a listing, which takes no second look.
    pub(crate) fn listed(resource: &Resource, size: u64) -> Self {
        Self::of(resource, size).unwrap_or_else(|| Self::bare(resource, size))
    }

    pub(crate) fn etag(&self, features: &Features) -> Option<String> {
        match &self.record {
            Some(record) => Some(record.etag.clone()),
            // A file of another program: the server's etag is as good as the server.
            None => self.of.clone().filter(|_| features.properties),
        }
    }

    pub(crate) fn info(&self, features: &Features) -> ObjectInfo {
        let mut info = ObjectInfo::new(self.size);
        info.etag = self.etag(features);
        info.last_modified = self.modified;
        if let Some(record) = &self.record {
            record.clone().describe(&mut info);
        }
        info
    }
}

impl WebdavStore {
    pub(crate) fn new(dav: Dav, settings: CheckedConfig, features: Features, host: Host) -> Self {
        Self {
            dav,
            settings,
            features,
            host,
            turns: (0..lock::LOCKS).map(|_| Arc::default()).collect(),
            closed: AtomicBool::new(false),
            cleaning: TaskTracker::new(),
            leftovers: Arc::default(),
            seen: Mutex::new(Instant::now()),
        }
    }

    /// # Errors
    ///
    /// `Unavailable` after [`WebdavStore::close`].
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(
                Error::new(ErrorKind::Unavailable).with_message("the backend has been shut down")
            );
        }
        Ok(())
    }

    /// Refuses what comes, and waits a while for what cleans up.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.cleaning.close();
        // What is not done then goes on beside.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.cleaning.wait()).await;
    }

    /// Cleans up after a caller that goes away; [`WebdavStore::close`] waits for it.
    pub(crate) fn clean(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.cleaning.spawn_on(work, &runtime);
        }
    }

    /// Remembers a staged file, to be removed when the server answers again.
    pub(crate) fn leave(&self, url: Url) {
        let mut leftovers = lock(&self.leftovers);
        if leftovers.len() < LEFTOVERS {
            leftovers.push(url);
        }
    }

    /// Removes what was left, in the background: the server has just answered.
    pub(crate) fn remove_leftovers(&self) {
        let left = std::mem::take(&mut *lock(&self.leftovers));
        if left.is_empty() {
            return;
        }
        let (dav, leftovers) = (self.dav.clone(), Arc::clone(&self.leftovers));
        self.clean(async move {
            for url in left {
                if dav.remove(About::Staging, &url).await.is_err() {
                    lock(&leftovers).push(url);
                }
            }
        });
    }

    pub(crate) fn url(&self, key: &str) -> Result<Url> {
        self.features.check_key(key)?;
        Ok(self.place(key))
    }

    /// Where a key, or a folder with a `/` at its end, is on the server.
    pub(crate) fn place(&self, key: &str) -> Url {
        match self.features.hides_dots {
            true => names::below(&self.settings.objects, &names::undotted(key)),
            false => names::below(&self.settings.objects, key),
        }
    }

    /// A URL in the staging folder that no other upload uses.
    pub(crate) fn staging_url(&self) -> Url {
        names::below(&self.settings.staging, &metadata_record::unique(&self.host))
    }

    fn ask(&self) -> Ask {
        match self.features.properties {
            true => Ask::Record,
            false => Ask::Facts,
        }
    }

    /// The object of this key.
    ///
    /// # Errors
    ///
    /// `FileNotFound`, also for a folder of this name; what the server says.
    pub(crate) async fn object(&self, key: &str) -> Result<Object> {
        self.look(key, false).await
    }

    /// As [`WebdavStore::object`], for who changes this key just now ([`key_changes::begin`]).
    pub(crate) async fn object_held(&self, key: &str) -> Result<Object> {
        self.look(key, true).await
    }

    async fn look(&self, key: &str, is_held: bool) -> Result<Object> {
        let url = self.url(key)?;
        let mut doubts = 0;
        for _ in 0..LOOKS {
            let mark = key_changes::mark(url.as_str());
            let unsettled = async || !is_held && mark.is_past().await;
            let (resource, now) = match self.dav.facts(About::Reading, &url, self.ask()).await {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::FileNotFound => {
                    if unsettled().await {
                        continue;
                    }
                    return Err(self.missing(error).await);
                }
                // A server may stumble over a file that is being replaced under its hands.
                Err(error) if is_stumble(&error) && unsettled().await => continue,
                Err(error) => return Err(error),
            };
            if resource.folder {
                return Err(Error::not_found());
            }
            let size = size(&resource)?;
            let object = Object::of(&resource, size);
            if let Some(object) = &object
                && (object.record.is_some() || !self.features.properties)
            {
                return Ok(object.clone());
            }
            // Bytes without a record of theirs: of another program, or just being published.
            if unsettled().await {
                continue;
            }
            let is_fresh = object.is_none() || is_near(resource.modified, now);
            if is_fresh && doubts < 2 {
                doubts += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            return Ok(Object::bare(&resource, size));
        }
        Err(restless())
    }

    /// A missing object, or a missing store?
    pub(crate) async fn missing(&self, error: Error) -> Error {
        let is_recent = { lock(&self.seen).elapsed() < TRUST };
        if is_recent {
            return error;
        }
        match self.check_root().await {
            Ok(()) => error,
            Err(worse) => worse,
        }
    }

    /// Whether the folder of the objects is there.
    ///
    /// # Errors
    ///
    /// `ContainerMissing`; what the server says.
    pub(crate) async fn check_root(&self) -> Result<()> {
        self.dav
            .facts(About::Root, &self.settings.objects, Ask::Facts)
            .await?;
        *lock(&self.seen) = Instant::now();
        self.remove_leftovers();
        Ok(())
    }

    /// Moves a staged file, or another object, to where readers see it.
    ///
    /// # Errors
    ///
    /// `PreconditionFailed` when there is an object that may not be replaced; `Conflict` when a
    /// folder is in the way, or an object where a folder must be.
    pub(crate) async fn publish(
        &self,
        method: &'static str,
        from: &Url,
        key: &str,
        replace: bool,
    ) -> Result<()> {
        let to = self.url(key)?;
        // Never straight over what is there: that would remove a folder with all that is in it.
        match self.move_once(method, from, &to, key, false).await {
            Err(error) if error.kind() == ErrorKind::PreconditionFailed && replace => {}
            ended => return ended,
        }
        match self.dav.facts(About::Staging, &to, Ask::Facts).await {
            Ok((there, _)) if there.folder => Err(Error::new(ErrorKind::Conflict)
                .with_message("a folder with objects in it, or an empty one, has this name")),
            Ok(_) => self.move_once(method, from, &to, key, true).await,
            // Gone meanwhile.
            Err(error) if error.kind() == ErrorKind::FileNotFound => {
                self.move_once(method, from, &to, key, false).await
            }
            Err(error) => Err(error),
        }
    }

    /// One move, with the folders made that it needs.
    async fn move_once(
        &self,
        method: &'static str,
        from: &Url,
        to: &Url,
        key: &str,
        replace: bool,
    ) -> Result<()> {
        let first = self
            .dav
            .transfer(method, About::Changing, from, to, replace)
            .await;
        let Err(error) = first else {
            return Ok(());
        };
        // RFC 4918 has 409 for a missing folder; servers answer this and that.
        let status = error.provider().status;
        let (Some((folder, _)), Some(403 | 404 | 409 | 500)) = (key.rsplit_once('/'), status)
        else {
            return Err(error);
        };
        let made = self.make_folders(folder).await?;
        // Another client may have made it first.
        if !made && !matches!(status, Some(404 | 409)) {
            return Err(error);
        }
        self.dav
            .transfer(method, About::Changing, from, to, replace)
            .await
    }

    /// Makes a folder and those above it; `false` when it was there. Several may do so at once.
    async fn make_folders(&self, folder: &str) -> Result<bool> {
        let url = |folder: &str| self.place(&format!("{folder}/"));
        let mut missing = Vec::new();
        let mut at = folder;
        let mut made = loop {
            match self.dav.make_folder(About::Staging, &url(at)).await {
                Ok(made) => break made,
                // The folder above is missing too, or is no folder.
                Err(error) if matches!(error.provider().status, Some(403 | 404 | 409)) => {
                    missing.push(at);
                    match at.rsplit_once('/') {
                        Some((above, _)) => at = above,
                        None => {
                            self.check_root().await?;
                            return Err(error);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        };
        for folder in missing.into_iter().rev() {
            made |= match self.dav.make_folder(About::Staging, &url(folder)).await {
                Ok(made) => made,
                Err(error) if matches!(error.provider().status, Some(403 | 404 | 409)) => {
                    return Err(Error::new(ErrorKind::Conflict)
                        .with_message("an object is where this key needs a folder")
                        .with_provider(error.provider().clone()));
                }
                Err(error) => return Err(error),
            };
        }
        if !made && self.is_object(folder).await? {
            return Err(Error::new(ErrorKind::Conflict)
                .with_message("an object is where this key needs a folder"));
        }
        Ok(made)
    }

    async fn is_object(&self, key: &str) -> Result<bool> {
        match self
            .dav
            .facts(About::Staging, &self.place(key), Ask::Facts)
            .await
        {
            Ok((resource, _)) => Ok(!resource.folder),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The size of a file.
///
/// # Errors
///
/// `Unavailable` when the server does not tell.
pub(crate) fn size(resource: &Resource) -> Result<u64> {
    resource.size.ok_or_else(|| {
        Error::new(ErrorKind::Unavailable)
            .with_message("the server tells no size of this object")
            .with_retry(Retry::Never)
    })
}

/// Changed within the last moments, by the server's own clock.
fn is_near(modified: Option<SystemTime>, now: Option<SystemTime>) -> bool {
    match (modified, now) {
        (Some(modified), Some(now)) => now
            .duration_since(modified)
            .is_ok_and(|age| age < Duration::from_secs(3)),
        _ => false,
    }
}

/// Whether the server failed at something that it may do right the next time.
pub(crate) fn is_stumble(error: &Error) -> bool {
    matches!(error.provider().status, Some(500..=599))
}

/// It changes faster than it can be looked at.
pub(crate) fn restless() -> Error {
    Error::new(ErrorKind::Conflict)
        .with_message("the object changes faster than it can be read")
        .with_retry(Retry::Safe)
}
