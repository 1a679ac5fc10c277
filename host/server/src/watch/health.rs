//! `/healthz`: the process answers. `/readyz`: every required backend does.
//!
//! Readiness opens backends that were not used yet: whether they can be opened is the question. What
//! is open stays so, and a probe asks each of them for its `health`, which may be a request to a
//! provider. Everybody may probe; so one verdict is made at a time, and holds for a moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::response::Response;
use futures_util::future::join_all;
use holdall::{CallOptions, Host};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::call::{Call, Query};
use crate::objects::answer::json;
use crate::problem::Problem;

/// How long one backend may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a verdict holds, as long as the same backends are registered.
const HOLDS: Duration = Duration::from_secs(2);

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
    /// Each backend by name, for operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    backends: Option<BTreeMap<String, Backend>>,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = BackendReadiness)]
struct Backend {
    ready: bool,
    /// Stable code of the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The reason in words. It may name a path or quote a provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The last verdict on the backends. Locked while the next one is made.
#[derive(Default)]
pub(crate) struct HealthCache(Mutex<Option<Judged>>);

struct Judged {
    at: Instant,
    /// Name and generation of each.
    registered: Vec<(String, u64)>,
    backends: BTreeMap<String, Backend>,
}

impl HealthCache {
    async fn of(&self, host: &Host) -> BTreeMap<String, Backend> {
        let mut last = self.0.lock().await;
        let names = host.backends().into_iter();
        // One that is removed just now is no backend any more.
        let number =
            |name: String| Some((host.handle(&name).ok()?.generation_number().ok()?, name));
        let registered: Vec<_> = names
            .filter_map(number)
            .map(|(at, name)| (name, at))
            .collect();
        let holds =
            |judged: &&Judged| judged.at.elapsed() < HOLDS && judged.registered == registered;
        if let Some(judged) = last.as_ref().filter(holds) {
            return judged.backends.clone();
        }
        let judge = |(name, _): &(String, u64)| {
            let name = name.clone();
            async move {
                let backend = judge(host, &name).await;
                (name, backend)
            }
        };
        let backends: BTreeMap<_, _> = join_all(registered.iter().map(judge))
            .await
            .into_iter()
            .collect();
        let judged = last.insert(Judged {
            at: Instant::now(),
            registered,
            backends,
        });
        judged.backends.clone()
    }
}

/// 200 when every required backend is well, or with `?backend=NAME` that one; else 503. Which backends there are
/// is for operators to see.
pub(crate) async fn ready(call: Call, mut query: Query) -> Result<Response, Problem> {
    let only = query.take("backend");
    query.finish()?;
    let named = only.is_some();
    let mut backends = call.app.health_cache().of(call.app.host()).await;
    if let Some(only) = only {
        backends.retain(|name, _| *name == only);
        if backends.is_empty() {
            return Err(Problem::no_backend(&only));
        }
    }
    // Between SIGTERM and the end the load balancer shall go elsewhere.
    let config = call.app.host().config();
    let is_needed = |name: &str| {
        let config = config.backends.get(name);
        named || config.is_none_or(|config| config.required)
    };
    let mut judged = backends.iter();
    let ready = judged.all(|(name, backend)| backend.ready || !is_needed(name));
    let ready = ready && !call.app.is_leaving();
    let (status, word) = match ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let readiness = Readiness {
        status: word,
        backends: call.access.is_admin().then_some(backends),
    };
    Ok(json(status, &readiness))
}

async fn judge(host: &Host, name: &str) -> Backend {
    let health = async {
        let options = CallOptions::new().timeout(PATIENCE);
        let backend = host.handle(name)?.with(options);
        // A plugin without the operation is well when it opens.
        if backend
            .info()
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
    match health.unwrap_or_else(|_| Err(late().with_message("no answer in time"))) {
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
