//! The service manager: its socket, and the state that is reported to it.
//!
//! Protocols: <https://www.freedesktop.org/software/systemd/man/sd_listen_fds.html> and
//! <https://www.freedesktop.org/software/systemd/man/sd_notify.html>.

#[cfg_attr(unix, path = "service/unix.rs")]
#[cfg_attr(windows, path = "service/windows.rs")]
mod system;

pub(crate) use system::{ready, reloaded, reloading, stopping};

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;

use crate::exit;
use crate::failure::{Failure, Result};

/// Sockets that the service manager passed to this process (`LISTEN_FDS`).
#[derive(Debug, Default)]
pub(crate) struct Passed {
    count: usize,
    first: Option<io::Result<TcpListener>>,
}

impl Passed {
    /// Takes them over. Called before the process has a second thread, because it changes the
    /// environment: a child must not take the sockets for its own.
    pub(crate) fn take() -> Self {
        let mut passed = ListenFd::from_env();
        Self {
            count: passed.len(),
            first: passed.take_tcp_listener(0).transpose(),
        }
    }

    /// The socket to serve, or none.
    ///
    /// # Errors
    ///
    /// More than one socket, one that is no listening TCP socket, or an address beside it.
    pub(crate) fn listener(self, has_address: bool) -> Result<Option<TcpListener>> {
        let refuse = |found: String, help: &str| {
            let message = format!("cannot serve the socket of the service manager: {found}");
            Err(Failure::refused(exit::SETUP, "listen", message, help))
        };
        let Some(first) = self.first else {
            return Ok(None);
        };
        if self.count > 1 {
            let found = format!("LISTEN_FDS is {}", self.count);
            return refuse(found, "write one ListenStream= into the socket unit");
        }
        if has_address {
            let help = "leave out --listen: the socket unit has the address";
            return refuse("--listen names another address".to_owned(), help);
        }
        let help = "write ListenStream= with a port into the socket unit, and Accept=no";
        let is_open = |listener: TcpListener| {
            listener.set_nonblocking(true)?;
            listener.local_addr()?;
            Ok(listener)
        };
        match first.and_then(is_open) {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => refuse(error.to_string(), help),
        }
    }
}
