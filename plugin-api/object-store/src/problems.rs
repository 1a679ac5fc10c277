//! Everything that is wrong with a configuration, at once.

use holdall_plugin_api::{Error, ErrorKind, Result};

/// What is wrong, each under the name of its field.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, String)>);

impl Problems {
    /// One more. `problem` quotes no secret.
    pub fn add(&mut self, field: &'static str, problem: impl Into<String>) {
        self.0.push((field, problem.into()));
    }

    /// Adds that these fields are missing, unless they are there.
    pub fn needs(&mut self, fields: &[(&'static str, bool)]) {
        for (field, is_there) in fields {
            if !is_there {
                self.add(field, "needed for these credentials");
            }
        }
    }

    /// # Errors
    ///
    /// `ConfigInvalid` unless nothing is wrong: each problem as a fact named after its field.
    pub fn none(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut fields: Vec<_> = self.0.iter().map(|(field, _)| *field).collect();
        fields.dedup();
        let error = Error::new(ErrorKind::ConfigInvalid)
            .message(format!("wrong in the configuration: {}", fields.join(", ")));
        let facts = self.0.into_iter();
        Err(facts.fold(error, |error, (field, problem)| error.fact(field, problem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_in_one_error() {
        let mut problems = Problems::default();
        problems.add("endpoint", "one");
        problems.add("endpoint", "two");
        problems.needs(&[("region", true), ("bucket", false)]);
        let error = problems.none().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        assert_eq!(error.text(), "wrong in the configuration: endpoint, bucket");
        assert_eq!(error.facts().count(), 3);
        assert!(Problems::default().none().is_ok());
    }
}
