//! `POST /v1/{backend}` of a `multipart/form-data` form: how browsers upload.
//!
//! ```html
//! <form method="post" action="/v1/avatars" enctype="multipart/form-data">
//!   <input name="key" value="u/7/"><input name="file" type="file" multiple>
//! </form>
//! ```
//!
//! The field `key` stands before the files. One that ends in `/`, or none, is a prefix for the names
//! of the files; any other is the key of the only file.

use axum::body::Body;
use axum::response::Response;
use futures_util::TryStreamExt;
use holdall::{Error, ErrorKind, Upload, implied_content_type};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Stored, json};
use crate::access::Scope;
use crate::body::of_client;
use crate::call::Call;
use crate::problem::Problem;
use crate::query::Query;
use crate::target::Target;

/// Most files of one form.
const MOST_FILES: usize = 1000;
/// Longest field that is no file: a key.
const MOST_KEY: u64 = 4096;

#[derive(Serialize, ToSchema)]
#[schema(as = StoredFiles)]
pub(crate) struct Answer {
    stored: Vec<Stored>,
}

pub(crate) async fn handle(
    call: Call,
    target: Target,
    query: Query,
    request: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    query.finish()?;
    let content_type = request
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|_| {
        Problem::invalid("a POST here is a form of multipart/form-data, or has ?delete")
    })?;
    let constraints = Constraints::new().size_limit(SizeLimit::new().for_field("key", MOST_KEY));
    let stream = body.into_data_stream().map_err(of_client);
    let mut form = Multipart::with_constraints(stream, boundary, constraints);
    let mut key: Option<String> = None;
    let mut stored = Vec::new();
    while let Some(field) = form.next_field().await.map_err(of_form)? {
        match (field.name(), field.file_name()) {
            (Some("key"), None) if key.is_none() && stored.is_empty() => {
                key = Some(field.text().await.map_err(of_form)?);
            }
            (Some("key"), None) => {
                return Err(Problem::invalid(
                    "the field \"key\" stands once, before every file",
                ));
            }
            (_, Some(_)) if stored.len() < MOST_FILES => {
                stored.push(store(&call, &target, key.as_deref(), &stored, field).await?);
            }
            (_, Some(_)) => {
                return Err(Problem::invalid(format!(
                    "a form has at most {MOST_FILES} files"
                )));
            }
            (name, None) => {
                return Err(Problem::invalid(format!(
                    "a form has a field \"key\" and files, found a field {:?}",
                    name.unwrap_or_default()
                )));
            }
        }
    }
    if stored.is_empty() {
        return Err(Problem::invalid("the form has no file"));
    }
    Ok(json(StatusCode::OK, &Answer { stored }))
}

async fn store(
    call: &Call,
    target: &Target,
    key: Option<&str>,
    before: &[Stored],
    field: Field<'static>,
) -> Result<Stored, Problem> {
    let key = key.unwrap_or_default();
    let key = match key.is_empty() || key.ends_with('/') {
        // Some browsers send the whole path of the user's disk.
        true => {
            let name = field.file_name().unwrap_or_default();
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
            format!("{key}{name}")
        }
        false if before.is_empty() => key.to_owned(),
        false => {
            return Err(Problem::invalid(
                "a form of several files has a \"key\" that ends in \"/\"",
            ));
        }
    };
    call.may(Scope::Write, &target.backend, &key)?;
    let backend = call.backend_named(&target.backend)?;
    let content_type = field
        .content_type()
        .map(ToString::to_string)
        .or_else(|| implied_content_type(&*key).map(str::to_owned));
    let body = holdall::Body::stream(field.map_err(of_form));
    let mut upload = Upload::new(&*key, body);
    if let Some(content_type) = &content_type {
        upload = upload.content_type(content_type);
    }
    let uploaded = backend.upload(upload).await?;
    Ok(Stored::uploaded(&key, uploaded))
}

/// What is wrong with a form, or with the connection that it comes over.
fn of_form(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Error>() {
            Ok(error) => *error,
            Err(cause) => Error::new(ErrorKind::Cancelled).because(cause),
        },
        multer::Error::FieldSizeExceeded { limit, .. } => Error::new(ErrorKind::TooLarge)
            .with_message("a field of the form is too long")
            .with_fact("limit", limit),
        error => Error::invalid("the body is no form of multipart/form-data").because(error),
    }
}
