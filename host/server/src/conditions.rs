//! Conditional requests: RFC 9110, 13, in its order of precedence.
//!
//! Reads are judged here, on the facts that come with the bytes: every backend answers them then,
//! whatever it claims, and lists and weak etags mean what they should. Writes must be judged where
//! the object is replaced: one condition is handed over as it is, anything else is judged on the
//! object of now and bound to its etag.

use std::time::SystemTime;

use holdall::{Backend, Error, ErrorKind, Head, ObjectInfo};
use http::header::{
    AsHeaderName, HeaderMap, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

use crate::headers::modified;
use crate::problem::Problem;

/// What a request demands of the object as it is.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
}

/// What becomes of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    Go,
    NotModified,
    Failed,
}

/// What the backend has to hold to while it writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Nothing,
    CreateOnly,
    IfMatch(String),
}

impl Conditions {
    /// # Errors
    ///
    /// 400: a list of etags that is none. A date that is none is ignored (13.1.3).
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: tags(headers, IF_MATCH)?,
            if_none_match: tags(headers, IF_NONE_MATCH)?,
            if_modified_since: date(headers, IF_MODIFIED_SINCE),
            if_unmodified_since: date(headers, IF_UNMODIFIED_SINCE),
        })
    }

    /// Whether a write is bound by nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_unmodified_since.is_none()
    }

    /// Whether the client has a copy and asks if it is still good.
    pub(crate) fn revalidates(&self) -> bool {
        self.if_none_match.is_some() || self.if_modified_since.is_some()
    }

    /// Judges a read of an object that is there (13.2.2).
    pub(crate) fn judge(&self, info: &ObjectInfo) -> Evaluation {
        let etag = info.etag.as_deref();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.match_etag(etag, false) => return Evaluation::Failed,
            (None, Some(date)) if modified(info).is_some_and(|at| at > date) => {
                return Evaluation::Failed;
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.match_etag(etag, true) => Evaluation::NotModified,
            (None, Some(date)) if modified(info).is_some_and(|at| at <= date) => {
                Evaluation::NotModified
            }
            _ => Evaluation::Go,
        }
    }

    /// Whether the request is bound to there being no such object.
    pub(crate) fn want_absence(&self) -> bool {
        self.if_none_match.is_some()
    }

    /// The only condition that a request which stores several objects may have: whether none of them
    /// may exist yet.
    ///
    /// # Errors
    ///
    /// 400: any other condition.
    pub(crate) fn create_only(&self) -> Result<bool, Problem> {
        match (
            &self.if_match,
            &self.if_none_match,
            self.if_unmodified_since,
        ) {
            (None, None, None) => Ok(false),
            (None, Some(Tags::Any), None) => Ok(true),
            _ => Err(Problem::invalid(
                "a request for several objects takes no condition but If-None-Match: *",
            )),
        }
    }

    /// What a write or a delete has to be bound to. With `early` every condition is judged now, so that
    /// a request that must fail does so before its body is asked for.
    ///
    /// # Errors
    ///
    /// 412, when the object of now does not fit; why the backend has no answer.
    pub(crate) async fn bind(
        &self,
        backend: &Backend,
        key: &str,
        early: bool,
    ) -> Result<Bound, Problem> {
        match (
            &self.if_match,
            &self.if_none_match,
            self.if_unmodified_since,
        ) {
            (None, None, None) => return Ok(Bound::Nothing),
            _ if early => {}
            (None, Some(Tags::Any), None) => return Ok(Bound::CreateOnly),
            (Some(Tags::These(tags)), None, _) => {
                if let [tag] = tags.as_slice()
                    && !tag.weak
                {
                    return Ok(Bound::IfMatch(tag.text.clone()));
                }
            }
            _ => {}
        }
        match backend.head(Head::new(key)).await {
            Ok(info) => self.bind_present(info),
            Err(error) if error.kind() == ErrorKind::FileNotFound => self.bind_absent(),
            Err(error) => Err(error.into()),
        }
    }

    fn bind_present(&self, info: ObjectInfo) -> Result<Bound, Problem> {
        // For anything but a read an etag of If-None-Match that is there fails too (13.1.2), and
        // If-Modified-Since says nothing (13.1.3).
        let timeless = Self {
            if_modified_since: None,
            if_match: self.if_match.clone(),
            if_none_match: self.if_none_match.clone(),
            if_unmodified_since: self.if_unmodified_since,
        };
        if timeless.judge(&info) != Evaluation::Go {
            return Err(Problem::precondition_failed());
        }
        let etag = info.etag.ok_or_else(|| {
            Error::unsupported(
                "the backend gives this object no etag, so nothing can be bound to it",
            )
        })?;
        Ok(Bound::IfMatch(etag))
    }

    fn bind_absent(&self) -> Result<Bound, Problem> {
        if self.if_match.is_some() {
            return Err(Problem::precondition_failed());
        }
        Ok(Bound::CreateOnly)
    }
}

/// Whether `If-Range` allows the range: it is absent, or names the object as it is (13.1.5).
pub(crate) fn if_range(headers: &HeaderMap, info: &ObjectInfo) -> bool {
    let Some(value) = headers.get(IF_RANGE) else {
        return true;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    match tag(text.trim()) {
        Some((tag, "")) => tag.matches(info.etag.as_deref(), false),
        // A date is weak: an object may change twice in one second (8.8.2.2), and the parts of two
        // objects must not be joined.
        _ => false,
    }
}

fn tags(headers: &HeaderMap, name: http::HeaderName) -> Result<Option<Tags>, Problem> {
    let lines: Result<Vec<_>, _> = headers
        .get_all(&name)
        .iter()
        .map(|line| line.to_str())
        .collect();
    let lines = lines.map_err(|_| Problem::invalid(format!("{name} is not ASCII")))?;
    match lines.as_slice() {
        [] => Ok(None),
        lines => Ok(Some(Tags::parse(name.as_str(), lines)?)),
    }
}

fn date(headers: &HeaderMap, name: impl AsHeaderName) -> Option<SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

/// An etag that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) weak: bool,
    /// In quotes, without `W/`.
    pub(crate) text: String,
}

impl Tag {
    /// Whether it is this etag. `weakly`: `W/` makes no difference (RFC 9110, 8.8.3.2).
    fn matches(&self, etag: Option<&str>, weakly: bool) -> bool {
        let Some(etag) = etag else { return false };
        let strong = match weakly {
            true => etag.strip_prefix("W/").unwrap_or(etag),
            false => etag,
        };
        (weakly || !self.weak) && strong == self.text
    }
}

/// `*`, or a list of etags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    Any,
    These(Vec<Tag>),
}

impl Tags {
    /// Whether one of them is this etag. `weakly`: for caches, where `W/` makes no difference.
    pub(crate) fn match_etag(&self, etag: Option<&str>, weakly: bool) -> bool {
        match self {
            Tags::Any => true,
            Tags::These(tags) => tags.iter().any(|tag| tag.matches(etag, weakly)),
        }
    }

    /// Reads a header's lines.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`: no list of etags.
    pub(crate) fn parse(name: &str, lines: &[&str]) -> Result<Self, Error> {
        if let [one] = lines
            && one.trim() == "*"
        {
            return Ok(Tags::Any);
        }
        let wrong = || {
            Error::invalid(format!(
                "{name} is \"*\" or a list of etags in quotes, such as \"\\\"abc\\\"\""
            ))
        };
        let mut tags = Vec::new();
        for line in lines {
            let mut rest = line.trim();
            while !rest.is_empty() {
                let (tag, after) = tag(rest).ok_or_else(wrong)?;
                tags.push(tag);
                rest = after.trim_start();
                match rest.strip_prefix(',') {
                    Some(next) => rest = next.trim_start(),
                    None if rest.is_empty() => {}
                    None => return Err(wrong()),
                }
            }
        }
        if tags.is_empty() {
            return Err(wrong());
        }
        Ok(Tags::These(tags))
    }
}

/// The first etag of a text, and what follows it.
pub(crate) fn tag(text: &str) -> Option<(Tag, &str)> {
    let opaque = text.strip_prefix("W/");
    let (text, weak) = (opaque.unwrap_or(text), opaque.is_some());
    let (inner, rest) = text.strip_prefix('"')?.split_once('"')?;
    let text = format!("\"{inner}\"");
    Some((Tag { weak, text }, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use Evaluation::{Failed, Go, NotModified};

    /// The object of all tests: etag `e`, changed half a second after this date.
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn info() -> ObjectInfo {
        let mut info = ObjectInfo::new(7);
        info.etag = Some("\"e\"".to_owned());
        info.last_modified = httpdate::parse_http_date(THEN).ok();
        info.last_modified = info.last_modified.map(|at| at + Duration::from_millis(500));
        info
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn precedence() {
        let table: &[(&[(&str, &str)], Evaluation)] = &[
            (&[], Go),
            (&[("if-match", "\"e\"")], Go),
            (&[("if-match", "*")], Go),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "W/\"e\"")], Failed),
            (&[("if-none-match", "\"e\"")], NotModified),
            (&[("if-none-match", "W/\"e\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\"")], Go),
            (&[("if-modified-since", THEN)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Go),
            (&[("if-modified-since", "yesterday")], Go),
            (&[("if-unmodified-since", THEN)], Go),
            (&[("if-unmodified-since", BEFORE)], Failed),
            // The finer header decides, the coarser one is not looked at.
            (
                &[("if-none-match", "\"x\""), ("if-modified-since", THEN)],
                Go,
            ),
            (
                &[("if-match", "\"e\""), ("if-unmodified-since", BEFORE)],
                Go,
            ),
            // If-Match comes first.
            (&[("if-match", "\"x\""), ("if-none-match", "\"e\"")], Failed),
            (
                &[("if-match", "\"e\""), ("if-none-match", "\"e\"")],
                NotModified,
            ),
        ];
        for (pairs, verdict) in table {
            let conditions = Conditions::of(&headers(pairs)).unwrap();
            assert_eq!(conditions.judge(&info()), *verdict, "{pairs:?}");
        }
        assert!(Conditions::of(&headers(&[("if-match", "e")])).is_err());
    }

    #[test]
    fn writes_are_bound_to_what_was_judged() {
        let bound = |pairs: &[(&'static str, &str)], there: bool| {
            let conditions = Conditions::of(&headers(pairs)).unwrap();
            match there {
                true => conditions.bind_present(info()).ok(),
                false => conditions.bind_absent().ok(),
            }
        };
        let e = || Some(Bound::IfMatch("\"e\"".to_owned()));
        assert_eq!(bound(&[("if-match", "*")], true), e());
        assert_eq!(bound(&[("if-match", "*")], false), None);
        assert_eq!(bound(&[("if-match", "\"x\", \"e\"")], true), e());
        assert_eq!(bound(&[("if-none-match", "\"e\"")], true), None);
        assert_eq!(bound(&[("if-none-match", "\"x\"")], true), e());
        assert_eq!(
            bound(&[("if-none-match", "\"x\"")], false),
            Some(Bound::CreateOnly)
        );
        assert_eq!(bound(&[("if-unmodified-since", THEN)], true), e());
        assert_eq!(bound(&[("if-unmodified-since", BEFORE)], true), None);
        assert_eq!(
            bound(&[("if-unmodified-since", THEN)], false),
            Some(Bound::CreateOnly)
        );
    }

    #[test]
    fn if_range_needs_the_very_same_object() {
        for (value, allowed) in [
            ("\"e\"", true),
            ("W/\"e\"", false),
            ("\"x\"", false),
            (THEN, false),
            ("e", false),
        ] {
            assert_eq!(
                if_range(&headers(&[("if-range", value)]), &info()),
                allowed,
                "{value}"
            );
        }
        assert!(if_range(&HeaderMap::new(), &info()));
    }

    #[test]
    fn lists() {
        let tags = Tags::parse("If-Match", &["\"a\" , W/\"b\",", "\"c,d\""]).unwrap();
        assert!(tags.match_etag(Some("\"a\""), false));
        assert!(
            !tags.match_etag(Some("\"b\""), false),
            "a weak one is no proof"
        );
        assert!(tags.match_etag(Some("\"b\""), true));
        assert!(tags.match_etag(Some("\"c,d\""), false));
        assert!(!tags.match_etag(None, true));
        // A weak etag of a store.
        assert!(tags.match_etag(Some("W/\"a\""), true));
        assert!(!tags.match_etag(Some("W/\"a\""), false));
        assert_eq!(Tags::parse("If-Match", &[" * "]).unwrap(), Tags::Any);
        for wrong in ["abc", "\"a", "\"a\" \"b\"", "", "*, \"a\"", "w/\"a\""] {
            assert!(Tags::parse("If-Match", &[wrong]).is_err(), "{wrong}");
        }
    }
}
