//! A server on a port of its own in front of `local` and `memory`, and a client that sends exactly the given
//! bytes.
#![forbid(unsafe_code)]

pub mod faults;

use std::net::SocketAddr;

use bytes::Bytes;
use holdall::config::{Config, GatewayConfig, Sources};
use holdall::{Host, Registration};
use holdall_server::{Control, Rule, Server, Settings, Stopped};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server with the backends `local` (in a folder of its own), `memory` and [`faults`].
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its host.
    pub host: Host,
    /// Changes its settings.
    pub control: Control,
    /// The folder of `local`.
    pub folder: TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Stopped>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The status as a number.
    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap_or("not ASCII"))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("not UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(why) => panic!("no JSON ({why}): {self:?}"),
        }
    }
}

/// Settings that let everybody do everything.
pub fn open() -> Settings {
    let mut settings = Settings::default();
    settings.anonymous = Rule::everything();
    settings
}

impl Served {
    /// Open to everybody; the rest is what there is without a configuration.
    pub async fn start() -> Self {
        Self::with(open()).await
    }

    /// With these settings; the address does not count.
    pub async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("a port");
        let (mut config, problems) = Config::read(&Sources::default());
        assert!(problems.is_empty(), "{problems}");
        let gateway = GatewayConfig::new(format!("http://{address}"));
        config.gateway = Some(gateway.key("1", "a secret of 16 or more bytes"));
        let host = Host::builder()
            .config(config)
            .built_in(&holdall_plugin_local::PLUGIN)
            .built_in(&holdall_plugin_memory::PLUGIN)
            .built_in(&faults::PLUGIN)
            .build()
            .expect("a host");
        let root = json!({ "root": folder.path().join("store"), "durability": "none" });
        for (name, config) in [
            ("local", root),
            ("memory", json!({})),
            ("faults", json!({})),
        ] {
            let registered = host.register(name, Registration::new(name).config(config));
            registered.expect("a backend");
        }
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(host.clone(), settings);
        let control = server.control();
        let running = tokio::spawn(server.run(listener, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            host,
            control,
            folder,
            client: Client::builder(TokioExecutor::new()).build_http(),
            stop: Some(stop),
            running,
        }
    }

    /// Sends a request. `target` is what follows the host, as it is.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{target}", self.address));
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        // hyper leaves it out, which would be no length at all.
        let body = body.into();
        if body.is_empty() && matches!(request.method_ref(), Some(&Method::PUT | &Method::POST)) {
            request = request.header("content-length", "0");
        }
        let request = request.body(Full::new(body)).expect("a request");
        let response = self.client.request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.expect("a whole body").to_bytes(),
        }
    }

    /// `GET`.
    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    /// `PUT`, which must work.
    pub async fn put(&self, target: &str, body: impl Into<Bytes>) -> Answer {
        let answer = self.send("PUT", target, &[], body).await;
        assert_eq!(answer.code(), 200, "{answer:?}");
        answer
    }

    /// Sends these bytes over a connection of their own and reads until the server closes it.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address)
            .await
            .expect("a connection");
        // The server may have answered and closed before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Tells the server to stop.
    pub fn begin_to_stop(&mut self) {
        self.stop.take();
    }

    /// Tells the server to stop, and waits until it has.
    pub async fn stop(self) -> Stopped {
        self.stop_and_keep_folder().await.0
    }

    /// As [`Served::stop`]; what `local` holds stays as long as the answer.
    pub async fn stop_and_keep_folder(mut self) -> (Stopped, TempDir) {
        self.stop.take();
        let stopped = self.running.await.expect("the server ends by itself");
        (stopped, self.folder)
    }
}
