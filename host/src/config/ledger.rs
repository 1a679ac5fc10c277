//! `[ledger]`: the database in which quotas are counted.

use std::path::Path;
use std::time::Duration;

use holdall_plugin_api::Result;

use super::document::{Document, Table};
use super::file::read_wait;
use super::{Config, Environment, Location, SecretText, Secrets, reference, relative_to};

/// Time between two reconciliations, unless the configuration says another.
const RECONCILE: Duration = Duration::from_secs(24 * 60 * 60);
const SQLITE: &str = "sqlite:";

/// `[ledger]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerConfig {
    /// `sqlite:PATH`, `postgres://USER:PASSWORD@HOST/DATABASE`, or a reference to one of them. Without it the file
    /// `ledger.sqlite` in the state directory.
    pub url: Option<SecretText>,
    /// Time between two reconciliations of a server; zero: none.
    pub reconcile: Duration,
    pub(super) place: Location,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            url: None,
            reconcile: RECONCILE,
            place: Location::Default,
        }
    }
}

impl Config {
    /// Address of the ledger; `None` when none is named and there is no state directory.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: a reference that leads nowhere.
    pub(crate) fn ledger_url(
        &self,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<Option<SecretText>> {
        let Some(url) = &self.ledger.url else {
            let state = self.state_dir.as_deref();
            return Ok(state.map(|state| {
                // When it cannot be made, opening the file says so.
                let _ = std::fs::create_dir_all(state);
                SecretText::new(format!("{SQLITE}{}", state.join("ledger.sqlite").display()))
            }));
        };
        let place = &self.ledger.place;
        let url = match url.expose().starts_with(SQLITE) {
            // A path is no secret: it is not taken out of messages.
            true => url.clone(),
            false => reference::resolve(url.expose(), "ledger.url", place, environment, secrets)
                .map_err(|problem| super::ConfigProblems::from(*problem))?,
        };
        Ok(Some(match url.expose().strip_prefix(SQLITE) {
            None => url,
            Some(path) => {
                let folder = match place {
                    Location::File { file, .. } => file.parent(),
                    _ => None,
                };
                let path = relative_to(folder, path.strip_prefix("//").unwrap_or(path));
                SecretText::new(format!("{SQLITE}{}", Path::new(&path).display()))
            }
        }))
    }
}

pub(super) fn read<'d>(document: &mut Document<'d>, mut section: Table<'d>) -> LedgerConfig {
    let mut ledger = LedgerConfig::default();
    if let Some(found) = document.string(&mut section, "url") {
        ledger.url = Some(SecretText::new(found.value));
        ledger.place = found.place;
    }
    if let Some(found) = document.string(&mut section, "reconcile") {
        match read_wait(found.value, &found.path, &found.place) {
            Ok(time) => ledger.reconcile = time,
            Err(problem) => document.problems.push(*problem),
        }
    }
    document.finish(section, None);
    ledger
}
