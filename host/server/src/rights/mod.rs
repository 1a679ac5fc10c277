//! What may be done with which keys, and the tokens that carry such rights.

mod rule;
mod token;

pub use rule::{Rule, Scope};
pub use token::Token;
