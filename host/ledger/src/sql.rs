//! Statements with their values, and the columns of their answers.

use crate::unavailable;
use holdall::Result;
use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

pub(crate) type Tx = Transaction<'static, Any>;

/// A statement with its values, each a text or a number.
macro_rules! statement {
    ($sql:expr $(, $value:expr)*) => { sqlx::query($sql)$(.bind($value))* };
}

macro_rules! execute {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::sql::statement!($sql $(, $value)*).execute(&mut **$tx).await.map_err($crate::unavailable)?
    };
}

macro_rules! fetch {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::sql::statement!($sql $(, $value)*).fetch_all(&mut **$tx).await.map_err($crate::unavailable)?
    };
}

pub(crate) use {execute, fetch, statement};

pub(crate) fn number(row: &AnyRow, at: usize) -> Result<i64> {
    row.try_get(at).map_err(unavailable)
}

pub(crate) fn text(row: &AnyRow, at: usize) -> Result<String> {
    row.try_get(at).map_err(unavailable)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
