//! An upload on its way: written under a staging name, and gone again unless published.

use crate::error::{self, About};
use crate::pool::Lease;
use crate::session::{Opened, Session};
use crate::store::{Object, SftpStore};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use holdall_plugin_api::{Body, Error, ErrorKind, Result};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::rawsession::SftpResult;
use russh_sftp::protocol::{OpenFlags, StatusCode};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Writes that are on their way at once.
pub(crate) const AHEAD: usize = 8;

/// A file in the staging folder. Dropped before [`Staged::published`], it is removed in the
/// background: also when the operation is cancelled.
pub(crate) struct Staged {
    store: Arc<SftpStore>,
    lease: Option<Lease>,
    pub(crate) path: String,
    opening: Option<JoinHandle<SftpResult<Opened>>>,
    file: Option<Opened>,
    is_published: bool,
}

impl Staged {
    /// Makes the file.
    pub(crate) async fn begin(store: &Arc<SftpStore>) -> Result<Self> {
        let lease = store.lease().await?;
        let path = store.staging_path();
        let (session, name) = (Arc::clone(&lease.session), path.clone());
        let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE | OpenFlags::READ;
        let opening = tokio::spawn(async move { Opened::file(&session, &name, flags).await });
        let mut staged = Self {
            store: Arc::clone(store),
            lease: Some(lease),
            path,
            opening: Some(opening),
            file: None,
            is_published: false,
        };
        let opened = match &mut staged.opening {
            Some(opening) => opening.await,
            None => return Err(gone()),
        };
        staged.opening = None;
        match opened {
            Ok(Ok(file)) => staged.file = Some(file),
            Ok(Err(cause)) if error::status(&cause) == Some(StatusCode::NoSuchFile) => {
                return Err(Error::new(ErrorKind::ContainerMissing)
                    .with_message("the directory of staged uploads does not exist on the server"));
            }
            Ok(Err(cause)) => return Err(staged.failed(cause).await),
            Err(_) => return Err(gone()),
        }
        Ok(staged)
    }

    /// The connection that has it.
    pub(crate) fn session(&self) -> Result<&Arc<Session>> {
        self.lease
            .as_ref()
            .map(|lease| &lease.session)
            .ok_or_else(gone)
    }

    pub(crate) fn handle(&self) -> Result<&str> {
        self.file
            .as_ref()
            .map(|file| file.handle.as_str())
            .ok_or_else(gone)
    }

    /// Writes the bytes as they come, some pieces ahead of the server's answers.
    ///
    /// # Errors
    ///
    /// The body's own; `QuotaExceeded` when the server's disk is full; what the server says.
    pub(crate) async fn write(&self, body: &mut Body) -> Result<u64> {
        let (session, handle) = (self.session()?, self.handle()?);
        let mut pieces = FuturesUnordered::new();
        let mut piece = Vec::new();
        let mut offset = 0;
        loop {
            let chunk = body.chunk().await.transpose()?;
            let is_end = chunk.is_none();
            let mut rest: &[u8] = chunk.as_deref().unwrap_or_default();
            while !rest.is_empty() || (is_end && !piece.is_empty()) {
                let taken = rest.len().min(session.piece - piece.len());
                piece.extend_from_slice(&rest[..taken]);
                rest = &rest[taken..];
                if piece.len() < session.piece && !is_end {
                    break;
                }
                if pieces.len() == AHEAD
                    && let Some(Err(cause)) = pieces.next().await
                {
                    return Err(self.failed(cause).await);
                }
                let data = std::mem::take(&mut piece);
                let at = offset;
                offset += data.len() as u64;
                pieces.push(session.sftp.write(handle, at, data));
            }
            // Their answers are taken as they come, so that a failure is noticed early.
            while let Some(Some(answer)) = futures_util::FutureExt::now_or_never(pieces.next()) {
                if let Err(cause) = answer {
                    return Err(self.failed(cause).await);
                }
            }
            if is_end {
                break;
            }
        }
        while let Some(answer) = pieces.next().await {
            if let Err(cause) = answer {
                return Err(self.failed(cause).await);
            }
        }
        Ok(offset)
    }

    /// Brings the bytes to the medium if wanted, and closes the file.
    ///
    /// # Errors
    ///
    /// `Unavailable` when the server has another number of bytes than were sent.
    pub(crate) async fn finish(&mut self, size: u64, sync: bool) -> Result<Object> {
        let session = Arc::clone(self.session()?);
        let handle = self.handle()?.to_owned();
        if sync && session.extensions.fsync {
            let synced = session.sftp.fsync(handle.as_str()).await;
            if let Err(cause) = synced {
                return Err(self.failed(cause).await);
            }
        }
        let found = session.sftp.fstat(handle).await;
        let object = match found {
            Ok(found) => Object::of(&found.attrs)?,
            Err(cause) => return Err(error::from_sftp(About::Changing, cause)),
        };
        if let Some(file) = self.file.take()
            && let Err(cause) = file.close().await
        {
            return Err(self.failed(cause).await);
        }
        if object.size != size {
            return Err(Error::new(ErrorKind::Unavailable)
                .with_message("the server has another number of bytes than were sent")
                .with_fact("sent", size)
                .with_fact("stored", object.size));
        }
        Ok(object)
    }

    /// A failed write: SFTP has no word for a full disk.
    pub(crate) async fn failed(&self, cause: SftpError) -> Error {
        if error::status(&cause) == Some(StatusCode::Failure)
            && let Ok(session) = self.session()
            && session.extensions.statvfs
            && let Ok(space) = session.sftp.statvfs(self.store.staging.as_str()).await
            && (space.blocks_avail.saturating_mul(space.fragment_size) < 1 << 20
                || (space.inodes > 0 && space.inodes_avail == 0))
        {
            return Error::new(ErrorKind::QuotaExceeded)
                .with_message("the server's disk is full")
                .because(cause);
        }
        error::from_sftp(About::Changing, cause)
    }

    /// It is an object now.
    pub(crate) fn published(mut self) {
        self.is_published = true;
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Cancelled).with_message("the plugin is shutting down")
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        let store = Arc::clone(&self.store);
        let (lease, opening, file) = (self.lease.take(), self.opening.take(), self.file.take());
        let path = std::mem::take(&mut self.path);
        self.store.clean(async move {
            // To remove it before it is made would leave it there.
            let file = match opening {
                Some(opening) => opening.await.ok().and_then(SftpResult::ok),
                None => file,
            };
            if let Some(file) = file {
                let _ = file.close().await;
            }
            let removed = match &lease {
                Some(lease) => lease.session.sftp.remove(path.as_str()).await.is_ok(),
                None => false,
            };
            if !removed {
                drop(lease);
                // The connection broke; its file is still there, and perhaps the server is not.
                store.leave(path);
                if let Ok(lease) = store.pool.lease().await {
                    store.remove_leftovers(&lease.session);
                }
            }
        });
    }
}
