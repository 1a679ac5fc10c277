//! `exists`: checks whether an object exists.

use clap::Args;
use serde_json::json;

use crate::address::Address;
use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};

/// Checks whether an object exists: exit code 0 or 3.
///
/// Only a proven absence is a 3. Only objects exist: a prefix that keys begin with does not.
#[derive(Debug, Args)]
pub(crate) struct Exists {
    /// The object: BACKEND:KEY.
    #[arg(value_name = "ADDR")]
    address: Address,
}

impl Exists {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let key = self.address.object()?;
        let backend = app.backend(&self.address).await?;
        let exists = backend.exists(key).await?;
        let address = format!("{}:{key}", backend.name());
        let record = json!({ "address": address, "exists": exists });
        app.output.confirm(&record, || exists.to_string())?;
        // An answer and no failure: it goes to standard output only.
        if exists {
            Ok(())
        } else {
            Err(Failure::Told(exit::NOT_FOUND))
        }
    }
}
