//! `quota`: who stores how much, what is allowed, and whether the ledger is right.

use clap::{Args, Subcommand};
use holdall::Backend;
use holdall::ledger::QuotaUsage;
use holdall::policy::Quota as Limits;
use serde_json::json;

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::values::printable;

/// Shows and mends the quotas of backends.
///
/// A quota is a `quota` in [backend.NAME.policy]; [ledger] names the database in which it is counted.
#[derive(Debug, Args)]
pub(crate) struct Quota {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows what is stored, by owner, by group and in the whole backend, with limits.
    Usage(Of),
    /// Shows the limits.
    Limits(Of),
    /// Compares the ledger with a listing of the backend, mends it, and shows what was wrong.
    ///
    /// Objects that the ledger does not know are charged to the owner `default`.
    Reconcile(Of),
}

#[derive(Debug, Args)]
struct Of {
    /// Names of backends. Default: every backend that has a quota.
    #[arg(value_name = "BACKEND")]
    backends: Vec<String>,
}

impl Quota {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let (What::Usage(of) | What::Limits(of) | What::Reconcile(of)) = &self.what;
        for backend in of.backends(app)? {
            match &self.what {
                What::Usage(_) => usage(app, &backend).await?,
                What::Limits(_) => limits(app, &backend)?,
                What::Reconcile(_) => reconcile(app, &backend).await?,
            }
        }
        Ok(())
    }
}

impl Of {
    fn backends(&self, app: &App) -> Result<Vec<Backend>> {
        let host = app.host()?;
        let all = self.backends.is_empty();
        let names = match all {
            true => host.backends(),
            false => self.backends.clone(),
        };
        let mut found = Vec::new();
        for name in names {
            // A configuration writes "photos", an address "photos:".
            let backend = host.handle(name.trim_end_matches(':'))?;
            if backend.has_quota() {
                found.push(backend);
            } else if !all {
                return Err(Failure::refused(
                    exit::SETUP,
                    "no_quota",
                    format!("the backend {name:?} has no quota"),
                    format!("set `quota = true` in [backend.{name}.policy]"),
                ));
            }
        }
        if found.is_empty() {
            app.output.note("no backend has a quota");
        }
        Ok(found)
    }
}

async fn usage(app: &App, backend: &Backend) -> Result<()> {
    for usage in backend.quota().await?.unwrap_or_default() {
        let record = json!({
            "backend": backend.name(),
            "scope": usage.scope,
            "name": usage.name,
            "used": usage.used,
            "reserved": usage.reserved,
            "objects": usage.objects,
            "limit": usage.limit,
        });
        app.output.answer(&record, || line(backend, &usage))?;
    }
    Ok(())
}

fn line(backend: &Backend, usage: &QuotaUsage) -> String {
    let name = match &*usage.name {
        "" => String::new(),
        name => format!(" {}", printable(name)),
    };
    let limit = match usage.limit {
        Some(limit) => format!(" of {limit}"),
        None => String::new(),
    };
    format!(
        "{}: {}{name}: {}{limit} bytes in {} objects, {} bytes reserved",
        backend.name(),
        usage.scope,
        usage.used,
        usage.objects,
        usage.reserved
    )
}

fn limits(app: &App, backend: &Backend) -> Result<()> {
    let limits = backend.quota_limits()?.unwrap_or(Limits::UNLIMITED);
    let record = json!({ "backend": backend.name(), "limits": limits });
    let shown = |limit: Option<u64>| limit.map_or("none".to_owned(), |limit| limit.to_string());
    app.output.answer(&record, || {
        format!(
            "{}: owner {}, group {}, backend {}",
            backend.name(),
            shown(limits.owner),
            shown(limits.group),
            shown(limits.backend)
        )
    })
}

async fn reconcile(app: &App, backend: &Backend) -> Result<()> {
    let done = backend.reconcile_quota().await?;
    let record = json!({
        "backend": backend.name(),
        "objects": done.objects,
        "added": done.added,
        "removed": done.removed,
        "corrected": done.corrected,
        "released": done.released,
        "counters": done.counters,
    });
    app.output.answer(&record, || {
        format!(
            "{}: {} objects, {} added, {} removed, {} corrected, {} reservations released, {} counters mended",
            backend.name(),
            done.objects,
            done.added,
            done.removed,
            done.corrected,
            done.released,
            done.counters
        )
    })
}
