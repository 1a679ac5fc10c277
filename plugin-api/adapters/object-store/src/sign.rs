//! Signed URLs, with every constraint bound into the signature.

use crate::error::error_of;
use crate::opened_store::OpenedStore;
use crate::reply::Call;
use holdall_plugin_api::{Error, Method, Result, SignUrl, SignedUrl, Signing, attachment};
use object_store::path::Path;
use object_store::signer::{HeaderName, HeaderValue, SignedUrlOptions, Signer};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) async fn url(
    store: &OpenedStore,
    signer: &dyn Signer,
    path: &Path,
    sign: &SignUrl<'_>,
) -> Result<Signing> {
    // What no store of ours can bind is signed by the gateway; the host asks for none of it.
    if sign.max_size.is_some() || !sign.checksums.is_empty() {
        return Ok(Signing::AtGateway);
    }
    let mut options = SignedUrlOptions::default();
    let mut headers = Vec::new();
    if sign.method == Method::Put {
        headers.extend(store.sign_put_headers.iter().cloned());
    }
    if let Some(content_type) = sign.content_type {
        let value = HeaderValue::from_str(content_type)
            .map_err(|cause| Error::invalid("not a content type").because(cause))?;
        options = options.with_signed_header(HeaderName::from_static("content-type"), value);
        headers.push(("content-type".to_owned(), content_type.to_owned()));
    }
    if let Some(name) = sign.download_name {
        options = options.with_query([("response-content-disposition", attachment(name))]);
    }
    if let Some(content_type) = sign.response_content_type {
        options = options.with_query([("response-content-type", content_type)]);
    }
    let method = match sign.method {
        Method::Get => http::Method::GET,
        Method::Put => http::Method::PUT,
        Method::Head => http::Method::HEAD,
        Method::Delete => http::Method::DELETE,
        _ => return Err(Error::unsupported("this method")),
    };
    let call = Call::new();
    let before = SystemTime::now();
    let signing = signer.signed_url_opts(method, path, sign.expires_in, &options);
    let url = call
        .run(signing)
        .await
        .map_err(|error| error_of(error, &call))?;
    // The time in a signature has whole seconds and was taken after `before`: rounded down, so that
    // the answer is never later than the URL's own end.
    let from = before
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let end = UNIX_EPOCH + std::time::Duration::from_secs(from + sign.expires_in.as_secs());
    let mut signed = SignedUrl::new(url, end);
    signed.headers = headers;
    Ok(Signing::Url(signed))
}
