//! Bytes on their way between a connection and a backend, pulled in both directions.

mod incoming;
mod outgoing;
mod transfers;

pub(crate) use incoming::{UploadStream, bounded, incoming, read_small, too_large};
pub(crate) use outgoing::Outgoing;
pub(crate) use transfers::{Reservation, Transfers};
