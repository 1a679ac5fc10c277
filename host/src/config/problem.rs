//! One thing that is wrong with a configuration, and the list of all of them.

use std::fmt;
use std::path::PathBuf;

use holdall_plugin_api::{Cause, Error, ErrorKind};
use serde::{Serialize, Serializer};

/// What kind of problem it is: stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// A file cannot be read, is too large or is not UTF-8.
    Unreadable,
    /// The text is not TOML.
    Syntax,
    /// A key or variable without a meaning.
    UnknownKey,
    /// A key that must be there is not.
    MissingKey,
    /// A value of another type.
    WrongType,
    /// A number, length or count outside its bounds.
    OutOfRange,
    /// A value of the right type that is not allowed.
    InvalidValue,
    /// A name that breaks the rule for names.
    InvalidName,
    /// The same name twice.
    Duplicate,
    /// Two settings that exclude each other.
    Contradiction,
    /// A name of a backend that is not configured.
    UnknownBackend,
    /// A name of a plugin that is not there.
    UnknownPlugin,
    /// `env:NAME` or `file:PATH` that leads to nothing.
    SecretUnresolved,
    /// A secret too short to protect anything.
    SecretTooShort,
    /// A file of the configuration that another user owns.
    FileOwner,
    /// A file of the configuration that every user can write.
    FileWorldWritable,
    /// A file of the configuration that its group can write.
    FileGroupWritable,
    /// A file with a secret that every user can read.
    FileWorldReadable,
    /// The plugin's own schema is broken: a fault of the plugin, not of the operator.
    BrokenSchema,
}

impl ProblemCode {
    /// The code of a rule for files that is broken.
    pub(super) fn of_rule(rule: &str) -> Self {
        let rules = [
            ProblemCode::FileOwner,
            ProblemCode::FileWorldWritable,
            ProblemCode::FileGroupWritable,
            ProblemCode::FileWorldReadable,
        ];
        let found = rules.into_iter().find(|code| code.name() == rule);
        found.unwrap_or(ProblemCode::Unreadable)
    }

    /// The stable name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ProblemCode::Unreadable => "unreadable",
            ProblemCode::Syntax => "syntax",
            ProblemCode::UnknownKey => "unknown_key",
            ProblemCode::MissingKey => "missing_key",
            ProblemCode::WrongType => "wrong_type",
            ProblemCode::OutOfRange => "out_of_range",
            ProblemCode::InvalidValue => "invalid_value",
            ProblemCode::InvalidName => "invalid_name",
            ProblemCode::Duplicate => "duplicate",
            ProblemCode::Contradiction => "contradiction",
            ProblemCode::UnknownBackend => "unknown_backend",
            ProblemCode::UnknownPlugin => "unknown_plugin",
            ProblemCode::SecretUnresolved => "secret_unresolved",
            ProblemCode::SecretTooShort => "secret_too_short",
            ProblemCode::FileOwner => "file_owner",
            ProblemCode::FileWorldWritable => "file_world_writable",
            ProblemCode::FileGroupWritable => "file_group_writable",
            ProblemCode::FileWorldReadable => "file_world_readable",
            ProblemCode::BrokenSchema => "broken_schema",
        }
    }
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Location {
    /// Nowhere: a default.
    #[default]
    Default,
    /// In a file. Line and column count from 1, columns in characters; both are 0 when the whole
    /// file is meant.
    File {
        /// The file, as it was named.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In a variable of the environment.
    Variable(String),
    /// In the program's own call or on its command line.
    Flag(&'static str),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Default => f.write_str("default"),
            Location::File { file, line: 0, .. } => write!(f, "{}", file.display()),
            Location::File { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Location::Variable(name) => write!(f, "${name}"),
            Location::Flag(name) => write!(f, "{name}"),
        }
    }
}

impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that is wrong: what, where, what was expected instead, and how to mend it.
///
/// `Display` is one line. No field ever holds a secret: values of fields that are, or may be,
/// secret are described by their type only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Dotted path of the key in the file, such as `backend.avatars.config.root`, also when the
    /// value comes from elsewhere. Empty when the whole is meant.
    pub path: String,
    /// JSON Pointer (RFC 6901) into the plugin's own configuration, where the problem is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Stable kind.
    pub code: ProblemCode,
    /// Where the value was written.
    #[serde(rename = "where")]
    pub place: Location,
    /// What would be right.
    pub expected: String,
    /// What is there instead.
    pub found: String,
    /// The nearest name that would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Problem {
    pub(crate) fn new(
        code: ProblemCode,
        path: impl Into<String>,
        place: Location,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            pointer: None,
            code,
            place,
            expected: expected.into(),
            found: found.into(),
            suggestion: None,
            fix: None,
        }
    }

    pub(crate) fn pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds the nearest of the names that would have been right, if one is near.
    pub(crate) fn suggest<'a>(
        mut self,
        wrong: &str,
        right: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        self.suggestion = nearest(wrong, right).map(str::to_owned);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)?;
        if self.place != Location::Default {
            write!(f, " ({})", self.place)?;
        }
        match (&self.suggestion, &self.fix) {
            (Some(name), Some(fix)) => write!(f, "; did you mean \"{name}\"? Otherwise: {fix}")?,
            (Some(name), None) => write!(f, "; did you mean \"{name}\"?")?,
            (None, Some(fix)) => write!(f, "; {fix}")?,
            (None, None) => {}
        }
        write!(f, " [{}]", self.code.name())
    }
}

/// Every problem of a configuration, in the order of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigProblems(Vec<Problem>);

impl ConfigProblems {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether all is well.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Ok when there is none.
    ///
    /// # Errors
    ///
    /// Itself, when there is one.
    pub fn into_result(self) -> Result<(), ConfigProblems> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Problem> for ConfigProblems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl FromIterator<Problem> for ConfigProblems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let mut problems: Vec<_> = problems.into_iter().collect();
        // By path, so that two runs over one file report the same text, wherever each was found.
        problems.sort();
        problems.dedup();
        Self(problems)
    }
}

impl IntoIterator for ConfigProblems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ConfigProblems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// One problem a line.
impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}

/// `ConfigInvalid`: the message counts the problems. Each is a fact named after its path, and a
/// cause, so that programs that print the chain of sources show all of them.
///
/// The texts name files of this machine, which a client must not see; facts and causes go to logs
/// and operators, the message to everybody.
impl From<ConfigProblems> for Error {
    fn from(problems: ConfigProblems) -> Self {
        let message = match problems.len() {
            1 => "1 problem in the configuration".to_owned(),
            count => format!("{count} problems in the configuration"),
        };
        let causes = problems
            .iter()
            .map(|problem| (problem.code.name(), problem.to_string()));
        let causes = chain(causes.collect::<Vec<_>>());
        let error = Error::new(ErrorKind::ConfigInvalid)
            .with_message(message)
            .with_cause(causes);
        problems.into_iter().fold(error, |error, problem| {
            let text = problem.to_string();
            error.with_fact(problem.path, text)
        })
    }
}

/// Chain of causes with these codes and texts, in their order: programs that print the sources of an
/// error, and no facts, show every one.
pub(crate) fn chain<'a, T>(causes: T) -> Option<Cause>
where
    T: IntoIterator<Item = (&'a str, String), IntoIter: DoubleEndedIterator>,
{
    let causes = causes
        .into_iter()
        .map(|(code, text)| Cause::new(code, text));
    causes.rev().fold(None, |source, cause| {
        Some(match source {
            Some(source) => cause.with_source(source),
            None => cause,
        })
    })
}

/// The name of `right` that is most like `wrong`, when one is so near that a slip explains it.
pub(crate) fn nearest<'a>(
    wrong: &str,
    right: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    right
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        // 0.8 takes swapped, missing and doubled letters and leaves out other words; in a very
        // short word one wrong letter is a large part of it.
        .filter(|(likeness, name)| {
            *likeness >= 0.8 || (wrong.len() > 1 && strsim::osa_distance(&wrong, name) == 1)
        })
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// A list of names for a message, in quotes; long ones are cut.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 16;
    let all: Vec<_> = names
        .into_iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    match all.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => {
            format!("{} and {} more", all[..SHOWN].join(", "), count - SHOWN)
        }
        _ => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let right = ["root", "durability", "create"];
        assert_eq!(nearest("rot", right), Some("root"));
        assert_eq!(nearest("Durabilty", right), Some("durability"));
        assert_eq!(nearest("bucket", right), None);
        assert_eq!(nearest("s4", ["gcs", "s3"]), Some("s3"));
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn all_problems_become_one_error() {
        let problem = |path: &str| {
            Problem::new(
                ProblemCode::WrongType,
                path,
                Location::Variable("X".into()),
                "a string",
                "integer",
            )
        };
        let problems = ConfigProblems::from_iter([problem("b"), problem("a"), problem("b")]);
        assert_eq!(problems.len(), 2, "sorted, and each once");
        let error = Error::from(problems);
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        assert_eq!(error.message(), "2 problems in the configuration");
        assert_eq!(
            error.facts().collect::<Vec<_>>(),
            [
                ("a", "a: expected a string, found integer ($X) [wrong_type]"),
                ("b", "b: expected a string, found integer ($X) [wrong_type]"),
            ]
        );
        let sources = std::iter::successors(std::error::Error::source(&error), |it| it.source());
        assert_eq!(
            sources.map(ToString::to_string).collect::<Vec<_>>(),
            [
                "a: expected a string, found integer ($X) [wrong_type]",
                "b: expected a string, found integer ($X) [wrong_type]",
            ],
            "as anyhow and other reporters print them"
        );
    }

    #[test]
    fn the_name_of_a_code_is_its_json() {
        for code in [
            ProblemCode::UnknownKey,
            ProblemCode::SecretUnresolved,
            ProblemCode::BrokenSchema,
            ProblemCode::Syntax,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }
}
