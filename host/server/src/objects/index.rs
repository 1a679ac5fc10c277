//! `GET` of a path that ends in `/`: the names below it, for people and for programs that follow links.
//!
//! Only for the backends of `[server.index]`. HTML, or JSON where `Accept` prefers it.

use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdall::{Error, Page};
use http::StatusCode;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
    VARY,
};
use quick_xml::escape::escape;
use serde::Serialize;

use super::answer::date;
use super::list::pages;
use crate::call::{Call, Query, Target, encoded};
use crate::problem::Problem;
use crate::rights::Scope;

/// The page runs nothing and asks for nothing.
const NOTHING_ELSE: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'");

/// Whether this request asks for an index.
pub(super) fn is_asked(call: &Call, target: &Target, query: &Query) -> bool {
    let directory = target.key.is_empty() || target.key.ends_with('/');
    directory && query.is_empty() && call.settings.index.contains(&target.backend)
}

/// One name of an index.
#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

pub(super) async fn handle(
    call: &Call,
    target: &Target,
    path: &str,
    request: &HeaderMap,
) -> Result<Response, Problem> {
    call.may(Scope::List, &target.backend, &target.key)?;
    let backend = call.backend_named(&target.backend)?;
    if !path.ends_with('/') {
        // Links are relative to the last "/".
        let location = HeaderValue::try_from(format!("{path}/"));
        let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
        if let Ok(location) = location {
            response.headers_mut().insert(LOCATION, location);
        }
        return Ok(response);
    }
    let mut more = Box::pin(pages(backend, target.key.clone(), true));
    let page = more.try_next().await?.unwrap_or_default();
    let nothing = page.entries.is_empty() && page.common_prefixes.is_empty() && page.next.is_none();
    if nothing && !target.key.is_empty() {
        return Err(Error::not_found().into());
    }
    let json = prefers_json(request);
    let prefix = target.key.clone();
    let mut first = true;
    let mut of_page = move |page: Page| {
        let mut text = String::new();
        for named in names(&page, &prefix) {
            match json {
                true => {
                    text += if first { "" } else { ",\n" };
                    text += &serde_json::to_string(&named).unwrap_or_default();
                }
                false => write_link(&mut text, &named),
            }
            first = false;
        }
        text
    };
    let (start, end) = match json {
        true => ("[".to_owned(), "]\n"),
        false => (head(target), "</ul>\n"),
    };
    let start = start + &of_page(page);
    let rest = more.map_ok(of_page);
    let parts = stream::iter([Ok(start)])
        .chain(rest)
        .chain(stream::iter([Ok(end.to_owned())]));
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    let content_type = match json {
        true => "application/json",
        false => "text/html; charset=utf-8",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_SECURITY_POLICY, NOTHING_ELSE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn names<'a>(page: &'a Page, prefix: &'a str) -> impl Iterator<Item = Named<'a>> {
    let directories = page.common_prefixes.iter();
    let directories = directories.filter_map(move |it| it.strip_prefix(prefix));
    let directories = directories.map(|name| Named {
        name,
        r#type: "directory",
        size: None,
        last_modified: None,
        etag: None,
    });
    let objects = page.entries.iter().filter_map(move |entry| {
        let name = entry.key.strip_prefix(prefix)?;
        // The marker of the directory itself.
        (!name.is_empty()).then(|| Named {
            name,
            r#type: "file",
            size: Some(entry.size),
            last_modified: entry.last_modified.and_then(date),
            etag: entry.etag.clone(),
        })
    });
    directories.chain(objects)
}

fn head(target: &Target) -> String {
    let title = format!("{}/{}", target.backend, target.key);
    let title = escape(title);
    let parent = match target.key.is_empty() {
        true => "",
        false => "<li><a href=\"../\">../</a>\n",
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<ul>\n{parent}"
    )
}

fn write_link(text: &mut String, named: &Named<'_>) {
    // With "./" before it a name with a ":" is no URL of its own.
    let (link, name) = (encoded(named.name), escape(named.name));
    // Writing to a String does not fail.
    let _ = write!(text, "<li><a href=\"./{link}\">{name}</a>");
    if let Some(size) = named.size {
        let _ = write!(text, " {size} bytes");
    }
    if let Some(date) = &named.last_modified {
        let _ = write!(text, ", {date}");
    }
    text.push('\n');
}

/// Whether `application/json` is wanted more than `text/html`.
fn prefers_json(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges = lines.filter_map(|line| line.to_str().ok());
    let ranges: Vec<_> = ranges.flat_map(|line| line.split(',')).collect();
    let weight = |wanted: &str| {
        let of = |range: &&str| {
            let mut parts = range.split(';').map(str::trim);
            let same = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|it| it.strip_prefix("q=")?.parse::<f32>().ok());
            same.then_some(weight.unwrap_or(1.0))
        };
        ranges.iter().find_map(of).unwrap_or(0.0)
    };
    weight("application/json") > weight("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_prefer_it() {
        for (accept, json) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), true),
            (Some("text/html, application/json"), false),
            (Some("text/html;q=0.5, Application/JSON"), true),
            (Some("application/json;q=0"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(prefers_json(&headers), json, "{accept:?}");
        }
    }
}
