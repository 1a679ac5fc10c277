//! Options of sockets.

use std::io;

use tokio::net::TcpStream;

/// Limits nothing: Windows sizes what it holds of an answer by itself, and has no option for it.
pub(super) fn limit_unsent(_stream: &TcpStream, _bytes: u32) -> io::Result<()> {
    Ok(())
}
