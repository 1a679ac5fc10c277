//! Addresses: `BACKEND:KEY`, split at the first colon.

use std::fmt;
use std::str::FromStr;

use holdall::config::is_backend_name;

use crate::failure::Failure;

/// Where an object is: the name of a backend and a key in it.
///
/// The key is taken as it stands, further colons included, and is not checked here: which keys are
/// allowed is the backend's policy. No backend before the colon means the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Empty for the default backend.
    pub(crate) backend: String,
    /// May be empty where a prefix is meant.
    pub(crate) key: String,
}

impl Address {
    /// The key, where an object is meant.
    pub(crate) fn object(&self) -> Result<&str, Failure> {
        match self.key.as_str() {
            "" => Err(Failure::usage(format!(
                "{self} names no object: expected BACKEND:KEY"
            ))),
            key => Ok(key),
        }
    }

    /// The key of a file that is stored here: one that is empty or ends in `/` gets the file's
    /// name at its end, as a folder does with `cp`.
    pub(crate) fn for_file(&self, name: Option<&str>) -> Result<String, Failure> {
        if !self.key.is_empty() && !self.key.ends_with('/') {
            return Ok(self.key.clone());
        }
        match name {
            Some(name) => Ok(format!("{}{name}", self.key)),
            None => Err(Failure::usage(format!(
                "{self} ends without a name, and the source has none: write the whole key"
            ))),
        }
    }

    /// The prefix of everything below this, where a folder is meant: `logs` and `logs/` are the
    /// same, and `logs-old/x` is in neither.
    pub(crate) fn folder(&self) -> String {
        match self.key.as_str() {
            "" => String::new(),
            key if key.ends_with('/') => key.to_owned(),
            key => format!("{key}/"),
        }
    }

    /// Another key in the same backend.
    pub(crate) fn with_key(&self, key: impl Into<String>) -> Self {
        Self {
            backend: self.backend.clone(),
            key: key.into(),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((backend, key)) = text.split_once(':') else {
            let default = crate::app::default_backend_name();
            let meant = match is_backend_name(text) {
                true => format!("{text}: or {default}:{text}"),
                false => format!("{default}:{text}"),
            };
            return Err(format!(
                "an address is BACKEND:KEY, such as {default}:docs/a.txt, and {text:?} has no colon; \
                 did you mean {meant}?"
            ));
        };
        if !backend.is_empty() && !is_backend_name(backend) {
            return Err(format!(
                "{backend:?} cannot name a backend: 1 to 63 characters of a-z, 0-9 and \"-\", not \"-\" first"
            ));
        }
        Ok(Self {
            backend: backend.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.backend, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_colon_splits() {
        for (text, backend, key) in [
            ("local:a", "local", "a"),
            ("local:a:b", "local", "a:b"),
            ("s3-eu:", "s3-eu", ""),
            (":a", "", "a"),
            ("local:/a", "local", "/a"),
            ("local: a", "local", " a"),
        ] {
            let found = address(text);
            assert_eq!((&*found.backend, &*found.key), (backend, key), "{text}");
            assert_eq!(found.to_string(), text);
        }
    }

    #[test]
    fn mistakes_say_how_it_is_done() {
        for (text, word) in [
            ("file.txt", "local:file.txt"),
            ("", "BACKEND:KEY"),
            ("s3", "did you mean s3: or local:s3?"),
            ("Local:a", "a-z"),
            ("-x:a", "not \"-\" first"),
            ("a/b:c", "cannot name a backend"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        let long = format!("{}:a", "b".repeat(64));
        assert!(long.parse::<Address>().is_err());
    }

    #[test]
    fn a_folder_takes_the_name_of_the_file() {
        assert_eq!(address("l:").for_file(Some("a.txt")).unwrap(), "a.txt");
        assert_eq!(address("l:d/").for_file(Some("a.txt")).unwrap(), "d/a.txt");
        assert_eq!(address("l:d").for_file(Some("a.txt")).unwrap(), "d");
        assert!(address("l:d/").for_file(None).is_err());
        assert_eq!(address("l:d").for_file(None).unwrap(), "d");
    }

    #[test]
    fn a_folder_ends_in_a_slash() {
        assert_eq!(address("l:").folder(), "");
        assert_eq!(address("l:logs").folder(), "logs/");
        assert_eq!(address("l:logs/").folder(), "logs/");
        assert!(address("l:").object().is_err());
    }
}
