//! `ls`: keys of a backend.

use std::fmt::Write;

use clap::Args;
use futures_util::TryStreamExt;
use holdall::Page;
use serde_json::json;

use super::listing;
use crate::address::Address;
use crate::app::App;
use crate::failure::Result;
use crate::values::{moment, printable};

/// Lists keys.
///
/// The part after the colon is a prefix, not a folder: `local:lo` also shows `logs/`. Keys with a
/// `/` after the prefix are shown as one line that ends in it, unless -R is given. Keys come in the
/// order of their bytes where the backend has them so.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// What the keys begin with: BACKEND:[PREFIX].
    #[arg(value_name = "BACKEND:[PREFIX]")]
    address: Address,

    /// With size in bytes and time of the last change.
    #[arg(short, long)]
    long: bool,

    /// Every key, also those with further `/`.
    #[arg(short = 'R', long, visible_short_alias = 'r')]
    recursive: bool,

    /// At most so many lines.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl Ls {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let backend = app.backend(&self.address).await?;
        let delimiter = (!self.recursive).then_some("/");
        let pages = listing::pages(&backend, &self.address.key, delimiter, self.limit);
        let mut pages = std::pin::pin!(pages);
        let mut skipped = 0;
        while let Some(page) = pages.try_next().await? {
            skipped += page.skipped;
            app.output.text(&self.shown(app, backend.name(), &page))?;
        }
        if skipped > 0 {
            app.output.note(&format!(
                "{skipped} names that are no portable keys are left out"
            ));
        }
        Ok(())
    }

    /// Keys and common prefixes of a page, merged in the order of their bytes.
    fn shown(&self, app: &App, backend: &str, page: &Page) -> String {
        let mut lines: Vec<(&str, String)> = Vec::new();
        for prefix in &page.common_prefixes {
            let line = if app.output.json {
                json!({ "type": "prefix", "backend": backend, "prefix": prefix }).to_string()
            } else if self.long {
                format!("{:>14}  {:20}  {}", "-", "-", printable(prefix))
            } else {
                printable(prefix)
            };
            lines.push((prefix, line));
        }
        for entry in &page.entries {
            let time = entry.last_modified.map(moment);
            let line = if app.output.json {
                let mut record = json!({
                    "type": "object",
                    "address": format!("{backend}:{}", entry.key),
                    "backend": backend,
                    "key": entry.key,
                    "size": entry.size,
                });
                for (name, value) in [("etag", entry.etag.clone()), ("last_modified", time)] {
                    if let Some(value) = value {
                        record[name] = value.into();
                    }
                }
                record.to_string()
            } else if self.long {
                let time = time.unwrap_or_else(|| "-".to_owned());
                format!("{:>14}  {time:20}  {}", entry.size, printable(&entry.key))
            } else {
                printable(&entry.key)
            };
            lines.push((&entry.key, line));
        }
        // Stable: a backend without an order keeps its own within each kind.
        lines.sort_by_key(|(key, _)| *key);
        lines.iter().fold(String::new(), |mut text, (_, line)| {
            let _ = writeln!(text, "{line}");
            text
        })
    }
}
