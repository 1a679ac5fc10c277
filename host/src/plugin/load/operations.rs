//! The operations of an instance, as a table, and the two of them that answer with a reader.

use super::blocking;
use super::call::{Began, Call, Operation, Read, Start};
use super::instance::Instance;
use super::instance_body::{Downloading, InstanceBody, InstanceRanges};
use super::owned::Portable;
use holdall_plugin_api::abi::grow::Grows;
use holdall_plugin_api::abi::ranges::{self, Filling};
use holdall_plugin_api::abi::request::{self, Args, Owned};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::{answer, parts, versions};
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, CompleteUpload, Copied, CopyObject, CreateUpload, Custom, Delete,
    DeleteMany, Deleted, Download, DownloadRanges, Downloaded, DownloadedRanges, Error, Head,
    Health, Key, List, ListParts, ListUploads, ListVersions, ObjectInfo, Page, Part, PartPage,
    PutPart, Rename, Renamed, Result, SignUrl, Signing, Update, Upload, UploadPage, Uploaded,
    Usage, VersionPage,
};
use std::ffi::c_void;
use std::sync::Arc;

/// One method for each operation: `name(request) -> answer { slot, arguments, reader of the answer }`. The types of the
/// slot bind those of the arguments and of what the reader reads.
macro_rules! operations {
    ($(
        $name:ident($($request:ident: $Request:ty)?) -> $Answer:ty { $slot:ident, $args:expr, $read:expr }
    )*) => {
        impl Instance {$(
            pub(crate) fn $name<'a>(
                self: &'a Arc<Self>,
                $($request: $Request,)?
                call: Call,
            ) -> impl Future<Output = Result<$Answer>> + Send + 'a {
                let slot = self.plugin().checked.ops.$slot;
                self.start(slot, $read, $args, call, stringify!($name))
            }
        )*}
    };
}

operations! {
    exists(key: &'a Key) -> bool
        { start_exists, request::write_exists(key), |out| Ok(answer::read_exists(out)) }
    upload(upload: Upload<'a>) -> Uploaded
        { start_upload, request::write_upload(upload), answer::read_uploaded }
    delete(delete: Delete<'a>) -> Deleted
        { start_delete, request::write_delete(&delete), answer::read_deleted }
    signed_url(sign: SignUrl<'a>) -> Signing
        { start_signed_url, request::write_sign(&sign), answer::read_signing }
    head(head: Head<'a>) -> ObjectInfo
        { start_head, request::write_head(&head), answer::read_object }
    list(list: List<'a>) -> Page
        { start_list, request::write_list(&list), answer::read_page }
    copy(copy: CopyObject<'a>) -> Copied
        { start_copy, request::write_copy(&copy), answer::read_copied }
    rename(rename: Rename<'a>) -> Renamed
        { start_rename, request::write_rename(&rename), answer::read_renamed }
    delete_many(delete: DeleteMany<'a>) -> Vec<Result<Deleted>>
        { start_delete_many, request::write_delete_many(&delete), answer::read_deleted_many }
    health() -> Health
        { start_health, request::write_empty(), answer::read_health }
    usage() -> Usage
        { start_usage, request::write_empty(), |out| Ok(answer::read_usage(out)) }
    shutdown() -> ()
        { start_shutdown, request::write_empty(), |_| Ok(()) }
    custom(custom: Custom<'a>) -> Bytes
        { start_custom, request::write_custom(custom), answer::read_custom }

    create_upload(create: CreateUpload<'a>) -> String
        { start_create_upload, parts::write_create(&create), parts::read_created }
    put_part(put: PutPart<'a>) -> Part
        { start_put_part, parts::write_put(put), parts::read_stored }
    list_parts(list: ListParts<'a>) -> PartPage
        { start_list_parts, parts::write_list(&list), parts::read_parts }
    list_uploads(list: ListUploads<'a>) -> UploadPage
        { start_list_uploads, parts::write_list_uploads(&list), parts::read_uploads }
    complete_upload(complete: CompleteUpload<'a>) -> Uploaded
        { start_complete_upload, parts::write_complete(&complete), answer::read_uploaded }
    abort_upload(abort: AbortUpload<'a>) -> ()
        { start_abort_upload, parts::write_abort(&abort), |_| Ok(()) }
    list_versions(list: ListVersions<'a>) -> VersionPage
        { start_list_versions, versions::write_list(&list), versions::read_page }
    update(update: Update<'a>) -> ObjectInfo
        { start_update, request::write_update(&update), answer::read_object }
}

impl Instance {
    #[inline(always)]
    fn start<'a, A: Portable, O: Grows + 'static, T: Send + 'static>(
        self: &'a Arc<Self>,
        slot: Option<Start<A, O>>,
        read: Read<O, T>,
        args: Args<'a, A>,
        call: Call,
        name: &'static str,
    ) -> Operation<'a, A, O, T> {
        Operation::new(self, slot.unwrap_or(absent::<A, O>), read, args, call, name)
    }

    /// Reads an object; the body holds this instance.
    pub(crate) async fn download(
        self: &Arc<Self>,
        download: Download<'_>,
        call: Call,
    ) -> Result<Downloaded> {
        let under = call.clone();
        // Made here: what a future takes with it and then pins, it holds twice.
        let mut operation = std::pin::pin!(self.start(
            self.plugin().checked.ops.start_download,
            answer::read_downloaded,
            request::write_download(&download),
            call,
            "download",
        ));
        let Downloaded {
            info, range, body, ..
        } = operation.as_mut().await?;
        let mut held = InstanceBody::new(body, operation.take_pass(), self.clone());
        if download.unverified {
            held.lend(range.end - range.start)?;
        }
        let body = if self.blocks() {
            Body::source(blocking::Pulled::new(held, under, self.clone()))
        } else {
            Body::source(Downloading::new(held, under))
        };
        Ok(Downloaded::new(info, range, body))
    }

    /// Reads many ranges into `memory`, one piece for each.
    pub(crate) async fn download_ranges(
        self: &Arc<Self>,
        read: DownloadRanges<'_>,
        memory: Vec<Vec<u8>>,
        call: Call,
    ) -> Result<(ObjectInfo, Vec<Vec<u8>>)> {
        // R5: the plugin writes as many bytes as a range has.
        let lengths = read.ranges.iter().map(|range| range.end - range.start);
        if !lengths.eq(memory.iter().map(|piece| piece.len() as u64)) {
            return Err(Error::invalid(
                "memory for each range expected, as long as the range",
            ));
        }
        let under = call.clone();
        let mut operation = std::pin::pin!(self.start(
            self.plugin().checked.ops.start_download_ranges,
            ranges::read_downloaded,
            ranges::write_ranges(&read),
            call,
            "download_ranges",
        ));
        let DownloadedRanges { info, reader, .. } = operation.as_mut().await?;
        let mut held = InstanceRanges::new(
            Filling::new(reader, memory),
            operation.take_pass(),
            self.clone(),
        );
        let filled = if self.blocks() {
            blocking::filled(held, under, self.clone()).await
        } else {
            std::future::poll_fn(|cx| {
                let call = under.table();
                let began = Began::now();
                let polled = held.poll(cx, &raw const call, under.request_id.as_deref());
                began.ended(self.plugin(), "ranges");
                polled
            })
            .await
        };
        Ok((info, filled?))
    }
}

/// In place of a slot that is not filled.
unsafe extern "C" fn absent<A: Owned, O>(
    _: *const c_void,
    args: *const A,
    _: *mut c_void,
    _: *const FfiContext,
    _: *mut O,
    err: *mut FfiError,
    _: *mut FfiFuture,
) -> Status {
    // SAFETY: R8: what the arguments own has moved here.
    unsafe { args.read() }.discard();
    let error = Error::unsupported("the plugin has no such operation");
    // SAFETY: R6: our own slot, with room for a whole error.
    unsafe { err.write(holdall_plugin_api::abi::flatten(error)) };
    FAILED
}
