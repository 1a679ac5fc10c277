//! From the trait to the tables. Everything here is generic, so that a plugin is one macro call.

use super::guard::{FaultKind, PluginState, contained_of};
use super::host::Services;
use super::op::{Slots, Then, fail, in_runtime, start};
use crate::abi::request::{self, Texts};
use crate::abi::tables::*;
use crate::abi::{answer, grow, text};
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

impl<P: Exported> Glue<P> {
    /// The operations.
    pub const OPS: &'static BackendTable = &BackendTable {
        drop: Some(Self::drop_backend),
        start_upload: Some(Self::upload),
        start_download: Some(Self::download),
        start_delete: Some(Self::delete),
        start_exists: Some(Self::exists),
        start_signed_url: Some(Self::signed_url),
        start_head: if P::OPERATIONS.contains(Operations::head) {
            Some(Self::head)
        } else {
            None
        },
        start_list: if P::OPERATIONS.contains(Operations::list) {
            Some(Self::list)
        } else {
            None
        },
        start_copy: if P::OPERATIONS.contains(Operations::copy) {
            Some(Self::copy)
        } else {
            None
        },
        start_rename: if P::OPERATIONS.contains(Operations::rename) {
            Some(Self::rename)
        } else {
            None
        },
        start_delete_many: if P::OPERATIONS.contains(Operations::delete_many) {
            Some(Self::delete_many)
        } else {
            None
        },
        start_health: if P::OPERATIONS.contains(Operations::health) {
            Some(Self::health)
        } else {
            None
        },
        start_usage: if P::OPERATIONS.contains(Operations::usage) {
            Some(Self::usage)
        } else {
            None
        },
        start_shutdown: if P::OPERATIONS.contains(Operations::shutdown) {
            Some(Self::shutdown)
        } else {
            None
        },
        start_custom: if P::OPERATIONS.contains(Operations::custom) {
            Some(Self::custom)
        } else {
            None
        },
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
            let (config, host) = ready?;
            let backend = P::Backend::open(config, host).await?;
            let instance = backend.instance();
            let backend = Arc::into_raw(Arc::new(backend)).cast::<c_void>();
            Ok(answer::write_opened(
                backend,
                P::OPERATIONS,
                P::CAPABILITIES,
                instance,
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
    ) -> Result<(<P::Backend as StorageBackend>::Config, Host)> {
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
        // SAFETY: R5.
        let name = unsafe { text::copied(args.backend_name) }?.unwrap_or_default();
        // SAFETY: R5.
        let config = unsafe { text::bytes(args.config) }?.unwrap_or(b"{}");
        match serde_json::from_slice(config) {
            Ok(config) => Ok((config, Host::new(name, services))),
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

    /// Stores an object.
    unsafe extern "C" fn upload(
        backend: *const c_void,
        args: *const UploadArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut UploadOut,
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
            unsafe { request::read_upload(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.upload(request),
                answer::write_uploaded,
                slots,
            )
        }
    }

    /// Reads an object.
    unsafe extern "C" fn download(
        backend: *const c_void,
        args: *const DownloadArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut DownloadOut,
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
            unsafe { request::read_download(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.download(request),
                answer::write_downloaded,
                slots,
            )
        }
    }

    /// Removes an object.
    unsafe extern "C" fn delete(
        backend: *const c_void,
        args: *const DeleteArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut DeleteOut,
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
            unsafe { request::read_delete(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.delete(request),
                answer::write_deleted,
                slots,
            )
        }
    }

    /// Tells whether an object exists.
    unsafe extern "C" fn exists(
        backend: *const c_void,
        args: *const ExistsArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut ExistsOut,
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
            unsafe { request::read_exists(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.exists(request),
                answer::write_exists,
                slots,
            )
        }
    }

    /// Signs a URL.
    unsafe extern "C" fn signed_url(
        backend: *const c_void,
        args: *const SignArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut SignOut,
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
            unsafe { request::read_sign(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.signed_url(request),
                answer::write_signing,
                slots,
            )
        }
    }

    /// Reads the facts about an object.
    unsafe extern "C" fn head(
        backend: *const c_void,
        args: *const HeadArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut ObjectOut,
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
            unsafe { request::read_head(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.head(request),
                answer::write_object,
                slots,
            )
        }
    }

    /// Reads a page of keys.
    unsafe extern "C" fn list(
        backend: *const c_void,
        args: *const ListArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut ListOut,
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
            unsafe { request::read_list(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.list(request),
                answer::write_page,
                slots,
            )
        }
    }

    /// Copies an object.
    unsafe extern "C" fn copy(
        backend: *const c_void,
        args: *const CopyArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut CopyOut,
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
            unsafe { request::read_copy(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.copy(request),
                answer::write_copied,
                slots,
            )
        }
    }

    /// Renames an object.
    unsafe extern "C" fn rename(
        backend: *const c_void,
        args: *const RenameArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut RenameOut,
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
            unsafe { request::read_rename(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.rename(request),
                answer::write_renamed,
                slots,
            )
        }
    }

    /// Removes many objects.
    unsafe extern "C" fn delete_many(
        backend: *const c_void,
        args: *const DeleteManyArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut DeleteManyOut,
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
            unsafe { request::read_delete_many(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.delete_many(request),
                answer::write_deleted_many,
                slots,
            )
        }
    }

    /// Calls an operation of the vendor's own.
    unsafe extern "C" fn custom(
        backend: *const c_void,
        args: *const CustomArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut CustomOut,
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
            unsafe { request::read_custom(args, texts) }
        };
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, request| backend.custom(request),
                answer::write_custom,
                slots,
            )
        }
    }

    /// Reads the state of the store.
    unsafe extern "C" fn health(
        backend: *const c_void,
        _: *const EmptyArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut HealthOut,
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
        let read = |_: &mut Texts| Ok(());
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, ()| backend.health(),
                answer::write_health,
                slots,
            )
        }
    }

    /// Reads the space used and free.
    unsafe extern "C" fn usage(
        backend: *const c_void,
        _: *const EmptyArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut UsageOut,
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
        let read = |_: &mut Texts| Ok(());
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, ()| backend.usage(),
                answer::write_usage,
                slots,
            )
        }
    }

    /// Ends the instance.
    unsafe extern "C" fn shutdown(
        backend: *const c_void,
        _: *const EmptyArgs,
        storage: *mut c_void,
        cx: *const FfiContext,
        out: *mut EmptyOut,
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
        let read = |_: &mut Texts| Ok(());
        // SAFETY: R5, R7, R9 and R12, by the contract of the table.
        unsafe {
            Self::run(
                backend,
                read,
                |backend, ()| backend.shutdown(),
                answer::write_empty,
                slots,
            )
        }
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
