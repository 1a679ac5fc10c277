//! The condition of a write, read again before the write is repeated.

use super::Attempts;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::policy::retry::Unknown;
use holdall_plugin_api::{Head, Key, Operation, Result};

/// The condition of a write.
#[derive(Clone, Copy)]
pub(super) enum Condition<'a> {
    Absent,
    Etag(&'a str),
}

impl<'a> Condition<'a> {
    /// Of the options `create_only` and `if_match` of one request.
    pub(super) fn of(create_only: bool, if_match: Option<&'a str>) -> Option<Self> {
        match create_only {
            true => Some(Self::Absent),
            false => if_match.map(Self::Etag),
        }
    }

    /// What may follow this outcome of a write under a condition, if it has one: a repeat, or the error as the answer.
    pub(super) async fn after<T>(
        condition: Option<Self>,
        outcome: &Result<T>,
        attempts: &Attempts<'_>,
        scope: &Scope<'_>,
        key: &Key,
    ) -> Unknown {
        match condition {
            Some(condition) if attempts.depends(outcome) => {
                condition.still_holds(scope, attempts.opened(), key).await
            }
            _ => Unknown::Repeat,
        }
    }

    /// Reads again after an unknown outcome. Only where the object is as the condition wants it, the write
    /// has not happened. Otherwise it may have been this one or another's, and the error is the answer.
    async fn still_holds(self, scope: &Scope<'_>, opened: &Opened, key: &Key) -> Unknown {
        let instance = &opened.instance;
        let holds = match self {
            Self::Absent => matches!(instance.exists(key, scope.call()).await, Ok(false)),
            Self::Etag("*") => false,
            Self::Etag(_) if !opened.has(Operation::Head) => false,
            Self::Etag(etag) => match instance.head(Head::new(key), scope.call()).await {
                Ok(info) => info.etag.as_deref() == Some(etag),
                Err(_) => false,
            },
        };
        match holds {
            true => Unknown::Repeat,
            false => Unknown::Answer,
        }
    }
}
