//! `upload`.

use super::calls;
use super::content_type;
use super::etag;
use super::fault;
use super::may_write;
use super::quota;
use super::spool;
use super::upload_body::{Checked, Expected};
use crate::backend::Backend;
use crate::backend::counters::add;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::ledger::{Amount, Reserved};
use crate::policy::idle_timeout::Patience;
use crate::policy::{Guards, Refusal};
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{
    Body, Capability, Checksums, Error, ErrorKind, Key, MAX_CHUNK, Operation, Result, Upload,
    Uploaded,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Backend {
    /// Stores an object, data and metadata in one step: readers see the old one or the new one.
    ///
    /// The answer carries the CRC-32C of the bytes, always. Digests that the request states are
    /// verified before anything becomes visible. Where the store must know the length first and the
    /// request does not state it, the body goes through a temporary file.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::{Durability, Upload};
    ///
    /// photos.upload(("2026/cat.txt", "meow")).await?;
    /// let upload = Upload::new("2026/dog.txt", "woof").content_type("text/plain").create_only();
    /// let stored = photos.upload(upload).await?;
    /// println!("{} bytes, etag {:?}", stored.size, stored.etag);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `InvalidKey`, `InvalidArgument` (also a body that has not the stated length), `TooLarge`.
    /// - `ChecksumMismatch`: the bytes have not the stated digest; nothing is visible.
    /// - `PreconditionFailed`: `create_only` or `if_match` lost.
    /// - `Unsupported`: an option that the backend does not claim. None is dropped in silence.
    /// - The error of the body, and those of the store.
    pub fn upload<'a>(
        &self,
        upload: impl Into<Upload<'a>>,
    ) -> impl Future<Output = Result<Uploaded>> + Send {
        let upload = upload.into();
        async move {
            let scope = self.scope(Operation::Upload, Some(upload.key));
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    store(&scope, opened, upload).await
                }))
                .await
        }
    }
}

/// An upload by a caller: by what the policies say of its size and type.
async fn store(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut upload: Upload<'_>,
) -> Result<Uploaded> {
    let Some(guards) = scope.guards() else {
        return send(scope, opened, upload).await;
    };
    may_write(scope)?;
    opened.terms.key(upload.key.text())?;
    let asked = upload.options().max_size;
    let bound = guards.bound(asked);
    if bound.is_some() {
        upload.options_mut().max_size = bound;
    }
    let outcome = match guards.types {
        None => send(scope, opened, upload).await,
        Some(_) => store_typed(scope, opened, guards, upload).await,
    };
    outcome.inspect_err(|error| {
        let most = guards
            .max_size
            .filter(|most| asked.is_none_or(|asked| *most < asked));
        if error.kind() == ErrorKind::TooLarge
            && most.is_some_and(|most| error.fact("limit") == Some(&*most.to_string()))
        {
            scope.refused(Refusal::MaxSize);
        }
    })
}

/// Judges the type before anything else sees the body.
async fn store_typed(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    guards: &Guards,
    mut upload: Upload<'_>,
) -> Result<Uploaded> {
    let length = upload.length.or(upload.body.known_length());
    if let (Some(max), Some(length)) = (upload.options().max_size, length)
        && length > max
    {
        return Err(too_large(max).with_fact("requested", length));
    }
    let declared = upload.options().content_type;
    let body = std::mem::replace(&mut upload.body, Body::empty());
    let judged = guards
        .sniff(upload.key, declared, body, patience(scope))
        .await;
    let (body, corrected) = judged.inspect_err(|error| {
        if error.kind() == ErrorKind::InvalidFileType {
            scope.refused(Refusal::Types);
        }
    })?;
    upload.body = body;
    if corrected.is_some() {
        upload.options_mut().content_type = corrected;
    }
    send(scope, opened, upload).await
}

/// The whole of an upload on an instance, for composed operations too.
pub(super) async fn send(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut upload: Upload<'_>,
) -> Result<Uploaded> {
    let known = upload.body.known_length();
    if let Some(known) = known {
        check_length(upload.length, known)?;
        upload.length = Some(known);
    }
    if upload.is_plain() {
        opened.terms.upload(&upload)?;
    } else {
        upload = agreed(scope, opened, upload)?;
    }
    let mut upload = upload;
    let condition;
    if let Some(given) = upload.options().if_match {
        condition = etag::native(scope, opened, upload.key, given).await;
        upload = upload.if_match(&condition);
    }
    let wanted = upload.options().checksums;
    let max_size = upload.options().max_size;
    if let (Some(max), Some(length)) = (max_size, upload.length)
        && length > max
    {
        return Err(too_large(max).with_fact("requested", length));
    }
    if let Some(known) = known
        && known <= u64::from(MAX_CHUNK)
        && wanted.md5.is_none()
        && wanted.sha256.is_none()
    {
        let begun = reserve(scope, opened, upload.key, Amount::Known(known)).await?;
        let outcome = store_one_chunk(scope, opened, upload, known, &wanted).await;
        return booked(scope, opened, begun, outcome).await;
    }
    if upload.length.is_none() && !opened.claims(Capability::UnknownLength) {
        let body = std::mem::replace(&mut upload.body, Body::empty());
        let (length, body) =
            spool::spool(body, &scope.context().spool, max_size, patience(scope)).await?;
        add(&scope.counters().spooled, 1);
        upload.length = Some(length);
        upload.body = body;
        opened.terms.upload(&upload)?;
    }
    let bytes = match upload.length {
        Some(length) => Amount::Known(length),
        None => Amount::UpTo(max_size.unwrap_or(u64::MAX)),
    };
    let begun = reserve(scope, opened, upload.key, bytes).await?;
    let reserved = begun.as_ref().map(|(_, reserved)| reserved);
    let expected = Expected {
        reserved: reserved.and_then(|it| Some((it.bytes, it.excess.clone()?))),
        length: upload.length,
        limit: opened.terms.limits.max_object_size,
        max_size,
        checksums: wanted,
        idle: patience(scope).limit,
    };
    let outcome = store_stream(scope, opened, upload, expected).await;
    booked(scope, opened, begun, outcome).await
}

pub(super) fn patience<'s>(scope: &'s Scope<'_>) -> Patience<'s> {
    Patience {
        limit: scope.guards().and_then(|guards| guards.idle_timeout),
        counts: &scope.counters().policies,
    }
}

type Begun = Option<(quota::Write, Reserved)>;

async fn reserve(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    key: &Key,
    bytes: Amount,
) -> Result<Begun> {
    match scope.guards().and_then(|guards| guards.quota) {
        None => Ok(None),
        // On the heap: few backends need it, and the futures of the others stay small.
        Some(_) => Box::pin(quota::begin(scope, opened, key, bytes)).await,
    }
}

async fn booked(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    begun: Begun,
    outcome: Result<Uploaded>,
) -> Result<Uploaded> {
    match begun {
        None => outcome,
        Some((write, _)) => {
            let stored = |uploaded: &Uploaded| Some(Some(uploaded.size));
            Box::pin(write.end(scope, opened, outcome, stored)).await
        }
    }
}

/// The checks, where a content type that the store cannot keep is dropped if it may be.
fn agreed<'a>(scope: &Scope<'_>, opened: &Opened, mut upload: Upload<'a>) -> Result<Upload<'a>> {
    let Some(content_type) = upload.options().content_type else {
        opened.terms.upload(&upload)?;
        return Ok(upload);
    };
    let mut terms: Terms = opened.terms;
    terms.capabilities = terms.capabilities.with(Capability::ContentType.into());
    terms.upload(&upload)?;
    if opened.claims(Capability::ContentType) {
        return Ok(upload);
    }
    let policy = scope.generation()?.config.mount.content_type;
    content_type::may_drop(upload.key, content_type, policy)?;
    upload.options_mut().content_type = None;
    Ok(upload)
}

/// The usual small object: its bytes are here, so all is known before the plugin is entered, and the
/// body goes over without a box.
async fn store_one_chunk(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut upload: Upload<'_>,
    length: u64,
    wanted: &Checksums,
) -> Result<Uploaded> {
    let bytes = upload.body.as_once().map_or(&[][..], |bytes| bytes);
    let crc32c = crc_fast::crc32_iscsi(bytes);
    let mut found = Checksums::NONE;
    found.crc32c = Some(crc32c);
    compare(wanted, &found)?;
    upload.body = std::mem::replace(&mut upload.body, Body::empty()).with_crc32c(crc32c);
    scope.moved.store(length, Ordering::Relaxed);
    add(&scope.counters().bytes_in, length);
    let uploaded = in_plugin(scope, opened, upload, Some(crc32c)).await?;
    accept(opened, uploaded, length, found)
}

/// Through the policies of each attempt, where there are any. `crc32c`: of a body that is bytes.
async fn in_plugin(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    upload: Upload<'_>,
    crc32c: Option<u32>,
) -> Result<Uploaded> {
    match scope.guards().filter(|guards| guards.surround_calls()) {
        None => opened.instance.upload(upload, scope.call()).await,
        Some(guards) => calls::upload(guards, scope, opened, upload, crc32c).await,
    }
}

async fn store_stream(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut upload: Upload<'_>,
    expected: Expected,
) -> Result<Uploaded> {
    let body = std::mem::replace(&mut upload.body, Body::empty());
    let (body, outcome) = Checked::new(body, expected, scope.counters().clone());
    upload.body = Body::source(body);
    let answer = in_plugin(scope, opened, upload, None).await;
    let bytes = outcome.bytes();
    scope.moved.store(bytes, Ordering::Relaxed);
    let found = outcome.judge(answer.as_ref().err())?;
    accept(opened, answer?, bytes, found)
}

/// The plugin's answer, with the digests that the host knows.
fn accept(
    opened: &Opened,
    mut uploaded: Uploaded,
    bytes: u64,
    found: Checksums,
) -> Result<Uploaded> {
    opened.etags.show(&mut uploaded.etag);
    uploaded.checksums = accepted(uploaded.size, uploaded.checksums, bytes, found)?;
    Ok(uploaded)
}

/// The digests of an object or a part: those that the host has computed of its `bytes`, and those that the plugin
/// reports beside them.
///
/// # Errors
///
/// A fault: the plugin stored another number of bytes. `Corrupt`: it reports another CRC-32C.
pub(super) fn accepted(
    stored: u64,
    said: Checksums,
    bytes: u64,
    found: Checksums,
) -> Result<Checksums> {
    if stored != bytes {
        return Err(
            fault("the plugin stored another number of bytes than it got")
                .with_fact("expected", bytes)
                .with_fact("found", stored),
        );
    }
    if said.crc32c.is_some_and(|said| Some(said) != found.crc32c) {
        return Err(Error::new(ErrorKind::Corrupt)
            .with_message("the store reports another digest than that of the bytes it got")
            .with_fact("algorithm", "crc32c"));
    }
    let mut digests = said;
    digests.crc32c = found.crc32c;
    digests.md5 = found.md5.or(said.md5);
    digests.sha256 = found.sha256.or(said.sha256);
    Ok(digests)
}

pub(super) fn wrong_length(stated: u64, found: impl std::fmt::Display) -> Error {
    Error::invalid("the body does not have the stated length")
        .with_fact("stated", stated)
        .with_fact("found", found)
}

/// The body is over the bound of its request.
pub(super) fn too_large(max: u64) -> Error {
    Error::new(ErrorKind::TooLarge)
        .with_message("the body is larger than this upload may be")
        .with_fact("limit", max)
}

/// Compares a length that was stated with one that is known.
fn check_length(stated: Option<u64>, known: u64) -> Result<()> {
    match stated {
        Some(stated) if stated != known => Err(wrong_length(stated, known)),
        _ => Ok(()),
    }
}

/// Compares every digest that the caller vouches for.
pub(super) fn compare(expected: &Checksums, found: &Checksums) -> Result<()> {
    let bytes = |crc32c: Option<u32>| crc32c.map(u32::to_be_bytes);
    same("crc32c", bytes(expected.crc32c), bytes(found.crc32c))?;
    same("md5", expected.md5, found.md5)?;
    same("sha256", expected.sha256, found.sha256)
}

fn same<const N: usize>(
    algorithm: &'static str,
    expected: Option<[u8; N]>,
    found: Option<[u8; N]>,
) -> Result<()> {
    let Some(expected) = expected.filter(|_| expected != found) else {
        return Ok(());
    };
    let hex = |digest: [u8; N]| crate::config::hex(&digest);
    Err(Error::new(ErrorKind::ChecksumMismatch)
        .with_message("the body does not have the digest that was given")
        .with_fact("algorithm", algorithm)
        .with_fact("expected", hex(expected))
        .with_fact("found", found.map(hex).unwrap_or_default()))
}
