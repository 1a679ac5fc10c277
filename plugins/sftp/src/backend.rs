//! The contract, operation by operation.

use crate::config::{CheckedConfig, Durability, SftpConfig};
use crate::error::{self, About};
use crate::lister::Listing;
use crate::pool::Pool;
use crate::reader;
use crate::session::{Extensions, Opened, Session, asked};
use crate::store::{Kind, Object, SftpStore, kind};
use crate::sweep;
use crate::writer::Staged;
use holdall_plugin_api::{
    Body, Capabilities, Copied, CopyObject, Delete, Deleted, Download, Downloaded, Error,
    ErrorKind, Head, Health, Host, Instance, Key, Level, Limits, List, ObjectInfo, Operations,
    Page, ReadOptions, Rename, Renamed, Result, SignUrl, Signing, StorageBackend, Upload, Uploaded,
    Usage,
};
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A directory of an SSH server as a store.
#[derive(Debug)]
pub struct Sftp {
    store: Arc<SftpStore>,
    durability: Durability,
    instance: Instance,
}

/// Bytes that the server copies at one request: it does nothing else for this connection meanwhile,
/// and answers in time.
const COPIED: u64 = 64 << 20;

impl StorageBackend for Sftp {
    type Config = SftpConfig;

    async fn open(config: SftpConfig, host: Host) -> Result<Self> {
        let pool = Arc::new(Pool::new(config.checked()?));
        let lease = pool.lease().await?;
        let session = &lease.session;
        let (objects, staging) = prepare(session, pool.settings(), config.create).await?;
        let store = Arc::new(SftpStore::new(Arc::clone(&pool), host, objects, staging));
        let (case_sensitive, unicode_exact) = probe(&store, session).await?;
        if config.durability.syncs() && !session.extensions.fsync {
            let note =
                format_args!("the server has no fsync: how durable an upload is, it decides");
            store.host.log(Level::Warn, note);
        }
        let instance = instance_of(
            pool.settings(),
            session.extensions,
            case_sensitive,
            unicode_exact,
        );
        if config.stale_after_seconds > 0 {
            sweep::begin(&store, config.stale_after_seconds);
        }
        Ok(Self {
            store,
            durability: config.durability,
            instance,
        })
    }

    fn instance(&self) -> Instance {
        self.instance.clone()
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let (key, mut body, _, options) = upload.into_parts();
        let key = key.text();
        if options.create_only {
            // Early, for the caller's sake; what counts is the name that is given at the end.
            let lease = self.store.lease().await?;
            self.refuse_existing(&lease.session, key).await?;
        }
        let mut staged = Staged::begin(&self.store).await?;
        let size = staged.write(&mut body).await?;
        let object = staged.finish(size, self.durability.syncs()).await?;
        let session = Arc::clone(staged.session()?);
        self.store
            .publish(&session, &staged.path, key, options.create_only)
            .await?;
        staged.published();
        let mut uploaded = Uploaded::new(size);
        uploaded.last_modified = object.modified;
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let lease = self.store.lease().await?;
        let key = download.key.text();
        // What it is comes first: to open a pipe would block the server.
        self.store.object(&lease.session, key).await?;
        let path = self.store.path(key);
        let file = match Opened::file(&lease.session, &path, OpenFlags::READ).await {
            Ok(file) => file,
            Err(cause) => return Err(error::from_sftp(About::Reading, cause)),
        };
        // Of the open file: whatever takes its name now, these are the facts of its bytes.
        let found = asked(lease.session.sftp.fstat(file.handle.as_str())).await?;
        if kind(&found.attrs) != Kind::File {
            return Err(Error::not_found());
        }
        let object = Object::of(&found.attrs)?;
        check_read(&object, download.options())?;
        let range = match &download.range {
            Some(range) => range.within(object.size)?,
            None => 0..object.size,
        };
        let body = match range.is_empty() {
            true => Body::empty(),
            false => reader::body(lease, file, range.clone(), download.chunk_hint as usize),
        };
        Ok(Downloaded::new(object.info(), range, body))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let lease = self.store.lease().await?;
        let (session, key) = (&lease.session, delete.key.text());
        let existed = match self.store.object(session, key).await {
            Ok(_) => match session.sftp.remove(self.store.path(key)).await {
                Ok(_) => true,
                Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => false,
                Err(cause) => return Err(error::from_sftp(About::Changing, cause)),
            },
            Err(error) if error.kind() == ErrorKind::FileNotFound => false,
            Err(error) => return Err(error),
        };
        if existed {
            self.store.remove_empty_folders(session, key).await;
        }
        match existed {
            false if delete.must_exist => Err(Error::not_found()),
            existed => Ok(Deleted::new(Some(existed))),
        }
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let lease = self.store.lease().await?;
        match self.store.object(&lease.session, key.text()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        // SFTP has no URL that works without credentials.
        self.store.check_open().map(|()| Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let lease = self.store.lease().await?;
        let object = self.store.object(&lease.session, head.key.text()).await?;
        check_read(&object, head.options())?;
        Ok(object.info())
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        let lease = self.store.lease().await?;
        let listing = Listing {
            store: &self.store,
            session: Arc::clone(&lease.session),
        };
        holdall_plugin_api_hierarchical_list::page(&listing, &list).await
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let (from, to) = (copy.from.text(), copy.to.text());
        let lease = self.store.lease().await?;
        let session = &lease.session;
        let source = self.store.object(session, from).await?;
        if copy.create_only {
            self.refuse_existing(session, to).await?;
        }
        let mut object = source;
        if from != to {
            let _turn = self.store.copies.acquire().await;
            let mut staged = Staged::begin(&self.store).await?;
            // Handles belong to a connection, so both files are opened on that of the copy.
            let session = Arc::clone(staged.session()?);
            let file = Opened::file(&session, &self.store.path(from), OpenFlags::READ).await;
            let file = file.map_err(|cause| error::from_sftp(About::Reading, cause))?;
            let size = asked(session.sftp.fstat(file.handle.as_str())).await?;
            let size = Object::of(&size.attrs)?.size;
            if session.extensions.copy_data {
                let mut at = 0;
                while at < size {
                    let end = size.min(at + COPIED);
                    let copied = session
                        .copy_data(&file.handle, at..end, staged.handle()?)
                        .await;
                    if let Err(cause) = copied {
                        return Err(staged.failed(cause).await);
                    }
                    at = end;
                }
            } else {
                // Not claimed as a copy in the server, but the caller gets one.
                let lease = self.store.lease().await?;
                let mut body = reader::body(lease, file, 0..size, COPIED as usize);
                staged.write(&mut body).await?;
            }
            object = staged.finish(size, self.durability.syncs()).await?;
            self.store
                .publish(&session, &staged.path, to, copy.create_only)
                .await?;
            staged.published();
        }
        let mut copied = Copied::default();
        copied.size = Some(object.size);
        copied.last_modified = object.modified;
        Ok(copied)
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let (from, to) = (rename.from.text(), rename.to.text());
        let lease = self.store.lease().await?;
        let session = &lease.session;
        self.store.object(session, from).await?;
        if from != to {
            self.store
                .publish(session, &self.store.path(from), to, false)
                .await?;
            self.store.remove_empty_folders(session, from).await;
        }
        Ok(Renamed::new(session.extensions.posix_rename))
    }

    async fn health(&self) -> Result<Health> {
        let lease = self.store.lease().await?;
        self.store
            .look_at_root(&lease.session)
            .await
            .map(|()| Health::up())
    }

    async fn usage(&self) -> Result<Usage> {
        let lease = self.store.lease().await?;
        let space = asked(lease.session.sftp.statvfs(self.store.objects.as_str())).await?;
        let bytes = |blocks: u64| Some(blocks.saturating_mul(space.fragment_size));
        let mut usage = Usage::default();
        usage.total = bytes(space.blocks);
        usage.free = bytes(space.blocks_avail);
        usage.used = bytes(space.blocks.saturating_sub(space.blocks_free));
        Ok(usage)
    }

    async fn shutdown(&self) -> Result<()> {
        self.store.close().await;
        Ok(())
    }
}

impl Sftp {
    async fn refuse_existing(&self, session: &Session, key: &str) -> Result<()> {
        match self.store.object(session, key).await {
            Ok(_) => {
                Err(Error::new(ErrorKind::PreconditionFailed).with_message("the object exists"))
            }
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The real names of the folders of the store; makes them if wanted.
async fn prepare(
    session: &Session,
    settings: &CheckedConfig,
    create: bool,
) -> Result<(String, String)> {
    let missing = |what: &'static str| Error::new(ErrorKind::ContainerMissing).with_message(what);
    let named = if settings.root.is_empty() {
        "."
    } else {
        &settings.root
    };
    let real = async |path: &str, what: &'static str| match session.sftp.realpath(path).await {
        Ok(real) => match real.files.into_iter().next() {
            Some(file) => Ok(file.filename),
            None => Err(missing(what)),
        },
        Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => Err(missing(what)),
        Err(cause) => Err(error::from_sftp(About::Reading, cause)),
    };
    const ROOT: &str = "the directory of `root` does not exist on the server";
    let root = real(named, ROOT).await?;
    match session.sftp.stat(root.as_str()).await {
        Ok(found) if kind(&found.attrs) == Kind::Folder => {}
        Ok(_) => {
            return Err(
                Error::new(ErrorKind::ConfigInvalid).with_message("`root` is not a directory")
            );
        }
        Err(cause) if error::status(&cause) == Some(StatusCode::NoSuchFile) => {
            return Err(missing(ROOT));
        }
        Err(cause) => return Err(error::from_sftp(About::Reading, cause)),
    }
    let root = root.trim_end_matches('/');
    let mut folders =
        [&settings.objects, &settings.staging].map(|folder| format!("{root}/{folder}"));
    for folder in &mut folders {
        if create {
            for (end, _) in folder[root.len() + 1..].match_indices('/') {
                let part = &folder[..root.len() + 1 + end];
                let _ = session.sftp.mkdir(part, FileAttributes::empty()).await;
            }
            // It may be there; whether it is a directory is seen below.
            let _ = session
                .sftp
                .mkdir(folder.as_str(), FileAttributes::empty())
                .await;
        }
        const WHAT: &str = "`objects` or `staging` does not exist below `root`, and cannot be made";
        *folder = real(folder, WHAT).await?;
        match session.sftp.lstat(folder.as_str()).await {
            Ok(found) if kind(&found.attrs) == Kind::Folder => {}
            _ => return Err(missing(WHAT)),
        }
    }
    let [objects, staging] = folders;
    Ok((objects, staging))
}

/// Whether the server's file system tells upper case from lower, and two spellings of one letter.
async fn probe(store: &Arc<SftpStore>, session: &Session) -> Result<(bool, bool)> {
    let name = store.staging_path();
    let flags = OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE;
    let (made, upper, apart) = (
        format!("{name}-\u{e9}a"),
        format!("{name}-\u{e9}A"),
        format!("{name}-e\u{301}a"),
    );
    let opened = session
        .sftp
        .open(made.as_str(), flags, FileAttributes::empty())
        .await;
    let file = asked(std::future::ready(opened)).await?;
    let (closed, upper, apart) = tokio::join!(
        session.sftp.close(file.handle),
        session.sftp.lstat(upper),
        session.sftp.lstat(apart)
    );
    let removed = session.sftp.remove(made).await;
    asked(std::future::ready(closed)).await?;
    asked(std::future::ready(removed)).await?;
    Ok((upper.is_err(), apart.is_err()))
}

fn instance_of(
    settings: &CheckedConfig,
    extensions: Extensions,
    case_sensitive: bool,
    unicode_exact: bool,
) -> Instance {
    let always = Capabilities::if_time
        .with(Capabilities::suffix)
        .with(Capabilities::unknown_length)
        .with(Capabilities::ordered_list)
        .with(Capabilities::start_after)
        .with(Capabilities::exact_delete);
    let capabilities = [
        (true, always),
        (
            extensions.posix_rename,
            Capabilities::atomic_put.with(Capabilities::atomic_move),
        ),
        (extensions.hardlink, Capabilities::create_only),
        (extensions.copy_data, Capabilities::server_copy),
        (
            extensions.copy_data && extensions.hardlink,
            Capabilities::copy_create_only,
        ),
        (extensions.statvfs, Capabilities::usage),
        (case_sensitive, Capabilities::case_sensitive),
        (unicode_exact, Capabilities::unicode_exact),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .fold(Capabilities::EMPTY, |all, (_, some)| all.with(some));
    let mut limits = Limits::default();
    // Eight pieces on their way and the windows of SSH.
    limits.buffer_bytes = 6 << 20;
    let CheckedConfig {
        username,
        host,
        port,
        root,
        ..
    } = settings;
    let mut instance = Instance::new(format!("sftp://{username}@{host}:{port}/{root}"));
    if !extensions.statvfs {
        instance.operations = Some(Operations::ALL.without(Operations::usage));
    }
    instance.capabilities = Some(capabilities);
    instance.limits = limits;
    instance
}

/// Conditions on time; etags are not claimed.
fn check_read(object: &Object, options: &ReadOptions<'_>) -> Result<()> {
    let seconds = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    let changed_after = |time: SystemTime| object.modified.map(seconds) > Some(seconds(time));
    if options.if_unmodified_since.is_some_and(changed_after) {
        return Err(
            Error::new(ErrorKind::PreconditionFailed).with_message("the object has changed since")
        );
    }
    match options.if_modified_since {
        Some(time) if !changed_after(time) => Err(Error::new(ErrorKind::NotModified)),
        _ => Ok(()),
    }
}
