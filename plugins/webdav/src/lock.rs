//! Conditional writes: look and change under a lock of the server's, so that of several clients one
//! at a time does so.
//!
//! What is locked is not the object but one of 64 small files in `locks`: a lock on a name that is
//! not there yet would make an empty object. So the lock binds every client that asks for it, every Holdall of
//! every machine, and no other program.

use crate::client::Dav;
use crate::error::About;
use crate::metadata_record;
use crate::names;
use crate::store::WebdavStore;
use holdall_plugin_api::{Error, ErrorKind, Host, Result, Retry};
use reqwest::Url;
use reqwest::header::HeaderValue;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

/// How many files are there to lock.
pub(crate) const LOCKS: usize = 64;
/// Longest wait for others.
const WAIT: Duration = Duration::from_secs(15);

/// A lock that is held. Dropped early, it is given back in the background.
pub(crate) struct Held {
    store: Arc<WebdavStore>,
    url: Url,
    token: Option<HeaderValue>,
    since: Instant,
    lifetime: Duration,
    _turn: OwnedMutexGuard<()>,
}

impl Held {
    /// Waits for the lock of this key.
    ///
    /// # Errors
    ///
    /// `Conflict` when others hold it for too long; what the server says.
    pub(crate) async fn of(store: &Arc<WebdavStore>, key: &str) -> Result<Self> {
        // FNV-1a: every client, of whatever build, must come to the same file.
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let number = hash % LOCKS as u64;
        let url = names::below(&store.settings.locks, &format!("{number:02x}"));
        // One of this process asks the server; the others would only add to its work.
        let turn = Arc::clone(&store.turns[number as usize]).lock_owned().await;
        // A killed client's lock ends by itself, but not before one that lives could be done.
        let lifetime = 4 * store.dav.patience + Duration::from_secs(10);
        let begun = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            let since = Instant::now();
            if let Some(token) = store.dav.lock(&url, lifetime).await? {
                return Ok(Self {
                    store: Arc::clone(store),
                    url,
                    token: Some(token),
                    since,
                    lifetime,
                    _turn: turn,
                });
            }
            if begun.elapsed() > WAIT {
                return Err(Error::new(ErrorKind::Conflict)
                    .with_message("other clients hold the lock of this key")
                    .with_retry(Retry::Safe));
            }
            // Uneven, so that those who wait do not ask in step.
            let mut byte = [0];
            store.host.random(&mut byte);
            tokio::time::sleep(pause.mul_f32(0.5 + f32::from(byte[0]) / 256.0)).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// # Errors
    ///
    /// `Conflict` when the lock may end before a request that begins now does.
    pub(crate) fn check(&self) -> Result<()> {
        if self.since.elapsed() + self.store.dav.patience < self.lifetime {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Conflict)
            .with_message("the lock of this key is about to end")
            .with_retry(Retry::Safe))
    }

    /// Gives the lock back.
    pub(crate) async fn release(mut self) {
        if let Some(token) = self.token.clone() {
            let answer = self.store.dav.unlock(&self.url, token).await;
            self.token = None;
            // It ends by itself, and the change that it was for is done.
            if let Err(error) = answer {
                let note = format_args!("a lock was not given back: {error}");
                self.store.host.log(holdall_plugin_api::Level::Warn, note);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            let (store, url) = (Arc::clone(&self.store), self.url.clone());
            self.store.clean(async move {
                let _ = store.dav.unlock(&url, token).await;
            });
        }
    }
}

/// Whether a lock keeps a second one out.
pub(crate) async fn works(dav: &Dav, locks: &Url, host: &Host) -> Result<bool> {
    let url = names::below(locks, &format!("probe-{}", metadata_record::unique(host)));
    let lifetime = Duration::from_secs(30);
    let works = match dav.lock(&url, lifetime).await {
        Ok(Some(token)) => {
            let is_kept = matches!(dav.lock(&url, lifetime).await, Ok(None));
            let is_freed = dav.unlock(&url, token).await.is_ok();
            is_kept && is_freed
        }
        Ok(None) => false,
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
            return Err(error);
        }
        Err(_) => false,
    };
    let _ = dav.remove(About::Staging, &url).await;
    Ok(works)
}
