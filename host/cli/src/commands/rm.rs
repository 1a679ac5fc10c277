//! `rm`: removes objects.

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream;
use holdall::{Backend, Delete};
use serde_json::json;

use super::{concurrent, listing};
use crate::address::Address;
use crate::app::App;
use crate::args::Jobs;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::values::printable;

/// Removes objects.
///
/// A missing one is a failure (3), and the others are removed all the same.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The objects: BACKEND:KEY.
    #[arg(value_name = "ADDR", required = true)]
    addresses: Vec<Address>,

    /// A missing object is fine; with -r, emptying a whole backend too.
    #[arg(short, long)]
    force: bool,

    /// Everything below: ADDR is taken as a folder, `logs` leaves `logs-old/x` alone.
    #[arg(short, long, conflicts_with = "if_match")]
    recursive: bool,

    /// Fails (4) unless the object has this etag.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,

    #[command(flatten)]
    jobs: Jobs,
}

impl Rm {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        if self.if_match.is_some() && self.addresses.len() > 1 {
            return Err(Failure::usage("--if-match is for a single object"));
        }
        // Before anything goes: a slip in the last address must not be found after the first.
        for address in &self.addresses {
            if !self.recursive {
                address.object()?;
            } else if address.key.is_empty() && !self.force {
                return Err(Failure::usage(format!(
                    "rm -r {address} would empty the whole backend; --force does it"
                )));
            }
        }
        let progress = app.progress_of_many();
        if !self.recursive {
            let items = stream::iter(self.addresses.iter().map(Ok));
            let removed =
                concurrent::for_each(app, &progress, self.jobs.count(), items, async |address| {
                    let backend = app.backend(address).await?;
                    self.remove(app, &backend, &address.key, !self.force).await
                });
            return removed.await.map(drop);
        }
        let mut codes = Vec::new();
        for address in &self.addresses {
            if let Err(failure) = self.folder(app, address, &progress).await {
                progress.aside(|| app.output.failure(&failure));
                codes.push(failure.exit());
            }
        }
        match exit::of_many(codes) {
            exit::DONE => Ok(()),
            code => Err(Failure::Told(code)),
        }
    }

    async fn folder(
        &self,
        app: &App,
        address: &Address,
        progress: &crate::progress::Progress,
    ) -> Result<()> {
        let backend = app.backend(address).await?;
        let prefix = address.folder();
        let entries = listing::entries(&backend, &prefix).map(|entry| entry.map(|entry| entry.key));
        // An object that another process removes meanwhile is no failure.
        let remove = async |key: String| self.remove(app, &backend, &key, false).await;
        let done = concurrent::for_each(app, progress, self.jobs.count(), entries, remove).await?;
        if done == 0 && !self.force {
            return Err(nothing_below(address, &prefix));
        }
        Ok(())
    }

    async fn remove(
        &self,
        app: &App,
        backend: &Backend,
        key: &str,
        must_exist: bool,
    ) -> Result<()> {
        let mut delete = Delete::new(key);
        delete.must_exist = must_exist;
        delete.if_match = self.if_match.as_deref();
        let deleted = backend.delete(delete).await?;
        let address = format!("{}:{key}", backend.name());
        let record = json!({ "address": address, "removed": true, "existed": deleted.existed });
        app.output.confirm(&record, || match deleted.existed {
            Some(false) => format!("not there {}", printable(&address)),
            _ => format!("removed {}", printable(&address)),
        })
    }
}

/// A folder of which there is not one key.
pub(crate) fn nothing_below(address: &Address, prefix: &str) -> Failure {
    Failure::refused(
        exit::NOT_FOUND,
        "nothing_below",
        format!("no key of {:?} begins with {prefix:?}", address.backend),
        format!("`holdall ls {}:` shows what is there", address.backend),
    )
}
