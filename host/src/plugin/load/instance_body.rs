//! A body of a plugin, with what must outlive it: rule R12.

use super::Plugin;
use super::gate::Pass;
use super::instance::Instance;
use crate::platform::crumbs::Inside;
use holdall_plugin_api::abi::ranges::Filling;
use holdall_plugin_api::abi::tables::FfiCall;
use holdall_plugin_api::{Body, Bytes, Checksums, Result};
use std::sync::Arc;
use std::task::{Context, Poll};

/// A body, held with its instance and with what let the download into the plugin.
pub(super) struct InstanceBody {
    // Fields end in this order: the end of the body, and then of the instance, each need a pass.
    body: Body,
    /// Of a body that has ended and given its pass back.
    checksums: Option<Checksums>,
    pass: Option<Pass>,
    instance: Arc<Instance>,
}

impl InstanceBody {
    pub(super) fn new(body: Body, pass: Option<Pass>, instance: Arc<Instance>) -> Self {
        Self {
            body,
            checksums: None,
            pass,
            instance,
        }
    }

    /// Whose body it is.
    pub(super) fn plugin(&self) -> &Plugin {
        self.instance.plugin()
    }

    /// The next chunk, or the end.
    pub(super) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
        request: Option<&str>,
    ) -> Poll<Option<Result<Bytes>>> {
        let inside = Inside::new(self.instance.plugin().crumb, "download", request);
        let _entered = inside.enter();
        let next = std::task::ready!(self.body.poll_chunk_under(cx, call));
        match &next {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.instance.note_fault(error);
                self.leave();
            }
            None => self.leave(),
        }
        Poll::Ready(next.map(|chunk| chunk.map(Bytes::from)))
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
            self.body = Body::empty();
            self.pass = None;
        }
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
