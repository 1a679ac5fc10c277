//! Options of sockets.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;

/// Limits what the kernel holds of an answer that is not on its way yet, in bytes.
pub(super) fn limit_unsent(stream: &TcpStream, bytes: u32) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(bytes)
}
