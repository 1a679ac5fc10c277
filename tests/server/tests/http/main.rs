//! The server over real connections, request by request.
#![cfg(test)]

mod access;
mod conditional;
mod cors;
mod errors;
mod hostile;
mod limits;
mod listings;
mod objects;
mod ranges;
mod signed;
mod stopping;
mod tls;
mod uploads;
mod watch;
