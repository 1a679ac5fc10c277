//! `POST /v1/{backend}` of a `multipart/form-data` form: how browsers upload.
//!
//! ```html
//! <form method="post" action="/v1/avatars" enctype="multipart/form-data">
//!   <input name="key" value="u/7/"><input name="file" type="file" multiple>
//! </form>
//! ```
//!
//! The field `key` stands before the files. One that ends in `/`, or none, is a prefix for the names
//! of the files, which may be paths, as of a folder that is uploaded; any other is the key of the only
//! file. The files are stored one after the other. When one fails, the problem names its key, and
//! those that were stored before it in `stored`; none after it is.

use axum::body::Body;
use axum::response::Response;
use futures_util::TryStreamExt;
use holdall::{Backend, Error, ErrorKind, Upload, implied_content_type};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Stored, json};
use crate::body::UploadStream;
use crate::call::{Call, Query, Target};
use crate::conditions::Conditions;
use crate::problem::{self, Problem};
use crate::rights::Scope;

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
    // Before the body is read.
    let backend = call.backend_for_some_key(Scope::Write, &target.backend)?;
    let create_only = Conditions::of(&request)?.create_only()?;
    let content_type = request
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|_| {
        Problem::invalid("a POST here is a form of multipart/form-data, or has ?delete")
    })?;
    let constraints = Constraints::new().size_limit(SizeLimit::new().for_field("key", MOST_KEY));
    let stream = UploadStream(body.into_data_stream());
    let mut form = Form {
        call,
        target,
        backend,
        create_only,
        key: None,
        stored: Vec::new(),
    };
    match form
        .store_all(Multipart::with_constraints(stream, boundary, constraints))
        .await
    {
        Ok(()) => Ok(json(
            StatusCode::OK,
            &Answer {
                stored: form.stored,
            },
        )),
        Err(problem) => {
            let stored = serde_json::to_value(form.stored).unwrap_or_default();
            let more = serde_json::Map::from_iter([("stored".to_owned(), stored)]);
            Ok(problem::with_members(problem, more))
        }
    }
}

/// A form while it is read.
struct Form {
    call: Call,
    target: Target,
    backend: Backend,
    create_only: bool,
    key: Option<String>,
    stored: Vec<Stored>,
}

impl Form {
    async fn store_all(&mut self, mut form: Multipart<'static>) -> Result<(), Problem> {
        while let Some(field) = form.next_field().await.map_err(of_form)? {
            match (field.name(), field.file_name()) {
                (Some("key"), None) if self.key.is_none() && self.stored.is_empty() => {
                    self.key = Some(field.text().await.map_err(of_form)?);
                }
                (Some("key"), None) => {
                    return Err(Problem::invalid(
                        "the field \"key\" stands once, before every file",
                    ));
                }
                (_, Some(_)) if self.stored.len() < MOST_FILES => self.store(field).await?,
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
        match self.stored.is_empty() {
            true => Err(Problem::invalid("the form has no file")),
            false => Ok(()),
        }
    }

    fn key_of(&self, field: &Field<'static>) -> Result<String, Problem> {
        let key = self.key.as_deref().unwrap_or_default();
        let key = match key.is_empty() || key.ends_with('/') {
            // Some browsers send the whole path on the user's disk, with the separators of Windows.
            true => {
                let name = field.file_name().unwrap_or_default();
                let name = name.rsplit('\\').next().unwrap_or_default();
                format!("{key}{name}")
            }
            false if self.stored.is_empty() => key.to_owned(),
            false => {
                return Err(Problem::invalid(
                    "a form of several files has a \"key\" that ends in \"/\"",
                ));
            }
        };
        if self.stored.iter().any(|stored| stored.key == key) {
            return Err(Problem::invalid(format!(
                "two files of the form have the key {key:?}"
            )));
        }
        Ok(key)
    }

    async fn store(&mut self, field: Field<'static>) -> Result<(), Problem> {
        let key = self.key_of(&field)?;
        self.call.may(Scope::Write, &self.target.backend, &key)?;
        let content_type = field
            .content_type()
            .map(ToString::to_string)
            .or_else(|| implied_content_type(&*key).map(str::to_owned));
        let body = holdall::Body::stream(field.map_err(of_form));
        let mut upload = Upload::new(&*key, body);
        if let Some(content_type) = &content_type {
            upload = upload.content_type(content_type);
        }
        if self.create_only {
            upload = upload.create_only();
        }
        let uploaded = self.backend.upload(upload).await?;
        self.stored.push(Stored::uploaded(&key, uploaded));
        Ok(())
    }
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
