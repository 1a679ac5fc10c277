//! From the trait to the tables. Everything here is generic, so that a plugin is one macro call.

use super::guard::{FaultKind, PluginState, contained_of};
use super::host::Services;
use super::op::{Slots, Then, fail, in_runtime, start};
use crate::abi::request::{self, Texts};
use crate::abi::tables::*;
use crate::abi::{answer, extension, grow, parts, ranges, text, versions};
use crate::{Capabilities, Error, ErrorKind, Host, Operations, Result, StorageBackend};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::Arc;

/// A plugin, as `export_plugin!` declares it.
pub trait Exported: Sized + 'static {
    /// The author's type.
    type Backend: StorageBackend;
    /// Slots that are filled.
    const OPERATIONS: Operations;
    /// The most that an instance may claim.
    const CAPABILITIES: Capabilities;
    /// Its one state.
    const STATE: &'static PluginState;
    /// Tables that it offers to hosts by name (R18).
    const EXTENSIONS: Option<fn(&str) -> *const c_void> = None;
}

/// The tables of a plugin.
#[derive(Debug)]
pub struct Glue<P>(PhantomData<P>);

/// A future that is made at its first poll, so that a panic while making it meets the guard. An
/// author may write a plain `fn` that returns a future.
enum Lazy<M, F> {
    New(M),
    Made(F),
    Making,
}

impl<M: FnOnce() -> F, F: Future> Future for Lazy<M, F> {
    type Output = F::Output;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<F::Output> {
        // SAFETY: `Made` is pinned with `self` and never moved out of it; `New` is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if let Lazy::New(_) = this
            && let Lazy::New(make) = std::mem::replace(this, Lazy::Making)
        {
            *this = Lazy::Made(make());
        }
        match this {
            // SAFETY: as above.
            Lazy::Made(future) => unsafe { std::pin::Pin::new_unchecked(future) }.poll(cx),
            Lazy::New(_) | Lazy::Making => panic!("polled after a panic"),
        }
    }
}

/// One operation of the table: its arguments, how they are read, and how its answer is written.
macro_rules! operation {
    ($(#[$meta:meta])* $name:ident($args:ty => $read:path) -> ($write:path => $out:ty)) => {
        $(#[$meta])*
        unsafe extern "C" fn $name(
            backend: *const c_void,
            args: *const $args,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut $out,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status {
            let slots = Slots {
                storage,
                cx,
                out,
                err,
                fut,
            };
            let read = |texts: &mut Texts| {
                // SAFETY: R5; the texts live as long as the operation.
                unsafe { $read(args, texts) }
            };
            // SAFETY: R5, R7, R9 and R12, by the contract of the table.
            unsafe {
                Self::run(
                    backend,
                    read,
                    |backend, request| backend.$name(request),
                    $write,
                    slots,
                )
            }
        }
    };
    ($(#[$meta:meta])* $name:ident() -> ($write:path => $out:ty)) => {
        $(#[$meta])*
        unsafe extern "C" fn $name(
            backend: *const c_void,
            _: *const EmptyArgs,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut $out,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status {
            let slots = Slots {
                storage,
                cx,
                out,
                err,
                fut,
            };
            // SAFETY: R5, R7, R9 and R12, by the contract of the table.
            unsafe {
                Self::run(
                    backend,
                    |_: &mut Texts| Ok(()),
                    |backend, ()| backend.$name(),
                    $write,
                    slots,
                )
            }
        }
    };
}

/// The slot of an optional operation: filled when the plugin declares it.
macro_rules! claimed {
    ($name:ident) => {
        if P::OPERATIONS.contains(Operations::$name) {
            Some(Self::$name)
        } else {
            None
        }
    };
}

impl<P: Exported> Glue<P> {
    /// The operations.
    pub const OPS: &'static BackendTable = &BackendTable {
        drop: Some(Self::drop_backend),
        start_upload: Some(Self::upload),
        start_download: Some(Self::download),
        start_delete: Some(Self::delete),
        start_exists: Some(Self::exists),
        start_signed_url: Some(Self::signed_url),
        start_head: claimed!(head),
        start_list: claimed!(list),
        start_copy: claimed!(copy),
        start_rename: claimed!(rename),
        start_delete_many: claimed!(delete_many),
        start_health: claimed!(health),
        start_usage: claimed!(usage),
        start_shutdown: claimed!(shutdown),
        start_custom: claimed!(custom),
        start_create_upload: claimed!(create_upload),
        start_put_part: claimed!(put_part),
        start_list_parts: claimed!(list_parts),
        start_list_uploads: claimed!(list_uploads),
        start_complete_upload: claimed!(complete_upload),
        start_abort_upload: claimed!(abort_upload),
        start_download_ranges: claimed!(download_ranges),
        start_list_versions: claimed!(list_versions),
        start_update: claimed!(update),
        ..grow::empty()
    };

    /// # Safety
    ///
    /// R12: `backend` came from `open` and is alive for `'a`.
    unsafe fn borrowed<'a>(backend: *const c_void) -> &'a P::Backend {
        // SAFETY: `open` made it by `Arc::into_raw`.
        unsafe { &*backend.cast::<P::Backend>() }
    }

    /// # Safety
    ///
    /// R12: `backend` came from `open` and is alive.
    #[cfg(feature = "tokio")]
    unsafe fn shared(backend: *const c_void) -> Arc<P::Backend> {
        // SAFETY: `open` made it by `Arc::into_raw`.
        unsafe { Arc::increment_strong_count(backend.cast::<P::Backend>()) };
        // SAFETY: as above, with a count of its own.
        unsafe { Arc::from_raw(backend.cast::<P::Backend>()) }
    }

    unsafe extern "C" fn drop_backend(backend: *const c_void) {
        let plugin = P::STATE;
        contained_of(Some(plugin), FaultKind::Drop, || {
            in_runtime(Some(plugin), || {
                // SAFETY: R12: once, after the last operation.
                drop(unsafe { Arc::from_raw(backend.cast::<P::Backend>()) });
            });
        });
    }

    /// The slot of extensions by name: filled when the plugin offers some.
    pub const GET_EXTENSION: Option<unsafe extern "C" fn(FfiSlice) -> *const c_void> =
        if P::EXTENSIONS.is_some() {
            Some(Self::get_extension)
        } else {
            None
        };

    unsafe extern "C" fn get_extension(name: FfiSlice) -> *const c_void {
        let mut found = std::ptr::null();
        contained_of(Some(P::STATE), FaultKind::Task, || {
            // SAFETY: R4: lent for the call.
            let name = unsafe { text::copied(name) };
            if let (Some(get), Ok(Some(name))) = (P::EXTENSIONS, name) {
                found = get(&name);
            }
        });
        found
    }

    /// Opens a backend.
    ///
    /// # Safety
    ///
    /// R1, R5, R7, R9, R13.
    pub unsafe extern "C" fn open(
        _: *const c_void,
        args: *const OpenArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut OpenOut,
        err: *mut FfiError,
        fut: *mut FfiFuture,
    ) -> Status {
        let slots = Slots {
            storage,
            cx,
            out,
            err,
            fut,
        };
        // The configuration is parsed here, before the first await: it is gone after `start` (R5).
        // SAFETY: R1, R5, R13.
        let ready = unsafe { Self::read_open(args) };
        let opening = async move {
            let (config, host, minor) = ready?;
            let backend = P::Backend::open(config, host).await?;
            let instance = backend.instance();
            let backend = Arc::into_raw(Arc::new(backend)).cast::<c_void>();
            Ok(answer::write_opened(
                backend,
                P::OPERATIONS,
                P::CAPABILITIES,
                instance,
                minor,
            ))
        };
        // A raw pointer inside a future is not `Send` by itself.
        struct Moved<F>(F);
        // SAFETY: what it holds across awaits is `Send`: the author's future, configuration, host.
        unsafe impl<F> Send for Moved<F> {}
        impl<F: Future> Future for Moved<F> {
            type Output = F::Output;
            fn poll(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<F::Output> {
                // SAFETY: a projection to the only field, which is not moved.
                unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(cx)
            }
        }
        // SAFETY: R7.
        unsafe { start(P::STATE, Moved(opening), slots) }
    }

    /// # Safety
    ///
    /// R1, R5, R13.
    unsafe fn read_open(
        args: *const OpenArgs,
    ) -> Result<(<P::Backend as StorageBackend>::Config, Host, u16)> {
        let refused = |fault: grow::TableFault| {
            Error::new(ErrorKind::Other)
                .with_message("the host passed a table that cannot be read")
                .because(fault)
        };
        // SAFETY: R1.
        let args = unsafe { grow::copy_in(args) }.map_err(refused)?;
        // SAFETY: R13.
        let services = unsafe { Services::new(args.services) }.map_err(refused)?;
        P::STATE.begin(services);
        let minor = u16::try_from(args.effective_minor).unwrap_or(u16::MAX);
        // SAFETY: R5, R17.
        let about = unsafe { extension::read_host_about(args.extension) }?;
        // SAFETY: R5.
        let name = unsafe { text::copied(args.backend_name) }?.unwrap_or_default();
        // SAFETY: R5.
        let config = unsafe { text::bytes(args.config) }?.unwrap_or(b"{}");
        match serde_json::from_slice(config) {
            Ok(config) => Ok((config, Host::new(name, services, about), minor)),
            // The text may quote a value, which may be a secret: only the place is reported.
            Err(problem) => Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message(config_message(&problem))
                .with_fact("line", problem.line())
                .with_fact("column", problem.column())),
        }
    }

    /// Runs one operation: reads its arguments, starts the author's future and polls it once.
    ///
    /// The lifetime `'static` stands for R5 and R12: the methods of the trait accept any lifetime, so an
    /// author's code cannot keep what it borrows.
    ///
    /// # Safety
    ///
    /// R5, R7, R9 and R12; `read` hands out texts that live as long as the arguments or its `Texts`.
    unsafe fn run<R, F, T, O, M>(
        backend: *const c_void,
        read: impl FnOnce(&mut Texts) -> Result<R>,
        call: impl FnOnce(&'static P::Backend, R) -> F + Send + 'static,
        write: M,
        slots: Slots<O>,
    ) -> Status
    where
        R: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
        O: grow::Grows,
        M: Fn(T) -> O + Send,
    {
        let plugin = P::STATE;
        // SAFETY: R12.
        let borrowed = unsafe { Self::borrowed(backend) };
        #[cfg(feature = "tokio")]
        if plugin.mode == super::guard::RuntimeMode::TokioSpawn {
            // A task may outlive its operation, so it owns the texts and the backend.
            let mut texts = Texts::copied();
            return match read(&mut texts) {
                // SAFETY: R7.
                Err(error) => unsafe { fail(error, slots) },
                Ok(request) => {
                    // SAFETY: R12.
                    let shared = unsafe { Self::shared(backend) };
                    let task = super::runtime::Spawned::new(plugin, async move {
                        // Dropped after the future that borrows from them.
                        let _owned = (texts, shared);
                        call(borrowed, request).await
                    });
                    // SAFETY: R7; the task owns all it needs.
                    unsafe { start(plugin, Then(task, write), slots) }
                }
            };
        }
        match read(&mut Texts::lent()) {
            // SAFETY: R7.
            Err(error) => unsafe { fail(error, slots) },
            Ok(request) => {
                // The author's code first runs inside the guard, also when it makes its future.
                let future = Lazy::New(|| call(borrowed, request));
                // SAFETY: R7; the future borrows what R5 and R12 keep alive.
                unsafe { start(plugin, Then(future, write), slots) }
            }
        }
    }

    operation! {
        /// Stores an object.
        upload(UploadArgs => request::read_upload) -> (answer::write_uploaded => UploadOut)
    }

    operation! {
        /// Reads an object.
        download(DownloadArgs => request::read_download) -> (answer::write_downloaded => DownloadOut)
    }

    operation! {
        /// Removes an object.
        delete(DeleteArgs => request::read_delete) -> (answer::write_deleted => DeleteOut)
    }

    operation! {
        /// Tells whether an object exists.
        exists(ExistsArgs => request::read_exists) -> (answer::write_exists => ExistsOut)
    }

    operation! {
        /// Signs a URL.
        signed_url(SignArgs => request::read_sign) -> (answer::write_signing => SignOut)
    }

    operation! {
        /// Reads the facts about an object.
        head(HeadArgs => request::read_head) -> (answer::write_object => ObjectOut)
    }

    operation! {
        /// Lists a page of keys.
        list(ListArgs => request::read_list) -> (answer::write_page => ListOut)
    }

    operation! {
        /// Copies an object.
        copy(CopyArgs => request::read_copy) -> (answer::write_copied => CopyOut)
    }

    operation! {
        /// Renames an object.
        rename(RenameArgs => request::read_rename) -> (answer::write_renamed => RenameOut)
    }

    operation! {
        /// Removes many objects.
        delete_many(DeleteManyArgs => request::read_delete_many) -> (answer::write_deleted_many => DeleteManyOut)
    }

    operation! {
        /// A vendor's own call.
        custom(CustomArgs => request::read_custom) -> (answer::write_custom => CustomOut)
    }

    operation! {
        /// Begins an upload in parts.
        create_upload(CreateUploadArgs => parts::read_create) -> (parts::write_created => CreateUploadOut)
    }

    operation! {
        /// Stores a part.
        put_part(PutPartArgs => parts::read_put) -> (parts::write_stored => PutPartOut)
    }

    operation! {
        /// Lists a page of parts.
        list_parts(ListPartsArgs => parts::read_list) -> (parts::write_parts => ListPartsOut)
    }

    operation! {
        /// Lists a page of uploads in parts.
        list_uploads(ListUploadsArgs => parts::read_list_uploads) -> (parts::write_uploads => ListUploadsOut)
    }

    operation! {
        /// Makes the object of its parts.
        complete_upload(CompleteUploadArgs => parts::read_complete) -> (answer::write_uploaded => UploadOut)
    }

    operation! {
        /// Ends an upload in parts without an object.
        abort_upload(AbortUploadArgs => parts::read_abort) -> (answer::write_empty => EmptyOut)
    }

    operation! {
        /// Reads many ranges of an object.
        download_ranges(RangesArgs => ranges::read_ranges) -> (ranges::write_downloaded => RangesOut)
    }

    operation! {
        /// Lists a page of versions.
        list_versions(ListVersionsArgs => versions::read_list) -> (versions::write_page => ListVersionsOut)
    }

    operation! {
        /// Replaces what is kept beside the bytes of an object.
        update(UpdateArgs => request::read_update) -> (answer::write_object => ObjectOut)
    }

    operation! {
        /// Tells how the store is.
        health() -> (answer::write_health => HealthOut)
    }

    operation! {
        /// Reads the space used and free.
        usage() -> (answer::write_usage => UsageOut)
    }

    operation! {
        /// Ends an instance.
        shutdown() -> (answer::write_empty => EmptyOut)
    }
}

/// Messages of serde name fields and types; those that quote a value are cut before it.
fn config_message(problem: &serde_json::Error) -> String {
    let text = problem.to_string();
    match text
        .split_once("invalid type: ")
        .or_else(|| text.split_once("invalid value: "))
    {
        Some((_, rest)) => match rest.split_once("expected ") {
            Some((_, expected)) => {
                format!("a field has the wrong type or value, expected {expected}")
            }
            None => "a field has the wrong type or value".to_owned(),
        },
        None => text,
    }
}
