//! Bytes on their way between a connection and a backend, pulled in both directions.

mod incoming;
mod lingering;
mod outgoing;
mod transfers;

pub(crate) use incoming::{incoming, of_client, read_small};
pub(crate) use lingering::lingering;
pub(crate) use outgoing::Outgoing;
pub(crate) use transfers::{Reservation, Transfers};
