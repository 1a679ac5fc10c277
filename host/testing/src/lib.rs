#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod fault;
mod plugin;

pub use fault::{Fault, InjectedError};

use fault::{Action, Faults};
use holdall::{
    Backend, Capabilities, Error, ErrorKind, Host, Operation, Registration, Result, config::Config,
};
use holdall_plugin_api::StorageBackend as _;
use holdall_plugin_memory::{Memory, MemoryConfig};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Semaphore;

/// The name of the backend in the hosts that [`TestBackend::host`] makes.
pub const BACKEND: &str = "test";

/// A backend in memory whose operations fail on demand.
///
/// Its objects and faults live as long as this value and the handles to the backend. All instances
/// that are opened from one `TestBackend` share its objects, so a backend that the host reopens
/// after a fault still has them.
#[derive(Clone, Debug)]
pub struct TestBackend(Arc<State>);

impl TestBackend {
    /// Returns an empty backend that claims everything that the plugin `memory` claims.
    pub fn new() -> Self {
        Self(State::new(None))
    }

    /// Returns an empty backend that claims no more than these capabilities.
    ///
    /// ```
    /// use holdall::{Capabilities, ErrorKind, Upload};
    /// # use holdall_testing::TestBackend;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> holdall::Result<()> {
    /// let test = TestBackend::with_capabilities(Capabilities::atomic_put);
    /// let upload = Upload::new("a", "text").create_only();
    /// let error = test.backend().await?.upload(upload).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unsupported);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self(State::new(Some(capabilities)))
    }

    /// Returns what registers the backend with a host of one's own.
    ///
    /// ```
    /// use holdall::{Host, KeyPolicy, config::Config};
    /// # use holdall_testing::TestBackend;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> holdall::Result<()> {
    /// let test = TestBackend::new();
    /// let host = Host::builder().config(Config::default()).build().expect("builds");
    /// host.register("avatars", test.registration().key_policy(KeyPolicy::Opaque))?;
    /// assert_eq!(host.backend("avatars").await?.name(), "avatars");
    /// # Ok(())
    /// # }
    /// ```
    pub fn registration(&self) -> Registration {
        Registration::new(&plugin::PLUGIN).config(serde_json::json!({ "id": self.0.id }))
    }

    /// Returns a new host that has this backend under the name [`BACKEND`].
    ///
    /// # Errors
    ///
    /// Why the host cannot be built.
    pub fn host(&self) -> Result<Host> {
        let host = Host::builder().config(Config::default()).build();
        let host = host.map_err(|why| Error::new(ErrorKind::ConfigInvalid).because(why))?;
        host.register(BACKEND, self.registration())?;
        Ok(host)
    }

    /// Returns a handle to this backend in a new [host](Self::host).
    ///
    /// # Errors
    ///
    /// Why the host cannot be built.
    pub async fn backend(&self) -> Result<Backend> {
        self.host()?.backend(BACKEND).await
    }

    /// Puts a fault in force. Of several faults that apply to a call, the latest counts.
    ///
    /// ```
    /// use holdall::{Delete, ErrorKind, Operation};
    /// # use holdall_testing::{Fault, TestBackend};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> holdall::Result<()> {
    /// let test = TestBackend::new();
    /// let backend = test.backend().await?;
    /// let denied = Fault::error(ErrorKind::PermissionDenied).on_key("kept");
    /// test.inject(Operation::Delete, denied);
    /// backend.delete(Delete::new("other")).await?;
    /// assert!(backend.delete(Delete::new("kept")).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn inject(&self, operation: Operation, fault: Fault) {
        self.0.faults().add(operation, fault);
    }

    /// Removes all faults. Operations that hang or are paused stay so.
    pub fn clear(&self) {
        self.0.faults().clear();
    }

    /// Returns how many calls of an operation have reached the backend.
    pub fn calls(&self, operation: Operation) -> u64 {
        let calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&operation).copied().unwrap_or_default()
    }

    /// Lets so many operations under [`Fault::pause`] go on, now or when they come.
    ///
    /// ```
    /// use holdall::{Operation, Upload};
    /// # use holdall_testing::{Fault, TestBackend};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> holdall::Result<()> {
    /// let test = TestBackend::new();
    /// let backend = test.backend().await?;
    /// test.inject(Operation::Upload, Fault::pause());
    /// let upload = tokio::spawn(async move { backend.upload(Upload::new("a", "text")).await });
    /// while test.calls(Operation::Upload) == 0 {
    ///     tokio::task::yield_now().await;
    /// }
    /// assert!(!upload.is_finished());
    /// test.resume(1);
    /// upload.await.expect("no panic")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resume(&self, operations: usize) {
        self.0.permits.add_permits(operations);
    }
}

impl Default for TestBackend {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`TestBackend`] and the instances of its plugin share.
#[derive(Debug)]
struct State {
    id: u64,
    capabilities: Option<Capabilities>,
    faults: Mutex<Faults>,
    calls: Mutex<HashMap<Operation, u64>>,
    permits: Semaphore,
    store: tokio::sync::Mutex<Option<Arc<Memory>>>,
}

/// The states by their id, which is all that a configuration can carry.
static STATES: LazyLock<Mutex<HashMap<u64, Weak<State>>>> = LazyLock::new(Mutex::default);

fn states() -> MutexGuard<'static, HashMap<u64, Weak<State>>> {
    STATES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn new(capabilities: Option<Capabilities>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let state = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            capabilities,
            faults: Mutex::default(),
            calls: Mutex::default(),
            permits: Semaphore::new(0),
            store: tokio::sync::Mutex::default(),
        });
        states().insert(state.id, Arc::downgrade(&state));
        state
    }

    fn of(id: u64) -> Option<Arc<Self>> {
        states().get(&id).and_then(Weak::upgrade)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, operation: Operation, key: Option<&str>) -> Option<Action> {
        self.faults().take(operation, key)
    }

    fn count(&self, operation: Operation) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(operation).or_default() += 1;
    }

    /// The objects; an empty store at first and after a shutdown.
    async fn store(&self, host: holdall_plugin_api::Host) -> Result<Arc<Memory>> {
        let mut store = self.store.lock().await;
        if let Some(store) = &*store {
            return Ok(store.clone());
        }
        let opened = Arc::new(Memory::open(MemoryConfig::default(), host).await?);
        *store = Some(opened.clone());
        Ok(opened)
    }

    async fn forget_store(&self) {
        *self.store.lock().await = None;
    }
}

impl Drop for State {
    fn drop(&mut self) {
        states().remove(&self.id);
    }
}
