//! The server over real connections, request by request.
#![cfg(test)]

mod conditional;
mod errors;
mod hostile;
mod listings;
mod objects;
mod ranges;
mod signed;
mod stopping;
mod uploads;
