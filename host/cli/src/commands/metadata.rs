//! What is stored with an object beside its bytes.

use clap::Args;
use holdall::{Durability, UploadOptions, implied_content_type};

use crate::values;

/// Options of `put` that travel with the object.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Stored with the file")]
pub(crate) struct Metadata {
    /// The MIME type. Default: what the key's extension implies, else the file's.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// User metadata, names of a-z, 0-9 and "-"; may be repeated.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = values::pair)]
    metadata: Vec<(String, String)>,

    /// How caches treat the file.
    #[arg(long, value_name = "TEXT")]
    cache_control: Option<String>,

    /// How browsers offer the file.
    #[arg(long, value_name = "TEXT")]
    content_disposition: Option<String>,

    /// How the bytes are encoded; they are stored as they are.
    #[arg(long, value_name = "TEXT")]
    content_encoding: Option<String>,

    /// The language of the content.
    #[arg(long, value_name = "TAG")]
    content_language: Option<String>,

    /// When the file counts as stored. Default: as the backend is configured.
    #[arg(long, value_name = "WHEN")]
    durability: Option<When>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum When {
    /// When readers see it.
    None,
    /// When its data is on the medium.
    Data,
    /// When its data and name are on the medium.
    Full,
}

impl Metadata {
    /// The options of an upload with this content type.
    pub(crate) fn options<'a>(&'a self, content_type: Option<&'a str>) -> UploadOptions<'a> {
        let mut options = UploadOptions::default();
        options.content_type = content_type;
        options.headers.cache_control = self.cache_control.as_deref();
        options.headers.content_disposition = self.content_disposition.as_deref();
        options.headers.content_encoding = self.content_encoding.as_deref();
        options.headers.content_language = self.content_language.as_deref();
        options.metadata = self
            .metadata
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        options.durability = self.durability.map(|when| match when {
            When::None => Durability::None,
            When::Data => Durability::Data,
            When::Full => Durability::Full,
        });
        options
    }

    /// Default content type of a file: the key's extension decides, as over HTTP, then the file's
    /// own name. The latter is given where the store keeps it, so that it never makes a plain `put`
    /// fail.
    pub(crate) fn implied(key: &str, file: Option<&str>, kept: bool) -> Option<&'static str> {
        implied_content_type(key).or_else(|| {
            file.filter(|_| kept)
                .and_then(|name| implied_content_type(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_then_the_file() {
        assert_eq!(
            Metadata::implied("a/b.png", Some("x.txt"), true),
            Some("image/png")
        );
        assert_eq!(
            Metadata::implied("a/b", Some("x.txt"), true),
            Some("text/plain")
        );
        assert_eq!(Metadata::implied("a/b", Some("x.txt"), false), None);
        assert_eq!(Metadata::implied("a/b", None, true), None);
    }
}
