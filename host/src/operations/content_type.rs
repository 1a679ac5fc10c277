//! Content types that follow from keys.

use crate::config::ContentTypePolicy;
use crate::policy::file_type::implied_content_type;
use holdall_plugin_api::{Error, Key, Result};

/// Whether a content type may be left out, because readers get the same from the key's extension
/// or because the configuration says that the extension decides.
///
/// # Errors
///
/// `Unsupported`: it would be lost.
pub(crate) fn may_drop(key: &Key, content_type: &str, policy: ContentTypePolicy) -> Result<()> {
    let implied = implied_content_type(key);
    if policy == ContentTypePolicy::ByExtension
        || implied.is_some_and(|implied| implied.eq_ignore_ascii_case(content_type.trim()))
    {
        return Ok(());
    }
    Err(Error::unsupported(
        "the backend keeps no content type, and the key's extension says another",
    )
    .with_fact("capability", "content_type")
    .with_fact("given", content_type)
    .with_fact("implied", implied.unwrap_or("none"))
    .with_fact(
        "fix",
        "content_type = \"by_extension\" in the backend's configuration",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;

    #[test]
    fn what_the_extension_says_is_no_loss() {
        let check = |key: &str, content_type, policy| {
            may_drop(Key::new(key), content_type, policy).map_err(|error| error.kind())
        };
        use ContentTypePolicy::{ByExtension, Exact};
        assert_eq!(check("a/b.png", "image/png", Exact), Ok(()));
        assert_eq!(check("a/b.PNG", "Image/PNG", Exact), Ok(()));
        for (key, content_type) in [
            ("a/b.png", "text/plain"),
            ("a.png/b", "image/png"),
            ("b.txt", "text/plain; charset=utf-8"),
        ] {
            let lost = Err(ErrorKind::Unsupported);
            assert_eq!(check(key, content_type, Exact), lost, "{key}");
            assert_eq!(check(key, content_type, ByExtension), Ok(()));
        }
    }
}
