//! Many operations on one connection.

use crate::account::Account;
use futures_util::future::join_all;
use holdall::{CopyObject, Error, ErrorKind, Key, List, Upload};
use holdall_backends::{HostedPlugin, wait_for_staged};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// More than a connection has files and folders open at once.
const MANY: usize = 150;

/// They wait for each other, and none without end: a copy has two files open, a listing has a folder.
pub(crate) fn on_one_connection(account: &Account) {
    let mut config = account.below("crowd");
    config["max_connections"] = 1.into();
    let hosted = HostedPlugin::new("sftp");
    let used = hosted.run(async {
        let backend = hosted.open(config).await?;
        backend
            .upload(Upload::new("source", vec![7; 1 << 20]))
            .await?;
        let names: Vec<_> = (0..MANY).map(|number| format!("to/{number}")).collect();
        let copies = names
            .iter()
            .map(|to| backend.copy(CopyObject::new("source", to)));
        let copied = tokio::time::timeout(Duration::from_secs(300), join_all(copies)).await;
        for copied in copied.expect("copies wait for each other") {
            copied?;
        }
        let lists = (0..2 * MANY).map(|_| backend.list(List::new("to/")));
        for page in join_all(lists).await {
            assert_eq!(page?.entries.len(), MANY);
        }
        Ok::<_, Error>(())
    });
    used.unwrap();
    wait_for_staged(&account.folder("crowd"), 0);
}

/// Those that wait for another's attempt to connect do not make attempts of their own, one after the
/// other.
pub(crate) fn before_a_dead_server(account: &Account) {
    let relay = Relay::to(account.server["port"].as_u64().unwrap() as u16);
    let mut config = account.below("dead");
    config["port"] = relay.port.into();
    config["max_connections"] = 1.into();
    config["connect_timeout_seconds"] = 2.into();
    let hosted = HostedPlugin::new("sftp");
    hosted.run(async {
        let backend = hosted.open(config).await.unwrap();
        assert!(!backend.exists(Key::new("object")).await.unwrap());
        relay.dies();
        // What was under way breaks; after that none is connected.
        let broken = backend.exists(Key::new("object")).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::Unavailable, "{broken:?}");
        let looks = (0..50).map(|_| backend.exists(Key::new("object")));
        // One after the other they would take 100 s.
        let looked = tokio::time::timeout(Duration::from_secs(40), join_all(looks)).await;
        for looked in looked.expect("in time") {
            let error = looked.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        }
    });
}

/// Hands connections on, until it is a black hole.
struct Relay {
    port: u16,
    is_dead: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Self {
            port: listener.local_addr().unwrap().port(),
            is_dead: Arc::default(),
            open: Arc::default(),
        };
        let (is_dead, open) = (Arc::clone(&relay.is_dead), Arc::clone(&relay.open));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                open.lock().unwrap().push(near.try_clone().unwrap());
                if is_dead.load(Ordering::SeqCst) {
                    continue;
                }
                let far = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, server)));
                let far = far.unwrap();
                let ways = [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far, near),
                ];
                for (mut from, mut to) in ways {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        relay
    }

    fn dies(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
