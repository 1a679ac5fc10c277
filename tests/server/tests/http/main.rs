//! The server over real connections, request by request.
#![cfg(test)]

mod access;
mod access_log;
mod conditional;
mod connections;
mod cors;
mod errors;
mod forms;
mod hostile;
mod http2;
mod http_store;
mod index;
mod limits;
mod listings;
mod messages;
mod objects;
mod ranges;
mod signed;
mod stopping;
mod tls;
mod uploads;
mod watch;
mod web;
mod webdav;
