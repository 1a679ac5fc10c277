//! A case as data.

use crate::trial::Trial;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{Capability, Error, Operation};
use std::fmt;
use std::time::Duration;

/// One question about a backend.
#[derive(Clone)]
pub struct Case {
    /// Stable name, such as `C-01`; the letter is the group.
    pub id: &'static str,
    /// When it applies.
    pub tag: Tag,
    /// What it asks, in one line.
    pub reason: &'static str,
    /// Longest time without the answer of a call. In all it may take ten times as long.
    pub limit: Duration,
    /// Claims that it proves when it passes, beside the one of its tag.
    pub proves: &'static [Capability],
    pub(crate) check: Check,
}

pub(crate) type Check = for<'a> fn(&'a Trial) -> BoxFuture<'a, Outcome>;

/// When a case applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// To every backend.
    Core,
    /// Where the operation answers.
    Op(Operation),
    /// Where the capability is claimed; otherwise the case asks whether its use is refused.
    Cap(Capability),
    /// Where the stage has this: the case looks for itself.
    Need(&'static str),
    /// To the loaded file.
    Loaded,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tag::Core => f.write_str("CORE"),
            Tag::Op(operation) => write!(f, "OP:{operation}"),
            Tag::Cap(capability) => write!(f, "CAP:{capability}"),
            Tag::Need(what) => write!(f, "NEED:{what}"),
            Tag::Loaded => f.write_str("LOADED"),
        }
    }
}

impl Case {
    /// The letter.
    pub fn group(&self) -> char {
        self.id.chars().next().unwrap_or('?')
    }

    pub(crate) const fn new(
        id: &'static str,
        tag: Tag,
        reason: &'static str,
        check: Check,
    ) -> Self {
        let limit = Duration::from_secs(20);
        Self {
            id,
            tag,
            reason,
            limit,
            proves: &[],
            check,
        }
    }

    /// For the heavy ones.
    pub(crate) const fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    pub(crate) const fn proves(mut self, capabilities: &'static [Capability]) -> Self {
        self.proves = capabilities;
        self
    }

    /// Every capability that a pass proves.
    pub(crate) fn proven(&self) -> impl Iterator<Item = Capability> {
        let own = match self.tag {
            Tag::Cap(capability) => Some(capability),
            _ => None,
        };
        own.into_iter().chain(self.proves.iter().copied())
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}", self.id, self.tag, self.reason)
    }
}

/// Why a case ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    NotApplicable(String),
    Failed(String),
    Lied(String),
}

pub(crate) type Outcome<T = ()> = Result<T, Stop>;

/// An error where none was expected.
impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        let mut text = format!("unexpected error: {error} [{}]", error.code());
        for cause in error.cause().into_iter().flat_map(|cause| cause.chain()) {
            text.push_str(&format!("; because {cause}"));
        }
        Stop::Failed(text)
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::case::Stop::Failed(format!($($what)+)));
        }
    };
}

/// A case whose check is an `async fn(&Trial) -> Outcome`.
macro_rules! case {
    ($id:literal, $tag:expr, $reason:literal, $check:path) => {
        $crate::case::Case::new($id, $tag, $reason, |trial| Box::pin($check(trial)))
    };
}

pub(crate) use {case, ensure};
