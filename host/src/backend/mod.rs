//! One configured backend: its handle, the instance behind it, and what surrounds each operation.

pub(crate) mod backoff;
pub(crate) mod context;
pub(crate) mod counters;
pub(crate) mod generation;
mod handle;
mod latency;
pub(crate) mod options;
pub(crate) mod scope;
pub(crate) mod slot;

pub use counters::{CounterReport, OperationReport};
pub use handle::{Backend, Facts};
pub use latency::Latency;
pub use options::{CallOptions, Cancel};
