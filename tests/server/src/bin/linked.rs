//! `holdall serve` with the `local` plugin linked in instead of loaded: what `scripts/bench-server`
//! holds the loaded one against. `linked ROOT` serves the store in that folder on a free port.

use holdall::{Host, Registration};
use holdall_server::{Rule, Server, Settings};
use tokio::net::TcpListener;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).ok_or("usage: linked ROOT")?;
    let builder = Host::builder().config(holdall::config::Config::default());
    let host = builder.built_in(&holdall_plugin_local::PLUGIN).build()?;
    let config = serde_json::json!({ "root": root });
    host.register("local", Registration::new("local").config(config))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut settings = Settings::default();
    settings.anonymous = Rule::everything();
    let server = Server::new(host, settings);
    server.run(listener, std::future::pending()).await;
    Ok(())
}
