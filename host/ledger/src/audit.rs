//! Audit events in the table `audit`.

use crate::{Database, signed, unavailable};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdall::Result;
use holdall::audit::{AuditEvent, AuditLog};
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The audit log of a ledger.
#[derive(Debug)]
pub(crate) struct Audit(pub(crate) Arc<Database>);

impl AuditLog for Audit {
    fn record(&self, event: &AuditEvent<'_>) -> io::Result<()> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (database, row) = (self.0.clone(), Row::of(event));
        runtime.spawn(async move {
            if let Err(error) = insert(&database, row).await {
                tracing::error!(target: "holdall", %error, "an audit event could not be written");
            }
        });
        Ok(())
    }

    fn append<'a>(&'a self, event: &'a AuditEvent<'a>) -> BoxFuture<'a, io::Result<()>> {
        let inserted = insert(&self.0, Row::of(event));
        inserted
            .map(|outcome| outcome.map_err(io::Error::other))
            .boxed()
    }
}

/// An event, in the order of the columns.
struct Row {
    time_ms: i64,
    texts: [String; 8],
    bytes: i64,
    request_id: String,
}

impl Row {
    fn of(event: &AuditEvent<'_>) -> Self {
        let texts = [
            Some(event.backend),
            Some(event.operation),
            event.key,
            event.to,
            event.actor,
            Some(event.owner),
            event.group,
            Some(event.outcome),
        ];
        Self {
            time_ms: signed(event.time_ms),
            texts: texts.map(|text| text.unwrap_or_default().to_owned()),
            bytes: signed(event.bytes),
            request_id: event.request_id.unwrap_or_default().to_owned(),
        }
    }
}

async fn insert(database: &Database, row: Row) -> Result<()> {
    database.holder().await?;
    let sql = "INSERT INTO audit (time_ms, backend, operation, key, target, actor, owner, grp, outcome, \
               bytes, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let mut query = sqlx::query(sql).bind(row.time_ms);
    for text in row.texts {
        query = query.bind(text);
    }
    let query = query.bind(row.bytes).bind(row.request_id);
    let inserted = query.execute(database.pool().await?).await;
    inserted.map(drop).map_err(unavailable)
}
