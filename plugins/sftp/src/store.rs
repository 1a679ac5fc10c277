//! The objects on the server: looking at one, and putting one in its place.
//!
//! A key is a path below `ROOT/objects`, whose real name (all links resolved) is known since the
//! opening. Before anything is done with a path, the server is asked for the path's own real name: if
//! it is another one, a link leads somewhere else and the key is refused. That is a look before a
//! leap: SFTP has no way to do both at once, so a program that can write below the root by other means and
//! wins the race is not kept out by this. `ChrootDirectory` of the server does that.

use crate::error::{self, About};
use crate::pool::{Lease, Pool};
use crate::session::{HANDLES, Session, asked};
use holdall_plugin_api::{Error, ErrorKind, Host, ObjectInfo, Result, Retry};
use russh_sftp::client::rawsession::SftpResult;
use russh_sftp::protocol::{FileAttributes, StatusCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// One opened store.
#[derive(Debug)]
pub(crate) struct SftpStore {
    pub(crate) pool: Arc<Pool>,
    pub(crate) host: Host,
    /// Real names, without a `/` at the end.
    pub(crate) objects: String,
    pub(crate) staging: String,
    closed: AtomicBool,
    /// Removals of staged files that run in the background.
    cleaning: TaskTracker,
    /// Staged files that could not be removed because the connection broke.
    leftovers: Arc<Mutex<Vec<String>>>,
    seen: Mutex<Instant>,
    /// Copies have two files open. If many had one each and waited for the other, none would go on.
    pub(crate) copies: Semaphore,
}

/// A missing object proves little when its folder may be gone; looked at this often.
const TRUST: Duration = Duration::from_secs(10);
/// Most leftovers that are remembered; the next opening finds the others.
const LEFTOVERS: usize = 1000;
/// How often a folder that others remove is made again.
const TRIES: usize = 20;

/// A plain file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
}

impl Object {
    /// # Errors
    ///
    /// `Unavailable` when the server does not tell the size: no object may pass for an empty one.
    pub(crate) fn of(attributes: &FileAttributes) -> Result<Self> {
        let size = attributes.size.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable)
                .with_message("the server tells no size of this object")
                .with_retry(Retry::Never)
        })?;
        let modified = attributes
            .mtime
            .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()));
        Ok(Self { size, modified })
    }

    pub(crate) fn info(&self) -> ObjectInfo {
        let mut info = ObjectInfo::new(self.size);
        info.last_modified = self.modified;
        info
    }
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

pub(crate) fn kind(attributes: &FileAttributes) -> Kind {
    match attributes.permissions.map(|mode| mode & 0o170_000) {
        Some(0o100_000) => Kind::File,
        Some(0o040_000) => Kind::Folder,
        Some(0o120_000) => Kind::Link,
        _ => Kind::Other,
    }
}

impl SftpStore {
    pub(crate) fn new(pool: Arc<Pool>, host: Host, objects: String, staging: String) -> Self {
        Self {
            pool,
            host,
            objects,
            staging,
            closed: AtomicBool::new(false),
            cleaning: TaskTracker::new(),
            leftovers: Arc::default(),
            seen: Mutex::new(Instant::now()),
            copies: Semaphore::new(HANDLES / 2),
        }
    }

    /// # Errors
    ///
    /// `Unavailable` after [`SftpStore::close`].
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(
                Error::new(ErrorKind::Unavailable).with_message("the backend has been shut down")
            );
        }
        Ok(())
    }

    /// A connection, unless the backend was shut down.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        self.check_open()?;
        let lease = self.pool.lease().await?;
        self.remove_leftovers(&lease.session);
        Ok(lease)
    }

    /// Remembers a staged file, to be removed over the next connection.
    pub(crate) fn leave(&self, path: String) {
        let mut leftovers = lock(&self.leftovers);
        if leftovers.len() < LEFTOVERS {
            leftovers.push(path);
        }
    }

    /// Removes what was left, in the background, over a connection that works.
    pub(crate) fn remove_leftovers(&self, session: &Arc<Session>) {
        let left = std::mem::take(&mut *lock(&self.leftovers));
        if left.is_empty() {
            return;
        }
        let (session, leftovers) = (Arc::clone(session), Arc::clone(&self.leftovers));
        self.clean(async move {
            for path in left {
                match session.sftp.remove(path.as_str()).await {
                    Ok(_) => {}
                    Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => {}
                    Err(_) => lock(&leftovers).push(path),
                }
            }
        });
    }

    /// Refuses what comes, and waits a while for what cleans up.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.cleaning.close();
        // What is not done then goes on beside.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.cleaning.wait()).await;
        self.pool.close().await;
    }

    /// Cleans up after a caller that goes away; [`SftpStore::close`] waits for it.
    pub(crate) fn clean(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.cleaning.spawn_on(work, &runtime);
        }
    }

    pub(crate) fn path(&self, key: &str) -> String {
        format!("{}/{key}", self.objects)
    }

    /// A path in the staging folder that no other upload uses.
    pub(crate) fn staging_path(&self) -> String {
        let mut bits = [0; 16];
        self.host.random(&mut bits);
        format!("{}/{:032x}", self.staging, u128::from_be_bytes(bits))
    }

    /// The object of this key.
    ///
    /// # Errors
    ///
    /// `FileNotFound`, also for a folder of this name; `PermissionDenied` where a link is in the way;
    /// what the server says.
    pub(crate) async fn object(&self, session: &Session, key: &str) -> Result<Object> {
        let path = self.path(key);
        let (real, found) = tokio::join!(
            session.sftp.realpath(path.as_str()),
            session.sftp.lstat(path.as_str())
        );
        let attributes = match found {
            Ok(found) => found.attrs,
            Err(cause) => return Err(self.absent(session, key, cause).await),
        };
        match kind(&attributes) {
            Kind::Link => return Err(error::leads_out()),
            Kind::Folder | Kind::Other => return Err(Error::not_found()),
            Kind::File => {}
        }
        match real {
            Ok(real) if is_named(&real.files, &path) => Object::of(&attributes),
            Ok(_) => Err(error::leads_out()),
            // Gone between the two.
            Err(cause) => Err(self.absent(session, key, cause).await),
        }
    }

    /// Why a path has nothing.
    async fn absent(
        &self,
        session: &Session,
        key: &str,
        cause: russh_sftp::client::error::Error,
    ) -> Error {
        match error::status(&cause) {
            Some(StatusCode::NoSuchFile) => match self.check_root(session).await {
                Ok(()) => Error::not_found(),
                Err(worse) => worse,
            },
            // What a server says of a path that leads through a file.
            Some(StatusCode::Failure) if self.is_below_a_file(session, key).await => {
                Error::not_found()
            }
            _ => error::from_sftp(About::Reading, cause),
        }
    }

    async fn is_below_a_file(&self, session: &Session, key: &str) -> bool {
        let mut at = key;
        while let Some((above, _)) = at.rsplit_once('/') {
            if let Ok(found) = session.sftp.lstat(self.path(above)).await {
                return !matches!(kind(&found.attrs), Kind::Folder | Kind::Link);
            }
            at = above;
        }
        false
    }

    /// Whether the folder of the objects is there; asked anew only now and then.
    async fn check_root(&self, session: &Session) -> Result<()> {
        let is_recent = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.elapsed() < TRUST
        };
        match is_recent {
            true => Ok(()),
            false => self.look_at_root(session).await,
        }
    }

    /// # Errors
    ///
    /// `ContainerMissing`; what the server says.
    pub(crate) async fn look_at_root(&self, session: &Session) -> Result<()> {
        match session.sftp.lstat(self.objects.as_str()).await {
            Ok(found) if kind(&found.attrs) == Kind::Folder => {
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                Ok(())
            }
            Ok(_) => Err(missing_root()),
            Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => {
                Err(missing_root())
            }
            Err(cause) => Err(error::from_sftp(About::Reading, cause)),
        }
    }

    /// Checks that a folder is there and is no link; `false` when it is not there.
    pub(crate) async fn is_folder(&self, session: &Session, path: &str) -> Result<bool> {
        let real = match session.sftp.realpath(path).await {
            Ok(real) => real,
            Err(cause)
                if matches!(
                    error::status(&cause),
                    Some(StatusCode::NoSuchFile | StatusCode::Failure)
                ) =>
            {
                return Ok(false);
            }
            Err(cause) => return Err(error::from_sftp(About::Reading, cause)),
        };
        if !is_named(&real.files, path) {
            return Err(error::leads_out());
        }
        // A server may give a real name to what is not there yet.
        match session.sftp.lstat(path).await {
            Ok(found) => Ok(kind(&found.attrs) == Kind::Folder),
            Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => Ok(false),
            Err(cause) => Err(error::from_sftp(About::Reading, cause)),
        }
    }

    /// Gives a file a name that readers look at.
    ///
    /// # Errors
    ///
    /// `PreconditionFailed` with `create_only` when there is an object; `Conflict` when a folder is in
    /// the way, or an object where a folder must be.
    pub(crate) async fn publish(
        &self,
        session: &Session,
        from: &str,
        key: &str,
        create_only: bool,
    ) -> Result<()> {
        let to = self.path(key);
        let folder = to.rsplit_once('/').map_or("", |(folder, _)| folder);
        for _ in 0..TRIES {
            if !self.is_folder(session, folder).await? {
                self.make_folders(session, key).await?;
                continue;
            }
            let named = match (create_only, session.extensions.posix_rename) {
                // A second name for the file: the one step that fails when there is one.
                (true, _) => session.sftp.hardlink(from, to.as_str()).await.map(drop),
                (false, true) => session.posix_rename(from, &to).await,
                (false, false) => replace(session, from, &to).await,
            };
            let Err(cause) = named else {
                if create_only {
                    let _ = session.sftp.remove(from).await;
                }
                return Ok(());
            };
            match error::status(&cause) {
                // The folder went away (others remove what is empty), or the file itself.
                Some(StatusCode::NoSuchFile) => {
                    let found = session.sftp.lstat(from).await;
                    if found
                        .is_err_and(|cause| error::status(&cause) == Some(StatusCode::NoSuchFile))
                    {
                        return Err(Error::not_found());
                    }
                }
                // All that servers say when something is in the way.
                Some(StatusCode::Failure) => {
                    let found = asked(session.sftp.lstat(to.as_str())).await;
                    match found.map(|found| kind(&found.attrs)) {
                        Ok(Kind::Folder) => {
                            if !self.clear_folder(session, &to).await {
                                return Err(in_the_way());
                            }
                        }
                        Ok(_) if create_only => {
                            return Err(Error::new(ErrorKind::PreconditionFailed)
                                .with_message("the object exists"));
                        }
                        _ => return Err(error::from_sftp(About::Changing, cause)),
                    }
                }
                _ => return Err(error::from_sftp(About::Changing, cause)),
            }
        }
        Err(Error::new(ErrorKind::Conflict)
            .with_message("the folders of this key come and go")
            .with_retry(Retry::Safe))
    }

    /// Removes a folder if nothing is in it.
    async fn clear_folder(&self, session: &Session, path: &str) -> bool {
        session.sftp.rmdir(path).await.is_ok()
    }

    /// Makes the folders of a key. Several may do so at once.
    async fn make_folders(&self, session: &Session, key: &str) -> Result<()> {
        for (end, _) in key.match_indices('/') {
            let path = self.path(&key[..end]);
            let Err(cause) = session
                .sftp
                .mkdir(path.as_str(), FileAttributes::empty())
                .await
            else {
                continue;
            };
            match error::status(&cause) {
                // It exists, and perhaps as something else.
                Some(StatusCode::Failure) => match session.sftp.lstat(path.as_str()).await {
                    Ok(found) => match kind(&found.attrs) {
                        Kind::Folder => {}
                        Kind::Link => return Err(error::leads_out()),
                        _ => {
                            return Err(Error::new(ErrorKind::Conflict)
                                .with_message("an object is where this key needs a folder"));
                        }
                    },
                    Err(gone) if error::status(&gone) == Some(StatusCode::NoSuchFile) => {}
                    Err(_) => return Err(error::from_sftp(About::Changing, cause)),
                },
                // The one above was removed meanwhile, or the root is gone.
                Some(StatusCode::NoSuchFile) => return self.look_at_root(session).await,
                _ => return Err(error::from_sftp(About::Changing, cause)),
            }
        }
        Ok(())
    }

    /// Removes the folders of a key that are empty now. A folder that is filled meanwhile stays.
    pub(crate) async fn remove_empty_folders(&self, session: &Session, key: &str) {
        let mut at = key;
        while let Some((folder, _)) = at.rsplit_once('/') {
            if !self.clear_folder(session, &self.path(folder)).await {
                return;
            }
            at = folder;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a server cannot replace in one step. The backend is not claimed as atomic then.
async fn replace(session: &Session, from: &str, to: &str) -> SftpResult<()> {
    match session.sftp.rename(from, to).await {
        Err(cause) if error::status(&cause) == Some(StatusCode::Failure) => {
            session.sftp.remove(to).await?;
            session.sftp.rename(from, to).await.map(drop)
        }
        ended => ended.map(drop),
    }
}

fn in_the_way() -> Error {
    Error::new(ErrorKind::Conflict).with_message("a folder with objects in it has this name")
}

fn missing_root() -> Error {
    Error::new(ErrorKind::ContainerMissing)
        .with_message("the directory of the objects does not exist on the server")
}

fn is_named(files: &[russh_sftp::protocol::File], path: &str) -> bool {
    files.first().is_some_and(|file| file.filename == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_unknown_size_is_not_an_empty_one() {
        let mut attributes = FileAttributes::empty();
        let unknown = Object::of(&attributes).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Unavailable);
        attributes.size = Some(0);
        assert_eq!(Object::of(&attributes).unwrap().size, 0);
    }
}
