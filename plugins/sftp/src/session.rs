//! One connection: SSH, the login, and SFTP on top of it.

use crate::config::{CheckedConfig, Login};
use crate::error::{self, About};
use crate::identity::Checker;
use holdall_plugin_api::{Error, ErrorKind, Result};
use russh::client::{self, AuthResult, Handle};
use russh::keys::PrivateKeyWithHashAlg;
use russh::keys::agent::client::AgentClient;
use russh_sftp::client::RawSftpSession;
use russh_sftp::client::rawsession::{Limits, SftpResult};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Files and folders that one connection has open at once. OpenSSH allows more, but its handles are
/// numbers in bytes, and the library takes them for text: they are safe below 128.
pub(crate) const HANDLES: usize = 100;
/// Largest piece of a read or write. Servers of any age take 32 KiB.
const PIECE: u64 = 128 << 10;
const ANY_PIECE: u64 = 32 << 10;

/// What the server has beyond the protocol of 2001.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) posix_rename: bool,
    pub(crate) hardlink: bool,
    pub(crate) fsync: bool,
    pub(crate) statvfs: bool,
    pub(crate) copy_data: bool,
}

/// A connection that is logged in.
pub(crate) struct Session {
    ssh: Handle<Checker>,
    pub(crate) sftp: RawSftpSession,
    pub(crate) extensions: Extensions,
    /// Largest read and write.
    pub(crate) piece: usize,
    handles: Arc<Semaphore>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("extensions", &self.extensions)
            .field("piece", &self.piece)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Connects, checks who answers, and logs in.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid` for another host key than the pinned one; `Unauthenticated` when the login is
    /// refused; `Unavailable` and `Timeout`.
    pub(crate) async fn connect(settings: &CheckedConfig) -> Result<Self> {
        let opening = Self::opened(settings);
        timeout(settings.connect_timeout, opening)
            .await
            .map_err(|_| error::too_slow())?
    }

    async fn opened(settings: &CheckedConfig) -> Result<Self> {
        let socket = TcpStream::connect((settings.host.as_str(), settings.port))
            .await
            .map_err(error::from_io)?;
        socket.set_nodelay(true).map_err(error::from_io)?;
        let mut config = client::Config {
            keepalive_interval: Some(Duration::from_secs(15)),
            keepalive_max: 3,
            ..client::Config::default()
        };
        if let Some(algorithm) = &settings.host_key.algorithm {
            config.preferred.key = Cow::Owned(vec![algorithm.clone()]);
        }
        let shown = Arc::new(Mutex::new(None));
        let checker = Checker {
            pinned: settings.host_key.clone(),
            shown: Arc::clone(&shown),
        };
        let connected = client::connect_stream(Arc::new(config), socket, checker).await;
        let mut ssh = connected.map_err(|cause| {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
            match shown {
                Some(shown) if shown.fingerprint != settings.host_key.fingerprint => {
                    Error::new(ErrorKind::ConfigInvalid)
                        .with_message(format!(
                            "the server's host key ({}) is {}, but `host_key` pins {}; is it the right server?",
                            shown.kind, shown.fingerprint, settings.host_key.fingerprint
                        ))
                        .with_fact("expected", &settings.host_key.fingerprint)
                        .with_fact("found", shown.fingerprint)
                }
                _ => error::from_connect(cause),
            }
        })?;
        log_in(&mut ssh, settings).await?;
        let channel = ssh
            .channel_open_session()
            .await
            .map_err(error::from_connect)?;
        channel
            .request_subsystem(true, "sftp")
            .await
            .map_err(error::from_connect)?;
        let config = russh_sftp::client::Config {
            // A read of the largest piece, and what is around it.
            max_packet_len: (2 * PIECE) as u32,
            request_timeout_secs: settings.timeout.as_secs().max(1),
            ..russh_sftp::client::Config::default()
        };
        let mut sftp = RawSftpSession::new_with_config(channel.into_stream(), config);
        let version = asked(sftp.init()).await?;
        let has = |name: &str, version_wanted: &str| {
            version
                .extensions
                .get(name)
                .is_some_and(|found| found == version_wanted)
        };
        let mut piece = ANY_PIECE;
        if has("limits@openssh.com", "1")
            && let Ok(limits) = sftp.limits().await
        {
            let limits = Limits::from(limits);
            let least = |limit: Option<u64>| limit.unwrap_or(PIECE);
            piece = least(limits.read_len)
                .min(least(limits.write_len))
                .min(PIECE);
            sftp.set_limits(limits);
        }
        let extensions = Extensions {
            posix_rename: has("posix-rename@openssh.com", "1"),
            hardlink: has("hardlink@openssh.com", "1"),
            fsync: has("fsync@openssh.com", "1"),
            statvfs: has("statvfs@openssh.com", "2"),
            copy_data: has("copy-data", "1"),
        };
        Ok(Self {
            ssh,
            sftp,
            extensions,
            piece: piece.max(4096) as usize,
            handles: Arc::new(Semaphore::new(HANDLES)),
        })
    }

    /// Whether nothing can be asked any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.ssh.is_closed()
    }

    /// Replaces what is there, in one step.
    pub(crate) async fn posix_rename(&self, from: &str, to: &str) -> SftpResult<()> {
        self.extended(
            "posix-rename@openssh.com",
            &[from.as_bytes(), to.as_bytes()],
        )
        .await
    }

    async fn extended(&self, name: &str, texts: &[&[u8]]) -> SftpResult<()> {
        let mut data = Vec::new();
        for text in texts {
            put_text(&mut data, text);
        }
        done(self.sftp.extended(name, data).await?)
    }

    /// Copies bytes from one open file to another, in the server.
    pub(crate) async fn copy_data(
        &self,
        from: &str,
        range: std::ops::Range<u64>,
        to: &str,
    ) -> SftpResult<()> {
        let mut data = Vec::new();
        put_text(&mut data, from.as_bytes());
        data.extend_from_slice(&range.start.to_be_bytes());
        data.extend_from_slice(&(range.end - range.start).to_be_bytes());
        put_text(&mut data, to.as_bytes());
        data.extend_from_slice(&range.start.to_be_bytes());
        done(self.sftp.extended("copy-data", data).await?)
    }
}

fn put_text(data: &mut Vec<u8>, text: &[u8]) {
    // Names and handles: far from 4 GiB.
    data.extend_from_slice(&(text.len() as u32).to_be_bytes());
    data.extend_from_slice(text);
}

fn done(packet: Packet) -> SftpResult<()> {
    match packet {
        Packet::Status(status) if status.status_code == StatusCode::Ok => Ok(()),
        Packet::Status(status) => Err(status.into()),
        _ => Err(russh_sftp::client::error::Error::UnexpectedPacket),
    }
}

/// A request that only reads.
pub(crate) async fn asked<T>(request: impl Future<Output = SftpResult<T>>) -> Result<T> {
    request
        .await
        .map_err(|cause| error::from_sftp(About::Reading, cause))
}

async fn log_in(ssh: &mut Handle<Checker>, settings: &CheckedConfig) -> Result<()> {
    let user = settings.username.as_str();
    let refused = |how: &str| {
        Error::new(ErrorKind::Unauthenticated)
            .with_message(format!("the server does not let {user:?} in with {how}"))
    };
    match &settings.login {
        Login::Key(key) => {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
            let answer = ssh.authenticate_publickey(user, key).await;
            match answer.map_err(error::from_connect)? {
                AuthResult::Success => Ok(()),
                AuthResult::Failure { .. } => Err(refused("this key")),
            }
        }
        Login::Agent(socket) => {
            let unreachable = |cause: russh::keys::Error| {
                Error::new(ErrorKind::Unauthenticated)
                    .with_message("the SSH agent does not answer")
                    .because(cause)
            };
            let mut agent = AgentClient::connect_uds(socket)
                .await
                .map_err(unreachable)?;
            for identity in agent.request_identities().await.map_err(unreachable)? {
                let key = identity.public_key().into_owned();
                let answer = ssh
                    .authenticate_publickey_with(user, key, None, &mut agent)
                    .await
                    .map_err(|cause| {
                        Error::new(ErrorKind::Unauthenticated)
                            .with_message("the SSH agent does not sign")
                            .because(cause)
                    })?;
                if answer.success() {
                    return Ok(());
                }
            }
            Err(refused("any key of the agent"))
        }
    }
}

/// An open file of a connection, or an open folder. Dropped, it is closed in the background.
pub(crate) struct Opened {
    pub(crate) session: Arc<Session>,
    pub(crate) handle: String,
    /// Given back when the server has closed it; gone when another task sees to that.
    permit: Option<OwnedSemaphorePermit>,
}

impl Opened {
    /// Opens a file, waiting while too many are open.
    pub(crate) async fn file(
        session: &Arc<Session>,
        path: &str,
        flags: OpenFlags,
    ) -> SftpResult<Self> {
        Self::open(session, path, Some(flags)).await
    }

    /// Opens a folder, to read its names.
    pub(crate) async fn folder(session: &Arc<Session>, path: &str) -> SftpResult<Self> {
        Self::open(session, path, None).await
    }

    async fn open(
        session: &Arc<Session>,
        path: &str,
        flags: Option<OpenFlags>,
    ) -> SftpResult<Self> {
        let permit = Arc::clone(&session.handles).acquire_owned().await;
        let Ok(permit) = permit else {
            return Err(russh_sftp::client::error::Error::Limited(
                "closed".to_owned(),
            ));
        };
        // Not to be lost when the caller goes away between the server's opening and its answer.
        let (own, path) = (Arc::clone(session), path.to_owned());
        let opening = tokio::spawn(async move {
            let opened = match flags {
                Some(flags) => own.sftp.open(path, flags, FileAttributes::empty()).await,
                None => own.sftp.opendir(path).await,
            };
            Ok(Self {
                handle: opened?.handle,
                session: own,
                permit: Some(permit),
            })
        });
        match opening.await {
            Ok(opened) => opened,
            Err(ended) => Err(russh_sftp::client::error::Error::UnexpectedBehavior(
                ended.to_string(),
            )),
        }
    }

    /// Closes it, and tells how that went: some servers report a full disk only here.
    pub(crate) async fn close(mut self) -> SftpResult<()> {
        let _permit = self.permit.take();
        let handle = std::mem::take(&mut self.handle);
        self.session.sftp.close(handle).await.map(drop)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (session, handle) = (Arc::clone(&self.session), std::mem::take(&mut self.handle));
            runtime.spawn(async move {
                let _ = session.sftp.close(handle).await;
                drop(permit);
            });
        }
    }
}
