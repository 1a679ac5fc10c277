//! `[gateway]`: where signed URLs lead, and the keys that sign them.

use std::collections::HashMap;

use super::file::{check_key_id, check_public_url};
use super::{
    ConfigProblems, Environment, Location, Problem, ProblemCode, SecretText, Secrets, reference,
};

/// The shortest secret of a key, in bytes.
pub const MIN_SECRET: usize = 16;

/// The gateway that signs URLs for backends that cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// Where clients reach the server, without a `/` at its end.
    pub public_url: String,
    /// The keys; the first signs, all verify. May be empty: nothing can be signed then.
    pub keys: Vec<GatewayKey>,
}

impl GatewayConfig {
    /// A gateway as a program configures it.
    ///
    /// Nothing is checked here; [`Gateway::new`](crate::gateway::Gateway::new) does.
    pub fn new(public_url: impl Into<String>) -> Self {
        Self {
            public_url: public_url.into(),
            keys: Vec::new(),
        }
    }

    /// Adds a key; the first that is added signs. The secret may be a reference.
    #[must_use]
    pub fn key(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.keys.push(GatewayKey {
            path: format!("gateway.keys[{}].secret", self.keys.len()),
            id: id.into(),
            secret: SecretText::new(secret),
            place: Location::Flag("the program's own configuration"),
        });
        self
    }

    /// Follows the references to secrets and checks every field.
    ///
    /// # Errors
    ///
    /// Every problem: `public_url` no http or https URL, an id twice or of characters that are not
    /// allowed, a secret that cannot be found or has less than [`MIN_SECRET`] bytes.
    pub(crate) fn resolve(
        &self,
        environment: &Environment,
        secrets: &Secrets,
    ) -> Result<GatewayKeys, ConfigProblems> {
        let mut resolved = GatewayKeys::default();
        let mut problems = Vec::new();
        // An empty URL was reported when the file was read.
        if !self.public_url.is_empty() {
            match check_public_url(&self.public_url, "gateway.public_url", &Location::Default) {
                Ok(url) => resolved.public_url = url,
                Err(problem) => problems.push(*problem),
            }
        }
        let mut ids: HashMap<&str, usize> = HashMap::new();
        for key in &self.keys {
            *ids.entry(&key.id).or_default() += 1;
        }
        for key in &self.keys {
            let path = key.path.clone();
            let id = check_key_id(&key.id, "gateway.keys", &key.place);
            problems.extend(id.err().map(|problem| *problem));
            match reference::resolve(key.secret.expose(), &path, &key.place, environment, secrets) {
                Ok(secret) if secret.expose().len() < MIN_SECRET => problems.push(
                    Problem::new(
                        ProblemCode::SecretTooShort,
                        path,
                        key.place.clone(),
                        format!("a secret of at least {MIN_SECRET} bytes"),
                        "a shorter one",
                    )
                    .fix("make one with: openssl rand -base64 32"),
                ),
                Ok(secret) => resolved.keys.push((key.id.clone(), secret)),
                Err(problem) => problems.push(*problem),
            }
            if ids[key.id.as_str()] > 1 {
                problems.push(Problem::new(
                    ProblemCode::Duplicate,
                    "gateway.keys",
                    key.place.clone(),
                    "an id that no other key has",
                    format!("{:?} more than once", key.id),
                ));
            }
        }
        let problems: ConfigProblems = problems.into_iter().collect();
        problems.into_result().map(|()| resolved)
    }
}

/// What a [`GatewayConfig`] resolves to.
#[derive(Default)]
pub(crate) struct GatewayKeys {
    pub(crate) public_url: String,
    /// Id and secret of each key, in order.
    pub(crate) keys: Vec<(String, SecretText)>,
}

/// One key of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayKey {
    /// Its id, which stands in every URL that it signs.
    pub id: String,
    /// Its secret, or a reference to it.
    pub secret: SecretText,
    /// Where it was written.
    pub place: Location,
    /// Dotted path of the secret.
    pub(crate) path: String,
}
