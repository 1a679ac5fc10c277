//! From the trait to the tables. Everything here is generic, so that a plugin is one macro call.

use super::guard::{FaultKind, PluginState, contained_of};
use super::op::{Slots, Then, fail, in_runtime, start};
use super::services::Services;
use crate::abi::request::{self, Texts};
use crate::abi::tables::*;
use crate::abi::{answer, grow, text};
use crate::{Capabilities, Error, ErrorKind, Host, Operations, StorageBackend};
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
    fn state() -> &'static PluginState;
}

/// The tables of a plugin.
#[derive(Debug)]
pub struct Glue<P>(PhantomData<P>);

/// A boxed operation that owns all it needs, for the plugin's own runtime.
#[cfg(feature = "tokio")]
macro_rules! spawned {
    ($this:ident, $method:ident, $read:path, $args:ident, $slots:ident, $write:path) => {{
        let plugin = P::state();
        let mut texts = Texts::copied();
        // SAFETY: R5; the texts are copied into an arena that the task owns and drops last.
        match unsafe { $read($args, &mut texts) } {
            // SAFETY: R7.
            Err(error) => unsafe { fail(error, $slots) },
            Ok(request) => {
                // SAFETY: R12.
                let backend = unsafe { Self::shared($this) };
                let task = super::runtime::Spawned::new(plugin, async move {
                    let _texts = texts;
                    backend.$method(request).await
                });
                // SAFETY: R7; the task owns all it needs.
                unsafe { start(plugin, Then(task, $write), $slots) }
            }
        }
    }};
}

macro_rules! operation {
    ($(#[$meta:meta])* $name:ident: $method:ident, $args_ty:ty => $out_ty:ty, $read:path, $write:path) => {
        $(#[$meta])*
        unsafe extern "C" fn $name(
            backend: *const c_void,
            args: *const $args_ty,
            storage: *mut c_void,
            cx: *const FfiContext,
            out: *mut $out_ty,
            err: *mut FfiError,
            fut: *mut FfiFuture,
        ) -> Status {
            let slots = Slots { storage, cx, out, err, fut };
            #[cfg(feature = "tokio")]
            if P::state().mode == super::guard::RuntimeMode::TokioSpawn {
                return spawned!(backend, $method, $read, args, slots, $write);
            }
            // SAFETY: R5.
            match unsafe { $read(args, &mut Texts::lent()) } {
                // SAFETY: R7.
                Err(error) => unsafe { fail(error, slots) },
                Ok(request) => {
                    // SAFETY: R12.
                    let backend = unsafe { Self::borrowed(backend) };
                    // The author's code first runs inside the guard, also when making its future.
                    let method = Lazy::New(|| backend.$method(request));
                    // SAFETY: R7; the future borrows what R5 and R12 keep alive.
                    unsafe { start(P::state(), Then(method, $write), slots) }
                }
            }
        }
    };
}

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
        let plugin = P::state();
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
        unsafe { start(P::state(), Moved(opening), slots) }
    }

    /// # Safety
    ///
    /// R1, R5, R13.
    unsafe fn read_open(
        args: *const OpenArgs,
    ) -> crate::Result<(<P::Backend as StorageBackend>::Config, Host)> {
        let refused = |fault: grow::TableFault| {
            Error::new(ErrorKind::Other)
                .with_message("the host passed a table that cannot be read")
                .because(fault)
        };
        // SAFETY: R1.
        let args = unsafe { grow::copy_in(args) }.map_err(refused)?;
        // SAFETY: R13.
        let services = unsafe { Services::new(args.services) }.map_err(refused)?;
        P::state().begin(services);
        // SAFETY: R5.
        let name = unsafe { text::copied(args.backend_name) }?.unwrap_or_default();
        // SAFETY: R5.
        let config = unsafe { text::bytes(args.config) }?.unwrap_or(b"{}");
        match serde_json::from_slice(config) {
            Ok(config) => Ok((config, Host::new(name, services))),
            // The text may quote a value, which may be a secret: only the place is told.
            Err(problem) => Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message(config_message(&problem))
                .with_fact("line", problem.line())
                .with_fact("column", problem.column())),
        }
    }

    operation!(upload: upload, UploadArgs => UploadOut, request::read_upload, answer::write_uploaded);
    operation!(download: download, DownloadArgs => DownloadOut, request::read_download, answer::write_downloaded);
    operation!(delete: delete, DeleteArgs => DeleteOut, request::read_delete, answer::write_deleted);
    operation!(exists: exists, ExistsArgs => ExistsOut, request::read_exists, answer::write_exists);
    operation!(signed_url: signed_url, SignArgs => SignOut, request::read_sign, answer::write_signing);
    operation!(head: head, HeadArgs => ObjectOut, request::read_head, answer::write_object);
    operation!(list: list, ListArgs => ListOut, request::read_list, answer::write_page);
    operation!(copy: copy, CopyArgs => CopyOut, request::read_copy, answer::write_copied);
    operation!(rename: rename, RenameArgs => RenameOut, request::read_rename, answer::write_renamed);
    operation!(delete_many: delete_many, DeleteManyArgs => DeleteManyOut, request::read_delete_many, answer::write_deleted_many);
    operation!(custom: custom, CustomArgs => CustomOut, request::read_custom, answer::write_custom);
    operation!(health: health_of, EmptyArgs => HealthOut, read_nothing, answer::write_health);
    operation!(usage: usage_of, EmptyArgs => UsageOut, read_nothing, answer::write_usage);
    operation!(shutdown: shutdown_of, EmptyArgs => EmptyOut, read_nothing, answer::write_empty);
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

/// Operations without arguments, in the shape of those with one.
trait WithoutArguments: StorageBackend {
    fn health_of(&self, (): ()) -> impl Future<Output = crate::Result<crate::Health>> + Send {
        self.health()
    }
    fn usage_of(&self, (): ()) -> impl Future<Output = crate::Result<crate::Usage>> + Send {
        self.usage()
    }
    fn shutdown_of(&self, (): ()) -> impl Future<Output = crate::Result<()>> + Send {
        self.shutdown()
    }
}

impl<B: StorageBackend> WithoutArguments for B {}

unsafe fn read_nothing(_: *const EmptyArgs, _: &mut Texts) -> crate::Result<()> {
    Ok(())
}
