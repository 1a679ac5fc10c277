//! `/healthz`: the process answers. `/readyz`: every backend does.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use futures_util::future::join_all;
use holdall::{CallOptions, Host};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::call::Call;
use crate::objects::answer::json;

/// How long one backend may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    status: &'static str,
}

/// Says nothing about storage: a process must not be restarted because a provider is down.
pub(crate) async fn alive() -> Response {
    json(StatusCode::OK, &Alive { status: "alive" })
}

/// Every backend by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    backends: BTreeMap<String, Backend>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BackendReadiness)]
struct Backend {
    ready: bool,
    /// Stable code of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The reason in words, for operators only: it may name a path or quote a provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// 200 when every backend is well, else 503. Opens backends that nobody has used yet.
pub(crate) async fn ready(call: Call) -> Response {
    let host = call.app.host();
    let names = host.backends();
    let judged = join_all(names.iter().map(|name| judge(host, name))).await;
    let admin = call.access.is_admin();
    let backends: BTreeMap<_, _> = names
        .into_iter()
        .zip(judged)
        .map(|(name, mut backend)| {
            backend.reason = backend.reason.filter(|_| admin);
            (name, backend)
        })
        .collect();
    // Between SIGTERM and the end the load balancer shall go elsewhere.
    let ready = backends.values().all(|backend| backend.ready) && !call.app.is_stopping();
    let (status, word) = match ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let readiness = Readiness {
        status: word,
        backends,
    };
    json(status, &readiness)
}

async fn judge(host: &Host, name: &str) -> Backend {
    let health = async {
        let options = CallOptions::new().timeout(PATIENCE);
        let backend = host.handle(name)?.with(options);
        // A plugin without the operation is well when it opens.
        if backend
            .facts()
            .await?
            .operations
            .has(holdall::Operation::Health)
        {
            let health = backend.health().await?;
            return Ok((!health.healthy).then_some(health.message));
        }
        Ok(None)
    };
    // The opening of a backend is not bounded by the options of an operation.
    let health = tokio::time::timeout(PATIENCE, health).await;
    let late = || holdall::Error::new(holdall::ErrorKind::Timeout);
    match health.unwrap_or_else(|_| Err(late().message("no answer in time"))) {
        Ok(None) => Backend {
            ready: true,
            code: None,
            reason: None,
        },
        Ok(Some(reason)) => Backend {
            ready: false,
            code: Some("unhealthy"),
            reason: Some(reason),
        },
        Err(error) => Backend {
            ready: false,
            code: Some(error.kind().code()),
            reason: Some(host.redact(&error.to_string())),
        },
    }
}
