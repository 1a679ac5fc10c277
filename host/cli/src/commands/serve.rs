//! `serve`: the backends over HTTP.

use std::io;
use std::net::SocketAddr;

use clap::Args;
use holdall::config::{Config, GatewayConfig, Problems};
use holdall_server::{Server, Settings};
use serde_json::json;
use tokio::net::TcpListener;

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::signals;

/// Serves the backends over HTTP, until SIGTERM or Ctrl-C.
///
/// Without a configuration only this machine can reach it. The section [server] says where it listens
/// and how it behaves, [gateway] which keys sign its URLs; without keys it makes one for this run, and
/// the URLs end with it.
///
/// On SIGTERM or Ctrl-C requests that have begun are finished; a second signal ends the process.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Listens here instead: address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let (mut config, problems) = app.config();
        let settings = Settings::of(&config);
        let wrong = settings.as_ref().err().cloned().unwrap_or_default();
        let problems: Problems = problems.into_iter().chain(wrong).collect();
        problems.into_result().map_err(holdall::Error::from)?;
        let mut settings = settings.unwrap_or_default();
        settings.listen = self.listen.unwrap_or(settings.listen);

        let listening = listen(settings.listen).await;
        let (listener, address) = listening.map_err(|cause| refused(settings.listen, &cause))?;
        let own_key = sign_for_this_run(&mut config, address);
        let host = app.host_of(config)?;
        // Ready before it is told: who reads the line may send its signal at once.
        let stop = signals::first(None).map_err(Failure::file("listen to", "signals".as_ref()))?;
        let url = format!("http://{address}");
        let record = json!({ "listening": url });
        app.output
            .answer(&record, || welcome(&url, host.default_name(), own_key))?;
        let server = Server::new(host.clone(), settings);
        let stopped = server
            .run(listener, async {
                // An error would mean that nobody listens to signals any more: serve on.
                if stop.await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .await;
        if stopped.cut_off > 0 {
            let text = format!(
                "{} connections were cut off at the deadline",
                stopped.cut_off
            );
            app.output.note(&text);
        }
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn refused(address: SocketAddr, cause: &io::Error) -> Failure {
    let help = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: choose another port by --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need rights: choose another by --listen"
        }
        _ => "choose an address of this machine by --listen, such as 127.0.0.1:8080",
    };
    let message = format!("cannot listen on {address}: {cause}");
    Failure::refused(exit::SETUP, "listen", message, help)
}

/// Backends that cannot sign need a key of the gateway. One of this run will do until somebody wants
/// URLs that outlive it. Whether there is one now that nobody configured.
fn sign_for_this_run(config: &mut Config, address: SocketAddr) -> bool {
    if config.gateway.is_some() {
        return false;
    }
    let mut secret = [0; 32];
    if rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())
        != Ok(secret.len())
    {
        return false;
    }
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let gateway = GatewayConfig::new(format!("http://{address}")).key("this-run", secret);
    config.gateway = Some(gateway);
    true
}

fn welcome(url: &str, backend: Option<String>, own_key: bool) -> String {
    let backend = backend.unwrap_or_else(|| "BACKEND".to_owned());
    let mut lines = vec![
        format!("listening on {url}"),
        String::new(),
        format!("  curl -T photo.jpg {url}/v1/{backend}/photo.jpg"),
        format!("  curl '{url}/v1/{backend}?list'"),
        format!(
            "  curl -X POST '{url}/v1/{backend}/photo.jpg?sign' -d '{{\"expires_in\": \"60s\"}}'"
        ),
        String::new(),
    ];
    if own_key {
        lines.push("signed URLs end with this process; keys of [gateway] outlive it".to_owned());
    }
    lines.join("\n")
}
