//! `POST /v1/{backend}?delete`: many objects in one request.

use axum::body::Body;
use axum::response::Response;
use holdall::{DeleteMany, Key};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::answer::{json, read_json};
use crate::body;
use crate::call::{Call, Query, Target};
use crate::conditions::Conditions;
use crate::problem::Problem;
use crate::rights::Scope;

/// Most keys of one request, as in a page of a listing.
const MOST_KEYS: usize = 1000;
/// So many keys of the largest size, each byte escaped.
const MOST_BYTES: usize = 8 << 20;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeysToDelete)]
pub(crate) struct Asked {
    #[schema(min_items = 1, max_items = 1000)]
    keys: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Deleted)]
pub(crate) struct Answer {
    results: Vec<Outcome>,
}

/// What became of one key: 204, or its problem.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedKey)]
struct Outcome {
    key: String,
    status: u16,
    /// Whether it was there, where the store tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    existed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::problem::ProblemDetails>)]
    problem: Option<Map<String, Value>>,
}

/// One answer for each key, in their order. A key that fails, or is not allowed, stops no other.
pub(crate) async fn handle(
    call: Call,
    target: Target,
    mut query: Query,
    request: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query.flag("delete")?;
    query.finish()?;
    // Before the body is read.
    let backend = call.backend_for_some_key(Scope::Delete, &target.backend)?;
    if !Conditions::of(&request)?.is_empty() {
        return Err(Problem::invalid(
            "a delete of several keys takes no condition",
        ));
    }
    let bytes = body::read_small(body, MOST_BYTES).await?;
    let Asked { keys } = read_json(&bytes)?;
    if !(1..=MOST_KEYS).contains(&keys.len()) {
        return Err(Problem::invalid(format!(
            "1 to {MOST_KEYS} keys are deleted at once, found {}",
            keys.len()
        )));
    }
    let refused: Vec<_> = keys
        .iter()
        .map(|key| call.may(Scope::Delete, &target.backend, key).err())
        .collect();
    let allowed: Vec<&Key> = keys
        .iter()
        .zip(&refused)
        .filter(|(_, refused)| refused.is_none())
        .map(|(key, _)| Key::new(key))
        .collect();
    let deleted = match allowed.is_empty() {
        true => Vec::new(),
        false => backend.delete_many(DeleteMany::new(allowed)).await?,
    };
    let profile = call.settings.errors;
    let mut deleted = deleted.into_iter();
    let outcome = |(key, refused): (String, Option<Problem>)| {
        let answer = match refused {
            Some(refused) => Err(refused),
            None => match deleted.next() {
                Some(answer) => answer.map_err(Problem::from),
                None => Err(Problem::invalid("the backend did not answer for this key")),
            },
        };
        match answer {
            Ok(deleted) => Outcome {
                key,
                status: StatusCode::NO_CONTENT.as_u16(),
                existed: deleted.existed,
                problem: None,
            },
            Err(problem) => Outcome {
                key,
                status: problem.status(profile).as_u16(),
                existed: None,
                problem: Some(problem.members(profile)),
            },
        }
    };
    let results = keys.into_iter().zip(refused).map(outcome).collect();
    Ok(json(StatusCode::OK, &Answer { results }))
}
