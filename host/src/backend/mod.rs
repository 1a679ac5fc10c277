//! One configured backend: its handle, the instance behind it, and what surrounds each operation.

pub(crate) mod backoff;
pub(crate) mod context;
pub(crate) mod counters;
pub(crate) mod current;
pub(crate) mod etags;
pub(crate) mod generation;
pub(crate) mod handle;
pub(crate) mod options;
pub(crate) mod scope;

pub use counters::{CounterReport, Latency, OperationReport};
pub use handle::{Backend, BackendInfo};
pub use options::{CallOptions, DEFAULT_OWNER};
