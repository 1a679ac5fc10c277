//! `DeleteObjects`, with one answer for each key: `object_store` keeps the code of a failed key in a
//! text only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use holdall_plugin_api::{Deleted, Error, ErrorKind, ProviderReply, Result};
use holdall_plugin_api_object_store::{Requests, of_code};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use md5::{Digest, Md5};
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Keys of one request: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>.
const MOST: usize = 1000;

#[derive(Serialize)]
#[serde(rename = "Delete")]
struct Asked<'a> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    #[serde(rename = "Object")]
    objects: Vec<Object<'a>>,
    #[serde(rename = "Quiet")]
    quiet: bool,
}

#[derive(Serialize)]
struct Object<'a> {
    #[serde(rename = "Key")]
    key: &'a str,
}

/// Only failures are reported, because the request is quiet.
#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "Error", default)]
    errors: Vec<Failed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failed {
    key: String,
    code: String,
}

pub(crate) async fn many(requests: &Requests, paths: &[Path]) -> Result<Vec<Result<Deleted>>> {
    let mut answers = Vec::with_capacity(paths.len());
    for some in paths.chunks(MOST) {
        let (in_xml, alone): (Vec<_>, Vec<_>) = some.iter().partition(|path| is_xml(path.as_ref()));
        let failed = match in_xml.is_empty() {
            true => HashMap::new(),
            false => bulk(requests, &in_xml).await?,
        };
        let mut singly = HashMap::new();
        for path in alone {
            let deleted = requests.delete(path, None).await;
            singly.insert(path.as_ref(), deleted.map(|_| Deleted::new(None)));
        }
        answers.extend(some.iter().map(|path| {
            if let Some(answer) = singly.remove(path.as_ref()) {
                return answer;
            }
            match failed.get(path.as_ref()) {
                None => Ok(Deleted::new(None)),
                Some(code) => of_failed(code),
            }
        }));
    }
    Ok(answers)
}

/// Whether a document can carry this key: [XML 1.0, 2.2]. A parser of the store replaces or refuses
/// any other character, and would remove another key.
///
/// [XML 1.0, 2.2]: https://www.w3.org/TR/xml/#charsets
fn is_xml(key: &str) -> bool {
    !key.chars()
        .any(|character| matches!(character, '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}'))
}

fn of_failed(code: &str) -> Result<Deleted> {
    match of_code(code).unwrap_or(ErrorKind::Other) {
        ErrorKind::FileNotFound => Ok(Deleted::new(Some(false))),
        kind => Err(Error::new(kind)
            .with_message(format!("the store answers {code}"))
            .with_provider(ProviderReply::new().code(Some(code.to_owned())))),
    }
}

/// The codes of the keys that failed.
async fn bulk(requests: &Requests, paths: &[&Path]) -> Result<HashMap<String, String>> {
    let unwritten = |cause| Error::new(ErrorKind::Other).because(cause);
    let document = Asked {
        namespace: "http://s3.amazonaws.com/doc/2006-03-01/",
        objects: paths
            .iter()
            .map(|path| Object { key: path.as_ref() })
            .collect(),
        quiet: true,
    };
    let document: Bytes = quick_xml::se::to_string(&document)
        .map_err(unwritten)?
        .into();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    // S3 and most that speak it insist on a digest of this request.
    let digest = STANDARD.encode(Md5::digest(&document));
    if let Ok(digest) = HeaderValue::from_str(&digest) {
        headers.insert(HeaderName::from_static("content-md5"), digest);
    }
    let asked = requests.make(Method::POST, None, &[("delete", "")], headers, document);
    let failed = codes(&String::from_utf8_lossy(&asked.await?))?;
    // A failure under a name that was not asked for is that of one that was.
    match failed
        .keys()
        .find(|key| !paths.iter().any(|path| path.as_ref() == key.as_str()))
    {
        None => Ok(failed),
        Some(other) => Err(Error::new(ErrorKind::Unavailable)
            .with_message("the store answers for a key that was not asked for")
            .with_fact("found", other)),
    }
}

fn codes(answer: &str) -> Result<HashMap<String, String>> {
    let odd = || {
        Error::new(ErrorKind::Unavailable)
            .with_message("the store's answer is not what the request asks for")
    };
    // Any other document would pass for one without failures.
    if !answer.contains("<DeleteResult") {
        return Err(odd());
    }
    let answered: Answered =
        quick_xml::de::from_str(answer).map_err(|cause| odd().because(cause))?;
    let codes = answered.errors.into_iter();
    Ok(codes.map(|failed| (failed.key, failed.code)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_for_xml() {
        let asked = Asked {
            namespace: "n",
            objects: vec![Object { key: "a&<b>\"'" }, Object { key: "\u{1f98a}" }],
            quiet: true,
        };
        let text = quick_xml::se::to_string(&asked).unwrap();
        assert!(
            text.starts_with("<Delete xmlns=\"n\"><Object><Key>a&amp;&lt;b&gt;"),
            "{text}"
        );
        assert!(text.contains("\u{1f98a}"), "{text}");
    }

    #[test]
    fn each_failed_key_keeps_its_code() {
        let text = "<DeleteResult><Deleted><Key>x</Key></Deleted><Error><Key>a&amp;b</Key><Code>AccessDenied</Code><Message/></Error><Error><Key>c</Key><Code>NoSuchKey</Code></Error></DeleteResult>";
        let codes_of = codes(text).unwrap();
        let kind = of_failed(&codes_of["a&b"]).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::PermissionDenied);
        assert_eq!(
            of_failed(&codes_of["c"]).unwrap(),
            Deleted::new(Some(false))
        );
        assert!(codes("<DeleteResult/>").unwrap().is_empty());
    }

    #[test]
    fn keys_that_xml_cannot_carry_are_known() {
        for good in ["a", "\u{e9}", "\u{1f98a}", "\u{fffd}", "a b&<"] {
            assert!(is_xml(good), "{good}");
        }
        for bad in ["\u{1}", "a\u{fffe}", "\u{ffff}b"] {
            assert!(!is_xml(bad), "{bad:?}");
        }
    }

    #[test]
    fn another_document_says_nothing_of_the_keys() {
        for other in ["", "<ListBucketResult/>", "<a><b/></a>", "<DeleteResult>"] {
            let error = codes(other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{other}");
        }
    }
}
