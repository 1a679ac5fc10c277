//! Everything that is wrong with a configuration, at once.

use crate::{Error, ErrorKind, Result};
use std::borrow::Cow;

/// What is wrong, each under the name of its field.
///
/// ```
/// use holdall_plugin_api::Problems;
///
/// let mut problems = Problems::default();
/// problems.add("endpoint", "not a URL");
/// problems.add("bucket", "missing");
/// let error = problems.none().unwrap_err();
/// assert_eq!(error.fact("bucket"), Some("missing"));
/// assert_eq!(error.message(), "`endpoint`: not a URL; `bucket`: missing");
/// ```
#[derive(Debug, Default)]
pub struct Problems(Vec<(Cow<'static, str>, String)>);

impl Problems {
    /// One more. `problem` quotes no secret.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, problem: impl Into<String>) {
        self.0.push((field.into(), problem.into()));
    }

    /// Fields of which a choice takes some, such as those of one kind of credentials: what it `needs`
    /// and is not there is missing, and what is there must be needed or `allowed`, because it would be
    /// ignored in silence. `fields`: all of them, and whether they are there.
    pub fn choice(
        &mut self,
        choice: &str,
        fields: &[(&'static str, bool)],
        needs: &[&str],
        allowed: &[&str],
    ) {
        for (field, is_there) in fields {
            match (is_there, needs.contains(field)) {
                (false, true) => self.add(*field, format!("needed for {choice}")),
                (true, false) if !allowed.contains(field) => {
                    self.add(*field, format!("not used by {choice}"));
                }
                _ => {}
            }
        }
    }

    /// # Errors
    ///
    /// `ConfigInvalid` unless nothing is wrong: each problem as a fact named after its field.
    pub fn none(self) -> Result<()> {
        self.give(Some(()))
    }

    /// The value that was read from the configuration, unless something is wrong with it. `None` goes with a
    /// problem that was added.
    ///
    /// # Errors
    ///
    /// Those of [`Problems::none`].
    pub fn give<T>(self, made: Option<T>) -> Result<T> {
        if let Some(made) = made
            && self.0.is_empty()
        {
            return Ok(made);
        }
        let all = self.0.iter();
        let all: Vec<_> = all
            .map(|(field, why)| format!("`{field}`: {why}"))
            .collect();
        let error = Error::new(ErrorKind::ConfigInvalid).with_message(all.join("; "));
        let facts = self.0.into_iter();
        Err(facts.fold(error, |error, (field, why)| error.with_fact(field, why)))
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
        let fields = [
            ("a", true),
            ("b", false),
            ("c", true),
            ("d", true),
            ("e", false),
        ];
        problems.choice("this", &fields, &["a", "b"], &["c"]);
        let error = problems.none().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        let facts: Vec<_> = error.facts().collect();
        let wanted = [
            ("endpoint", "one"),
            ("endpoint", "two"),
            ("b", "needed for this"),
            ("d", "not used by this"),
        ];
        assert_eq!(facts, wanted);
        assert!(Problems::default().none().is_ok());
    }
}
