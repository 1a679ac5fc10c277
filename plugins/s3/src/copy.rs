//! `CopyObject` under conditions on its source, or with other metadata: `object_store` has neither.

use holdall_plugin_api::{Copied, CopyObject, Error, ErrorKind, Result};
use holdall_plugin_api_object_store::Requests;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use object_store::path::Path;
use object_store::{Attribute, Attributes};
use serde::Deserialize;

/// What the names of conditions on the source begin with.
pub(crate) const AS_AMAZON: [&str; 1] = ["x-amz-copy-source-"];
/// Ceph 16 reads them under names of its own, and not under these.
pub(crate) const AS_CEPH: [&str; 2] = ["x-amz-copy-source-", "x-amz-copy-"];

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

pub(crate) async fn copy(
    requests: &Requests,
    (bucket, conditions): (&str, &[&str]),
    (from, to): (&Path, &Path),
    copy: &CopyObject<'_>,
    attributes: Option<Attributes>,
) -> Result<Copied> {
    let headers = headers((bucket, conditions), from, copy, attributes)?;
    let asked = requests.ask(Method::PUT, Some(to), &[], headers, "".into());
    let answer = asked.await?;
    let text = String::from_utf8_lossy(answer.body());
    let answered: Answered = quick_xml::de::from_str(&text).map_err(|cause| {
        Error::new(ErrorKind::Unavailable)
            .with_message("the store's answer is not what the request asks for")
            .because(cause)
    })?;
    let version = |name: &str| {
        let value = answer.headers().get(name)?.to_str().ok();
        value.map(str::to_owned)
    };
    Ok(Copied::new()
        .etag(answered.etag)
        .version(version("x-amz-version-id"))
        .source_version(version("x-amz-copy-source-version-id")))
}

fn headers(
    (bucket, conditions): (&str, &[&str]),
    from: &Path,
    copy: &CopyObject<'_>,
    attributes: Option<Attributes>,
) -> Result<HeaderMap> {
    let invalid = |cause| Error::new(ErrorKind::Other).because(cause);
    let value = |text: &str| HeaderValue::try_from(text).map_err(invalid);
    let mut headers = HeaderMap::new();
    let source = format!("/{bucket}/{}", Requests::escaped(from));
    headers.insert("x-amz-copy-source", value(&source)?);
    let options = copy.options();
    for prefix in conditions {
        for (name, etag) in [
            ("if-match", options.source_if_match),
            ("if-none-match", options.source_if_none_match),
        ] {
            let Some(etag) = etag else { continue };
            let name = HeaderName::try_from(format!("{prefix}{name}"));
            let name = name.map_err(|cause| Error::new(ErrorKind::Other).because(cause))?;
            headers.insert(name, value(etag)?);
        }
    }
    let Some(attributes) = attributes else {
        return Ok(headers);
    };
    headers.insert(
        "x-amz-metadata-directive",
        HeaderValue::from_static("REPLACE"),
    );
    for (attribute, text) in &attributes {
        let name = match attribute {
            Attribute::ContentType => CONTENT_TYPE,
            Attribute::CacheControl => CACHE_CONTROL,
            Attribute::ContentDisposition => CONTENT_DISPOSITION,
            Attribute::ContentEncoding => CONTENT_ENCODING,
            Attribute::ContentLanguage => CONTENT_LANGUAGE,
            Attribute::Metadata(name) => HeaderName::try_from(format!("x-amz-meta-{name}"))
                .map_err(|cause| Error::new(ErrorKind::Other).because(cause))?,
            other => return Err(Error::unsupported(format!("the attribute {other:?}"))),
        };
        headers.insert(name, value(text)?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_sent() {
        let path = Path::from("a b/c");
        let copy = CopyObject::new("a b/c", "to").source_if_match("\"e\"");
        let sent = headers(("photos", &AS_AMAZON), &path, &copy, None).unwrap();
        assert_eq!(sent["x-amz-copy-source"], "/photos/a%20b/c");
        assert_eq!(sent["x-amz-copy-source-if-match"], "\"e\"");
        assert_eq!(sent.len(), 2);
        let sent = headers(("photos", &AS_CEPH), &path, &copy, None).unwrap();
        assert_eq!(sent["x-amz-copy-if-match"], "\"e\"");

        let mut attributes = Attributes::new();
        attributes.insert(Attribute::Metadata("kit".into()), "new".into());
        let copy = CopyObject::new("a b/c", "to");
        let sent = headers(("photos", &AS_AMAZON), &path, &copy, Some(attributes)).unwrap();
        assert_eq!(sent["x-amz-metadata-directive"], "REPLACE");
        assert_eq!(sent["x-amz-meta-kit"], "new");
    }
}
