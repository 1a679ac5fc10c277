//! The server in front of a stage's host, for URLs that are used over the wire.

use holdall::Host;
use holdall_server::{Server, Settings};
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A server with a thread of its own, which ends when this is dropped. Without a token it does
/// nothing for anybody who has no signed URL.
pub(super) struct Front {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A free port and its URL: the gateway signs for it before there is a server.
pub(super) fn port() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Front {
    pub(super) fn new(host: Host, listener: TcpListener) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let stopped = async { drop(stopped.await) };
                let server = Server::new(host, Settings::default());
                server.run(listener, stopped).await;
            });
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic of it has failed the requests that it did not answer.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
