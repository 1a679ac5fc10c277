//! The primitives of what serves at present: those of the standard library, or those of shuttle, which tries other
//! orders of the threads at each use.

#[cfg(not(shuttle))]
pub(super) use arc_swap::ArcSwapOption as Current;
#[cfg(shuttle)]
pub(super) use model::Current;
#[cfg(shuttle)]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(shuttle))]
pub(super) use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
mod model {
    use std::sync::Arc;

    /// What of `ArcSwapOption` is used: each step is whole, and another thread may run before it.
    #[derive(Debug)]
    pub(crate) struct Current<T>(shuttle::sync::Mutex<Option<Arc<T>>>);

    impl<T> Current<T> {
        pub(crate) fn empty() -> Self {
            Self(shuttle::sync::Mutex::new(None))
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().unwrap().clone()
        }

        pub(crate) fn swap(&self, new: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *self.0.lock().unwrap(), new)
        }

        pub(crate) fn store(&self, new: Option<Arc<T>>) {
            drop(self.swap(new));
        }
    }
}
