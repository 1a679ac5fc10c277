//! The model behind a host that judges configurations, with each mistake that one can make there.

use holdall_conformance::{Opening, Stage};
use holdall_plugin_api::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// A mistake of a schema, or of its validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    ExampleBreaksSchema,
    NamesOneMissing,
    NamesOneWrong,
    ShowsSecret,
    TakesUnknown,
}

pub(crate) struct MutantStage {
    pub(crate) bug: Option<Bug>,
    pub(crate) model: Arc<dyn Stage>,
}

impl MutantStage {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn judge(&self, config: &Value) -> Result<()> {
        let validator = jsonschema::validator_for(&self.published()).unwrap();
        let mut error = Error::new(ErrorKind::ConfigInvalid);
        let mut problems = 0;
        for problem in validator.iter_errors(config) {
            use jsonschema::error::ValidationErrorKind as Kind;
            let path = problem.instance_path().to_string();
            let path = path.trim_start_matches('/').to_owned();
            let (path, one) = match problem.kind() {
                Kind::Required { property } => {
                    (property.as_str().unwrap().to_owned(), Bug::NamesOneMissing)
                }
                Kind::AdditionalProperties { .. } if self.has(Bug::TakesUnknown) => continue,
                Kind::AdditionalProperties { unexpected } => {
                    (unexpected.join("."), Bug::NamesOneWrong)
                }
                _ => (path, Bug::NamesOneWrong),
            };
            if problems > 0 && self.has(one) {
                continue;
            }
            problems += 1;
            error = error.with_fact(path, "not as the schema wants it");
        }
        if problems == 0 { Ok(()) } else { Err(error) }
    }

    fn published(&self) -> Value {
        let example = match self.has(Bug::ExampleBreaksSchema) {
            true => json!({ "root": 7 }),
            false => json!({ "root": "/srv", "token": "env:TOKEN" }),
        };
        json!({
            "type": "object",
            "properties": {
                "root": { "type": "string", "minLength": 1, "description": "Where." },
                "token": { "type": "string", "x-secret": true, "description": "Opens it." },
                "threads": { "type": "integer", "minimum": 1, "maximum": 8, "description": "How many." },
                "mode": { "enum": ["fast", "safe"], "description": "How." },
            },
            "required": ["root", "token"],
            "additionalProperties": false,
            "examples": [example],
        })
    }
}

impl Stage for MutantStage {
    fn open(&self, store: u32) -> Opening<'_> {
        self.model.open(store)
    }

    fn schema(&self) -> Option<Value> {
        Some(self.published())
    }

    fn configuration(&self, store: u32) -> Option<Value> {
        Some(json!({ "root": format!("/srv/{store}"), "token": "env:TOKEN", "threads": 2 }))
    }

    fn open_with(&self, config: Value) -> Option<Opening<'_>> {
        Some(Box::pin(async move {
            self.judge(&config)?;
            let token = config["token"].as_str().unwrap_or_default();
            match self.has(Bug::ShowsSecret) {
                true => Err(Error::new(ErrorKind::Unauthenticated)
                    .with_message(format!("refused: {token}"))),
                false => self.model.open(0).await,
            }
        }))
    }
}
