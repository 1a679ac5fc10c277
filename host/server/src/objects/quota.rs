//! `GET /v1/{backend}?quota`: who stores how much.

use axum::response::Response;
use holdall::DEFAULT_OWNER;
use holdall::ledger::QuotaUsage;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::json;
use crate::call::{Call, Query, Target};
use crate::problem::Problem;
use crate::rights::Scope;

/// Usage of a backend's quota. The scope `admin` shows every owner and group and the whole backend; without it, those
/// of the token.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
pub(crate) struct Answer {
    backend: String,
    /// Empty: the backend has no quota.
    usage: Vec<Counted>,
}

/// Usage of one owner, one group or the whole backend. Numbers are bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = QuotaUsage)]
struct Counted {
    /// `owner`, `group` or `backend`.
    scope: String,
    /// Name of the owner or group; empty for the backend.
    name: String,
    /// Stored.
    used: u64,
    /// Set aside for uploads in progress and for signed URLs.
    reserved: u64,
    /// Number of objects.
    objects: u64,
    /// Most bytes; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

pub(super) async fn handle(call: Call, target: Target, query: Query) -> Result<Response, Problem> {
    query.finish()?;
    let is_admin = call.access.is_admin();
    if !is_admin {
        call.access.check_any(Scope::Read, &target.backend)?;
    }
    let backend = call.backend_named(&target.backend)?;
    let (owner, group) = call.access.account();
    let owner = owner.unwrap_or(DEFAULT_OWNER);
    let is_own = |it: &QuotaUsage| match &*it.scope {
        "owner" => it.name == owner,
        "group" => group == Some(&*it.name),
        _ => false,
    };
    let usage = backend.quota().await?.unwrap_or_default().into_iter();
    let usage = usage.filter(|it| is_admin || is_own(it)).map(Counted::from);
    let answer = Answer {
        backend: target.backend,
        usage: usage.collect(),
    };
    let mut response = json(StatusCode::OK, &answer);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl From<QuotaUsage> for Counted {
    fn from(it: QuotaUsage) -> Self {
        Self {
            scope: it.scope,
            name: it.name,
            used: it.used,
            reserved: it.reserved,
            objects: it.objects,
            limit: it.limit,
        }
    }
}
