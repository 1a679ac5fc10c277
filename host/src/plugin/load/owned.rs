//! Copies of arguments that a job owns: rules R5 and R8.
//!
//! A caller may leave while the plugin is still at work, so that nothing of the caller's may be lent
//! to it. Each copy is read and written again by the same code that carries it over the boundary.

use super::caller::{CallerState, wait};
use super::config_text::ConfigText;
use super::services::About;
use holdall_plugin_api::Source;
use holdall_plugin_api::abi::grow::copy_in;
use holdall_plugin_api::abi::request::{self, Args, Owned, Texts};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::text::{breach, copied};
use holdall_plugin_api::abi::{parts, ranges, versions};
use holdall_plugin_api::{Body, Bytes, Checksums, Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Arguments with all that they point to.
pub(super) struct Own<A: Portable> {
    args: Args<'static, A>,
    keep: A::Keep,
    moved: bool,
}

impl<A: Portable> Own<A> {
    /// # Safety
    ///
    /// `args` points into `keep` or to statics, and `keep` does not move what it owns.
    unsafe fn new(args: Args<'static, A>, keep: A::Keep) -> Self {
        Self {
            args,
            keep,
            moved: false,
        }
    }

    /// The table to start with. What it owns counts as moved from here on (R8).
    pub(super) fn hand_over(&mut self) -> *const A {
        self.moved = true;
        self.args.raw()
    }

    /// To be called when `start` has returned.
    pub(super) fn started(&self) {
        A::started(&self.keep);
    }
}

impl<A: Portable> Drop for Own<A> {
    fn drop(&mut self) {
        if !self.moved {
            self.args.raw().discard();
        }
    }
}

/// Arguments that can be copied for a job.
pub(super) trait Portable: Owned + 'static {
    /// What the copy points to.
    type Keep: Send + 'static;

    /// Copies. What the arguments own moves, also when the copy fails.
    ///
    /// # Safety
    ///
    /// R1, R5 and R8 for the call.
    unsafe fn own(args: *const Self, caller_state: &Arc<CallerState>) -> Result<Own<Self>>;

    /// `start` has returned.
    fn started(_: &Self::Keep) {}
}

macro_rules! portable {
    ($codec:ident; $($args:ty: $read:ident, |$request:ident, $caller_state:ident| $write:expr;)+) => { $(
        impl Portable for $args {
            type Keep = Texts;

            unsafe fn own(args: *const Self, $caller_state: &Arc<CallerState>) -> Result<Own<Self>> {
                let mut texts = Texts::copied();
                // SAFETY: by the contract; the texts are kept with the copy.
                let $request = unsafe { $codec::$read(args, &mut texts) }?;
                // SAFETY: every text of the request lies in `texts`, whose allocations do not move.
                Ok(unsafe { Own::new($write, texts) })
            }
        }
    )+ };
}

portable! {
    request;
    UploadArgs: read_upload, |upload, caller_state| {
        let mut upload = upload;
        upload.body = waiting(upload.body, caller_state);
        request::write_upload(upload)
    };
    DownloadArgs: read_download, |download, _presence| request::write_download(&download);
    DeleteArgs: read_delete, |delete, _presence| request::write_delete(&delete);
    ExistsArgs: read_exists, |key, _presence| request::write_exists(key);
    SignArgs: read_sign, |sign, _presence| request::write_sign(&sign);
    HeadArgs: read_head, |head, _presence| request::write_head(&head);
    ListArgs: read_list, |list, _presence| request::write_list(&list);
    CopyArgs: read_copy, |copy, _presence| request::write_copy(&copy);
    RenameArgs: read_rename, |rename, _presence| request::write_rename(&rename);
    DeleteManyArgs: read_delete_many, |delete, _presence| request::write_delete_many(&delete);
    CustomArgs: read_custom, |custom, _presence| request::write_custom(custom);
    UpdateArgs: read_update, |update, _presence| request::write_update(&update);
}

portable! {
    parts;
    CreateUploadArgs: read_create, |create, _presence| parts::write_create(&create);
    PutPartArgs: read_put, |put, caller_state| {
        let mut put = put;
        put.body = waiting(put.body, caller_state);
        parts::write_put(put)
    };
    ListPartsArgs: read_list, |list, _presence| parts::write_list(&list);
    ListUploadsArgs: read_list_uploads, |list, _presence| parts::write_list_uploads(&list);
    CompleteUploadArgs: read_complete, |complete, _presence| parts::write_complete(&complete);
    AbortUploadArgs: read_abort, |abort, _presence| parts::write_abort(&abort);
}

portable! {
    ranges;
    RangesArgs: read_ranges, |read, _presence| ranges::write_ranges(&read);
}

portable! {
    versions;
    ListVersionsArgs: read_list, |list, _presence| versions::write_list(&list);
}

impl Portable for EmptyArgs {
    type Keep = ();

    unsafe fn own(_: *const Self, _: &Arc<CallerState>) -> Result<Own<Self>> {
        // SAFETY: points to nothing.
        Ok(unsafe { Own::new(request::write_empty(), ()) })
    }
}

impl Portable for OpenArgs {
    /// The configuration, and the backend's name, in a box that stays where it is.
    type Keep = (ConfigText, Texts);

    unsafe fn own(args: *const Self, _: &Arc<CallerState>) -> Result<Own<Self>> {
        // SAFETY: R1.
        let raw = unsafe { copy_in(args) }.map_err(breach)?;
        // SAFETY: R5.
        let config = ConfigText::new(unsafe { copied(raw.config) }?.unwrap_or_default());
        let name = ExistsArgs {
            key: raw.backend_name,
            ..holdall_plugin_api::abi::grow::empty()
        };
        let mut texts = Texts::copied();
        // SAFETY: R5: a text is copied like any other.
        let name = unsafe { request::read_exists(&raw const name, &mut texts) }?;
        let minor = u16::try_from(raw.effective_minor).unwrap_or(u16::MAX);
        // SAFETY: `config` is kept with the copy, and wiped only when `start` has returned.
        let text = unsafe { config.text() };
        let about = About::OURS.link();
        let args = request::write_open(text, name.text(), raw.services, minor, about);
        // SAFETY: both texts are kept, in allocations that do not move.
        Ok(unsafe { Own::new(args, (config, texts)) })
    }

    fn started(keep: &Self::Keep) {
        keep.0.wipe();
    }
}

/// A body that blocks where others answer `PENDING` (R16).
fn waiting(body: Body, caller_state: &Arc<CallerState>) -> Body {
    if body.as_once().is_some() {
        return body; // Never pending.
    }
    Body::source(Waiting {
        body,
        caller_state: caller_state.clone(),
    })
}

struct Waiting {
    body: Body,
    caller_state: Arc<CallerState>,
}

impl Source for Waiting {
    fn poll_chunk(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let Self { body, caller_state } = &mut *self;
        Poll::Ready(match wait(caller_state, |cx| body.poll_chunk(cx)) {
            Some(next) => next.map(|chunk| chunk.map(Bytes::from)),
            None => Some(Err(
                Error::new(ErrorKind::Cancelled).with_message("the caller has gone")
            )),
        })
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        let trailers = self.body.trailers();
        trailers.map_or(Checksums::NONE, |trailers| trailers.checksums)
    }
}
