//! The query of a request: known parameters, each at most once.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::problem::Problem;
use crate::target::decode;

/// Parameters that were not taken yet. [`Query::finish`] refuses the rest: a misspelt
/// `must_exist` that is dropped in silence would change what the request means.
#[derive(Debug, Default)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// Reads `a=b&c`. A `+` is a space, as forms and most clients write it.
    fn of(query: &str) -> Result<Self, Problem> {
        let text = |text: &str| decode(&text.replace('+', " ")).map_err(Problem::invalid);
        let mut parameters: Vec<(String, String)> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (name, value) = (text(name)?, text(value)?);
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid(format!(
                    "the parameter {name:?} stands twice"
                )));
            }
            parameters.push((name, value));
        }
        Ok(Self {
            parameters,
            known: Vec::new(),
        })
    }

    /// Takes a parameter; `None` when it is absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let at = self.parameters.iter().position(|(it, _)| it == name)?;
        Some(self.parameters.swap_remove(at).1)
    }

    /// Takes a parameter that is there or not; `=true` and `=false` say it in full.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(Problem::invalid(format!(
                "{name} is \"true\", \"false\" or nothing, found {other:?}"
            ))),
        }
    }

    /// Whether this parameter is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(it, _)| it == name)
    }

    /// # Errors
    ///
    /// 400: a parameter that the request does not have.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.parameters.first() else {
            return Ok(());
        };
        let known = match self.known.as_slice() {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        Err(Problem::invalid(format!(
            "unknown parameter {name:?}; this request has: {known}"
        )))
    }
}

/// A signed URL is verified as a whole: nothing in its query is a parameter of the request.
impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let call = parts.extensions.get::<crate::call::Call>();
        let signed = call.is_some_and(|call| call.access.grant().is_some());
        match parts.uri.query() {
            Some(query) if !signed => Self::of(query),
            _ => Ok(Self::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once_and_counted() {
        let mut query = Query::of("list&prefix=a%2Bb+c%252F&limit=&&x=1=2").unwrap();
        assert_eq!(query.take("prefix").as_deref(), Some("a+b c%2F"));
        assert!(query.flag("list").unwrap());
        assert!(!query.flag("deep").unwrap());
        assert_eq!(query.take("limit").as_deref(), Some(""));
        assert_eq!(query.take("x").as_deref(), Some("1=2"));
        query.finish().unwrap();
    }

    #[test]
    fn slips_are_reported() {
        let mut query = Query::of("must_exists=true").unwrap();
        assert!(!query.flag("must_exist").unwrap());
        let Problem::Storage(error) = query.finish().unwrap_err() else {
            panic!("another problem");
        };
        assert!(
            error
                .message()
                .contains("\"must_exists\"; this request has: must_exist")
        );
        assert!(Query::of("a=1&a=2").is_err());
        assert!(Query::of("a=%").is_err());
        assert!(Query::of("a=%ff").is_err());
        assert!(Query::of("list=yes").unwrap().flag("list").is_err());
    }
}
