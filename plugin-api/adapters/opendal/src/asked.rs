//! Whether a server answered the part of an object that was asked for.

use crate::provider_reply::text;
use http::{Request, Response, StatusCode, header};
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, Result};

/// What a request for a part of an object is owed. A server that answers it with the whole, or
/// with another part, would otherwise put wrong bytes into a right-looking stream.
pub(crate) struct Asked(Option<Range>);

enum Range {
    From(u64),
    Last,
}

impl Asked {
    pub(crate) fn of(request: &Request<Buffer>) -> Self {
        let range = (request.method() == http::Method::GET)
            .then(|| {
                let headers = request.headers();
                text(headers, header::RANGE.as_str()).or_else(|| text(headers, "x-ms-range"))
            })
            .flatten();
        Self(range.and_then(|range| {
            let (start, _) = range.strip_prefix("bytes=")?.split_once('-')?;
            match start {
                "" => Some(Range::Last),
                start => start.parse().ok().map(Range::From),
            }
        }))
    }

    pub(crate) fn check(&self, response: &Response<HttpBody>) -> Result<()> {
        let Some(range) = &self.0 else { return Ok(()) };
        let answered = text(response.headers(), "content-range");
        let (start, size) = answered.as_deref().map_or((None, None), part_of);
        // Some servers (Azurite) cut a range that begins at the end to no bytes instead of refusing
        // it, and say so with a range that ends before it begins.
        let past = match (range, size) {
            (Range::From(asked), Some(size)) => *asked >= size,
            (Range::Last, Some(size)) => size == 0,
            (_, None) => false,
        };
        // Others (Swift) answer any range of an empty object with the whole of it.
        let length = text(response.headers(), header::CONTENT_LENGTH.as_str());
        let empty = length.as_deref() == Some("0");
        let right = match (response.status(), range, start) {
            (StatusCode::PARTIAL_CONTENT, ..) if past => return Err(past_the_end()),
            (StatusCode::OK, ..) if empty => return Err(past_the_end()),
            (StatusCode::PARTIAL_CONTENT, Range::From(asked), Some(start)) => start == *asked,
            (StatusCode::PARTIAL_CONTENT, Range::Last, Some(_)) => true,
            // The whole is what was asked for, whatever the length.
            (StatusCode::OK, Range::From(0), None) => true,
            _ => false,
        };
        if right {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unexpected,
            "the server answered another range than was asked",
        )
        .with_context("status", response.status().as_u16())
        .with_context(
            "content_range",
            answered.unwrap_or_else(|| "none".to_owned()),
        ))
    }
}

fn past_the_end() -> Error {
    Error::new(
        ErrorKind::RangeNotSatisfied,
        "the server answered a range past the end with no bytes",
    )
}

/// The first byte of a part and the size of the whole, of `bytes 10-19/1000`.
fn part_of(content_range: &str) -> (Option<u64>, Option<u64>) {
    let part = content_range.strip_prefix("bytes ");
    let (range, size) = part
        .and_then(|part| part.split_once('/'))
        .unwrap_or_default();
    let start = range.split_once('-').map(|(start, _)| start.trim());
    (
        start.and_then(|start| start.parse().ok()),
        size.parse().ok(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(range: &str, status: u16, content_range: Option<&str>) -> Option<ErrorKind> {
        answer_of(range, status, content_range, 1)
    }

    fn answer_of(
        range: &str,
        status: u16,
        content_range: Option<&str>,
        length: u64,
    ) -> Option<ErrorKind> {
        let request = Request::get("http://h/k")
            .header("range", range)
            .body(Buffer::new());
        let mut response = Response::builder().status(status);
        response = response.header("content-length", length);
        if let Some(value) = content_range {
            response = response.header("content-range", value);
        }
        let body = HttpBody::new(futures_util::stream::iter([]), Some(0));
        Asked::of(&request.unwrap())
            .check(&response.body(body).unwrap())
            .err()
            .map(|error| error.kind())
    }

    #[test]
    fn another_part_than_was_asked_is_refused() {
        let other = Some(ErrorKind::Unexpected);
        for (range, status, content_range, refused) in [
            ("bytes=10-19", 206, Some("bytes 10-19/1000"), None),
            ("bytes=10-19", 206, Some("bytes 10-19/*"), None),
            ("bytes=-5", 206, Some("bytes 995-999/1000"), None),
            ("bytes=0-", 200, None, None),
            ("bytes=10-19", 200, None, other),
            ("bytes=10-19", 206, Some("bytes 0-9/1000"), other),
            ("bytes=10-19", 206, None, other),
        ] {
            let found = answer(range, status, content_range);
            assert_eq!(found, refused, "{range}: {status}, {content_range:?}");
        }
    }

    #[test]
    fn a_part_past_the_end_is_no_part() {
        let past = Some(ErrorKind::RangeNotSatisfied);
        for (range, content_range) in [
            ("bytes=5-", "bytes 5-4/5"),
            ("bytes=5-9", "bytes 5-4/5"),
            ("bytes=0-9", "bytes 0--1/0"),
            ("bytes=-1", "bytes 0--1/0"),
        ] {
            assert_eq!(answer(range, 206, Some(content_range)), past, "{range}");
        }
        assert_eq!(answer("bytes=4-", 206, Some("bytes 4-4/5")), None);
        assert_eq!(answer_of("bytes=-1", 200, None, 0), past);
        assert_eq!(answer_of("bytes=0-9", 200, None, 0), past);
    }
}
