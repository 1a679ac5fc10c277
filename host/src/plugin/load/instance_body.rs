//! A body of a plugin, with what must outlive it: rule R12.

use super::call::{Began, Call};
use super::gate::Pass;
use super::instance::Instance;
#[cfg(unix)]
use super::lent_file::Judged;
use crate::platform::crumbs::Inside;
#[cfg(unix)]
use holdall_plugin_api::LentFile;
use holdall_plugin_api::abi::ranges::Filling;
use holdall_plugin_api::abi::tables::FfiCall;
use holdall_plugin_api::{Body, Bytes, Capability, Checksums, Result, Source};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body, held with its instance and with what let the download into the plugin.
pub(super) struct InstanceBody {
    // Fields end in this order: the end of the body, and then of the instance, each need a pass.
    body: Body,
    /// Of a body that has ended and given its pass back.
    checksums: Option<Checksums>,
    /// What it lends.
    #[cfg(unix)]
    file: Option<Judged>,
    pass: Option<Pass>,
    instance: Arc<Instance>,
}

impl InstanceBody {
    pub(super) fn new(body: Body, pass: Option<Pass>, instance: Arc<Instance>) -> Self {
        Self {
            body,
            checksums: None,
            #[cfg(unix)]
            file: None,
            pass,
            instance,
        }
    }

    /// Takes the file that the plugin lends for these `length` bytes, if it promises to.
    ///
    /// # Errors
    ///
    /// A breach of the contract.
    pub(super) fn lend(&mut self, length: u64) -> Result<()> {
        #[cfg(unix)]
        if self.instance.claims(Capability::LendFile) {
            let inside = Inside::new(self.instance.plugin().crumb, "download", None);
            let _entered = inside.enter();
            let lent = self.body.try_file();
            let judged =
                lent.and_then(|lent| lent.map(|lent| Judged::new(lent, length)).transpose());
            self.file = judged.inspect_err(|error| self.instance.note_fault(error))?;
        }
        #[cfg(not(unix))]
        let _ = length;
        Ok(())
    }

    /// What was taken.
    #[cfg(unix)]
    pub(super) fn file(&self) -> Option<LentFile<'_>> {
        // SAFETY: R21: the body is there, and for as long as it is borrowed it stays.
        self.file.as_ref().map(|judged| unsafe { judged.lent() })
    }

    /// Whether it reads into memory of the receiver.
    fn reads_into(&self) -> bool {
        self.instance.claims(Capability::ReadInto) && self.body.reads_into()
    }

    /// The next chunk, or the end.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
        request: Option<&str>,
    ) -> Poll<Option<Result<Bytes>>> {
        let next = self.inside(request, |body| body.poll_chunk_under(cx, call));
        next.map(|next| next.map(|chunk| chunk.map(Bytes::from)))
    }

    /// Pulls once, as `pull` does.
    fn inside<T>(
        &mut self,
        request: Option<&str>,
        pull: impl FnOnce(&mut Body) -> Poll<Option<Result<T>>>,
    ) -> Poll<Option<Result<T>>> {
        let inside = Inside::new(self.instance.plugin().crumb, "download", request);
        let _entered = inside.enter();
        let next = std::task::ready!(pull(&mut self.body));
        match &next {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.instance.note_fault(error);
                self.leave();
            }
            None => self.leave(),
        }
        Poll::Ready(next)
    }

    /// The digests that the plugin knows, at the end.
    pub(super) fn checksums(&self) -> Checksums {
        self.checksums.unwrap_or_else(|| {
            self.body
                .trailers()
                .map_or(Checksums::NONE, |trailers| trailers.checksums)
        })
    }

    /// Lets the next one into the plugin as soon as nothing more can come.
    fn leave(&mut self) {
        if self.pass.is_some() {
            self.checksums = Some(self.checksums());
            #[cfg(unix)]
            {
                self.file = None;
            }
            self.body = Body::empty();
            self.pass = None;
        }
    }
}

/// The body of a download, where its reader is.
pub(super) struct Downloading {
    held: InstanceBody,
    call: Call,
}

impl Downloading {
    pub(super) fn new(held: InstanceBody, call: Call) -> Self {
        Self { held, call }
    }

    /// Pulls once, as `pull` does.
    fn pull<T>(
        &mut self,
        pull: impl FnOnce(&mut InstanceBody, *const FfiCall, Option<&str>) -> Poll<T>,
    ) -> Poll<T> {
        let call = self.call.table();
        let began = Began::now();
        let next = pull(
            &mut self.held,
            &raw const call,
            self.call.request_id.as_deref(),
        );
        began.ended(self.held.instance.plugin(), "a body");
        next
    }
}

impl Source for Downloading {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.pull(|held, call, request| held.poll_chunk(cx, call, request))
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        self.held.checksums()
    }

    fn reads_into(&self) -> bool {
        self.held.reads_into()
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        self.pull(|held, call, request| {
            held.inside(request, |body| body.poll_into_under(cx, call, into))
        })
    }

    #[cfg(unix)]
    fn file(&self) -> Option<LentFile<'_>> {
        self.held.file()
    }
}

/// A reader of many ranges, held like a body: the memory that it fills is here too.
pub(super) struct InstanceRanges {
    // Fields end in this order, as above.
    filling: Filling,
    _pass: Option<Pass>,
    instance: Arc<Instance>,
}

impl InstanceRanges {
    pub(super) fn new(filling: Filling, pass: Option<Pass>, instance: Arc<Instance>) -> Self {
        Self {
            filling,
            _pass: pass,
            instance,
        }
    }

    /// Goes on; ready when every range is there.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
        request: Option<&str>,
    ) -> Poll<Result<Vec<Vec<u8>>>> {
        let inside = Inside::new(self.instance.plugin().crumb, "download_ranges", request);
        let _entered = inside.enter();
        let filled = std::task::ready!(self.filling.poll(cx, call));
        if let Err(error) = &filled {
            self.instance.note_fault(error);
        }
        Poll::Ready(filled)
    }
}
