//! The options of a service, read off its own configuration type.
//!
//! OpenDAL ignores what it does not know, and a misspelt option would be a silent default. So the
//! names are taken from the type itself, and stay right when OpenDAL adds some.

use opendal::{Builder, Operator};
use serde_json::{Map, Value};

/// The options of a service with their defaults, `null` where there is none.
pub(crate) fn defaults<B: Builder>() -> Map<String, Value>
where
    B::Config: Default,
{
    match serde_json::to_value(B::Config::default()) {
        Ok(Value::Object(options)) => options,
        other => unreachable!("a configuration is an object: {other:?}"),
    }
}

/// The operator of a service.
pub(crate) fn operator<B: Builder>(options: Vec<(String, String)>) -> opendal::Result<Operator> {
    Operator::from_iter::<B>(options)
}

/// The text that OpenDAL parses; `None` for what no option can be.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
