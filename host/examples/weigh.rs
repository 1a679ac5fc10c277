//! What opened backends weigh: opens those named, one after the other, and says after each what this
//! process has by then. `scripts/weigh` makes a table of it.
//!
//! ```sh
//! cargo run --release -p holdall --example weigh -- holdall.toml avatars archive
//! ```

use holdall::Host;
use std::time::Duration;

/// How long nothing is asked before it is weighed.
const REST: Duration = Duration::from_secs(1);

/// Threads, and resident memory in KiB: the process's own, of files on disk, and of sealed files in
/// memory, from which plugins are mapped.
fn weight() -> std::io::Result<[u64; 4]> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Ok(["Threads:", "RssAnon:", "RssFile:", "RssShmem:"].map(field))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The threads that read and judge a file linger for ten seconds otherwise; they are no plugin's.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.thread_keep_alive(REST / 10).enable_all().build()?;
    runtime.block_on(weigh())
}

async fn weigh() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let config = arguments.next().ok_or("usage: weigh CONFIG BACKEND...")?;
    let names: Vec<_> = arguments
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let host = Host::builder().config_file(config).build()?;
    println!("backend threads anon_kib file_kib sealed_kib");
    let say = |name: &str| -> std::io::Result<()> {
        let [threads, anon, file, sealed] = weight()?;
        println!("{name} {threads} {anon} {file} {sealed}");
        Ok(())
    };
    say("-")?;
    // Kept: an instance without a holder could end.
    let mut opened = Vec::new();
    for name in &names {
        opened.push(host.backend(name).await?);
        tokio::time::sleep(REST).await;
        say(name)?;
    }
    Ok(())
}
