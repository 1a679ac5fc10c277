//! Rights of a client: scopes, backends and key prefixes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Scope {
    /// Reads objects and their facts.
    Read,
    /// Stores objects, also as the target of a copy.
    Write,
    /// Deletes objects.
    Delete,
    /// Lists keys.
    List,
    /// Makes signed URLs for operations that the holder may perform.
    Sign,
    /// Reads status, metrics, and the reason why a backend is not ready.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 6] = [
        Scope::Read,
        Scope::Write,
        Scope::Delete,
        Scope::List,
        Scope::Sign,
        Scope::Admin,
    ];

    /// Its name, as in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Delete => "delete",
            Scope::List => "list",
            Scope::Sign => "sign",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who may do what. [`Rule::default`] allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rule {
    /// Granted rights.
    pub allow: BTreeSet<Scope>,
    /// Backends to which the rights apply. Default: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub backends: BTreeSet<String>,
    /// Prefix of the keys to which the rights apply, as plain text. A listing must ask for a prefix that
    /// begins with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

impl Rule {
    /// Allows everything, everywhere.
    pub fn everything() -> Self {
        Self::of(Scope::ALL)
    }

    /// Allows this, everywhere.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self {
            allow: scopes.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether it allows this with that key, or with the keys under that prefix.
    pub fn allows(&self, scope: Scope, backend: &str, key: &str) -> bool {
        self.allows_some(scope, backend) && key.starts_with(&self.prefix)
    }

    /// Whether it allows this with any key of the backend.
    pub fn allows_some(&self, scope: Scope, backend: &str) -> bool {
        self.allow.contains(&scope) && (self.backends.is_empty() || self.backends.contains(backend))
    }

    /// Whether it allows the operator's views, which belong to no backend.
    pub fn is_admin(&self) -> bool {
        self.allow.contains(&Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_unless_said() {
        for scope in Scope::ALL {
            assert!(!Rule::default().allows(scope, "a", "k"));
            assert!(Rule::everything().allows(scope, "a", "k"));
        }
    }

    #[test]
    fn backends_and_prefix_narrow() {
        let rule = Rule {
            backends: BTreeSet::from(["avatars".to_owned()]),
            prefix: "u/7".to_owned(),
            ..Rule::of([Scope::Read])
        };
        assert!(rule.allows(Scope::Read, "avatars", "u/7/a.png"));
        assert!(rule.allows(Scope::Read, "avatars", "u/70"));
        assert!(!rule.allows(Scope::Read, "avatars", "u/8"));
        assert!(!rule.allows(Scope::Read, "avatars", ""));
        assert!(!rule.allows(Scope::Read, "other", "u/7"));
        assert!(!rule.allows(Scope::Write, "avatars", "u/7"));
    }
}
