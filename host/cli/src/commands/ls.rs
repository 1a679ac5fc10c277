//! `ls`: keys of a backend.

use std::fmt::Write;

use clap::Args;
use futures_util::TryStreamExt;
use holdall::{Backend, Capability, Custom, ErrorKind, Page};
use serde::Deserialize;
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

    /// Shows what listings leave out instead, and why: links, FIFOs, names that are no keys, directories that
    /// cannot be read. Needs a plugin that can tell.
    #[arg(long, conflicts_with_all = ["long", "recursive", "limit"])]
    left_out: bool,
}

impl Ls {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let backend = app.backend(&self.address).await?;
        if self.left_out {
            return self.show_left_out(app, &backend).await;
        }
        let delimiter = (!self.recursive).then_some("/");
        let pages = listing::pages(&backend, &self.address.key, delimiter, self.limit);
        let mut pages = std::pin::pin!(pages);
        let mut skipped = 0;
        while let Some(page) = pages.try_next().await? {
            skipped += page.skipped;
            app.output.text(&self.shown(app, backend.name(), &page))?;
        }
        if skipped > 0 {
            let tells = backend.info().await?.capabilities.has(Capability::Custom);
            let hint = match tells {
                true => format!(
                    "; `holdall ls {} --left-out` shows which and why",
                    self.address
                ),
                false => String::new(),
            };
            app.output.note(&format!(
                "{skipped} names that are no portable keys, or cannot be read, are left out{hint}"
            ));
        }
        Ok(())
    }

    async fn show_left_out(&self, app: &App, backend: &Backend) -> Result<()> {
        let call = Custom::new("left_out", self.address.key.clone());
        let answer = backend.custom(call).await?;
        let answer: LeftOut = serde_json::from_slice(&answer).map_err(|cause| {
            let error = holdall::Error::new(ErrorKind::PluginFault);
            error
                .with_message("the answer of left_out is not usable")
                .because(cause)
        })?;
        let mut lines = String::new();
        for found in &answer.left_out {
            let _ = match app.output.json {
                true => writeln!(
                    lines,
                    "{}",
                    json!({ "type": "left_out", "backend": backend.name(), "name": found.name, "why": found.why })
                ),
                false => writeln!(
                    lines,
                    "{}: {}",
                    printable(&found.name),
                    printable(&found.why)
                ),
            };
        }
        app.output.text(&lines)?;
        if answer.more {
            let count = answer.left_out.len();
            app.output
                .note(&format!("only the first {count} names are shown"));
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

/// Answer of the call `left_out`.
#[derive(Deserialize)]
struct LeftOut {
    left_out: Vec<LeftOutName>,
    more: bool,
}

#[derive(Deserialize)]
struct LeftOutName {
    name: String,
    why: String,
}
