//! `head`: facts about an object.

use clap::Args;

use super::object_json::ObjectJson;
use crate::address::Address;
use crate::app::App;
use crate::failure::Result;
use crate::values::printable;

/// Shows facts about an object: size, etag, time, type, metadata.
#[derive(Debug, Args)]
pub(crate) struct Head {
    /// The object: BACKEND:KEY.
    #[arg(value_name = "ADDR")]
    address: Address,
}

impl Head {
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        let key = self.address.object()?;
        let backend = app.backend(&self.address).await?;
        let info = backend.head(holdall::Head::new(key)).await?;
        let record = ObjectJson::known(&self.address, backend.name(), info);
        app.output.answer(&record, || lines(&record))
    }
}

/// One fact a line, in the order of their names; those of a group with its name before them.
fn lines(record: &ObjectJson) -> String {
    use serde_json::Value;
    let shown = |value: &Value| match value {
        Value::String(text) => printable(text),
        other => other.to_string(),
    };
    let Ok(Value::Object(facts)) = serde_json::to_value(record) else {
        return String::new();
    };
    let mut lines = Vec::new();
    for (name, value) in &facts {
        match value {
            Value::Object(group) => {
                lines.extend(
                    group
                        .iter()
                        .map(|(of, value)| format!("{name}.{of}: {}", shown(value))),
                );
            }
            value => lines.push(format!("{name}: {}", shown(value))),
        }
    }
    lines.join("\n")
}
