//! How the server fares: for operators and their tools.

mod health;
mod log;
mod metrics;
mod policies;
mod quotas;
mod status;

pub(crate) use health::{Alive, HealthCache, Readiness, alive, ready};
pub(crate) use log::{Entry, log_malformed};
pub(crate) use metrics::{LastReload, Requests, metrics};
pub(crate) use status::status;
