//! Where a listing goes on: a place between two keys, seen from any folder.

use holdall_plugin_api::{Error, Result};

/// A lower bound of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// This name and all after it.
    From(String),
    /// All names after this one.
    After(String),
    /// No name at all.
    Nothing,
}

impl Bound {
    pub(crate) fn admits(&self, name: &str) -> bool {
        match self {
            Bound::From(first) => name >= first.as_str(),
            Bound::After(last) => name > last.as_str(),
            Bound::Nothing => false,
        }
    }
}

/// Where a page ended: a name and not a count, so that objects may come and go between two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Before everything.
    Start,
    /// After this key.
    Key(String),
    /// After every key of this group.
    Group(String),
}

impl Cursor {
    pub(crate) fn parse(token: &str) -> Result<Self> {
        match token.split_at_checked(1) {
            Some(("k", key)) => Ok(Cursor::Key(key.to_owned())),
            Some(("g", group)) => Ok(Cursor::Group(group.to_owned())),
            _ => Err(Error::invalid("not a page token of this backend")),
        }
    }

    pub(crate) fn token(&self) -> Option<String> {
        match self {
            Cursor::Start => None,
            Cursor::Key(key) => Some(format!("k{key}")),
            Cursor::Group(group) => Some(format!("g{group}")),
        }
    }

    /// Which names of `folder` (empty, or ending in `/`) hold keys past the cursor.
    pub(crate) fn within(&self, folder: &str) -> Bound {
        let (Cursor::Key(text) | Cursor::Group(text)) = self else {
            return Bound::From(String::new());
        };
        match text.strip_prefix(folder) {
            // The folder itself, or the group that it is.
            Some("") => match self {
                Cursor::Group(_) => Bound::Nothing,
                _ => Bound::From(String::new()),
            },
            Some(rest) => match rest.split_once('/') {
                Some((name, "")) if matches!(self, Cursor::Group(_)) => {
                    Bound::After(format!("{name}/"))
                }
                // Deeper than this folder: what lies in that one may still be ahead.
                Some((name, _)) => Bound::From(format!("{name}/")),
                None => Bound::After(rest.to_owned()),
            },
            None if matches!(self, Cursor::Group(_)) && folder.starts_with(text.as_str()) => {
                Bound::Nothing
            }
            None if folder > text.as_str() => Bound::From(String::new()),
            None => Bound::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_seen_from_folders() {
        let from = |name: &str| Bound::From(name.to_owned());
        let after = |name: &str| Bound::After(name.to_owned());
        let key = Cursor::Key("b/c/d".into());
        assert_eq!(key.within(""), from("b/"));
        assert_eq!(key.within("b/"), from("c/"));
        assert_eq!(key.within("b/c/"), after("d"));
        assert_eq!(key.within("b/c/e/"), from(""));
        assert_eq!(key.within("a/"), Bound::Nothing);
        assert_eq!(key.within("c/"), from(""));
        let group = Cursor::Group("b/c/".into());
        assert_eq!(group.within("b/"), after("c/"));
        assert_eq!(group.within("b/c/"), Bound::Nothing);
        assert_eq!(group.within("b/c/x/"), Bound::Nothing);
        assert_eq!(group.within("b/d/"), from(""));
        assert_eq!(Cursor::Start.within("x/"), from(""));
        assert_eq!(Cursor::Key("b".into()).within("b/"), from(""));
    }

    #[test]
    fn tokens_lead_back_and_foreign_ones_are_refused() {
        for cursor in [Cursor::Key("é".into()), Cursor::Group("a/".into())] {
            let token = cursor.token().unwrap_or_default();
            assert_eq!(Cursor::parse(&token).unwrap(), cursor);
        }
        for token in ["", "x", "é"] {
            assert!(Cursor::parse(token).is_err(), "{token}");
        }
    }
}
