//! `signed_url`: the service's own signature, and when it really ends.

use crate::adapter::{Adapter, OpenOperator};
use crate::convert;
use crate::fault::{Intent, fault};
use holdall_plugin_api::{Capability, Method, Result, SignUrl, SignedUrl, Signing, attachment};
use opendal_core::options::{DeleteOptions, ReadOptions, StatOptions, WriteOptions};
use opendal_core::raw::Timestamp;
use percent_encoding::percent_decode_str;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) async fn sign<A: OpenOperator>(this: &Adapter<A>, sign: SignUrl<'_>) -> Result<Signing> {
    let (operator, captured) = this.begin()?;
    convert::bounded([
        sign.content_type,
        sign.download_name,
        sign.response_content_type,
    ])?;
    let needed = match sign.method {
        Method::Get => Capability::SignGet,
        Method::Put => Capability::SignPut,
        Method::Head => Capability::SignHead,
        Method::Delete => Capability::SignDelete,
        _ => return Ok(Signing::AtGateway),
    };
    // The host asks for no more than is claimed; a caller without one gets no URL that lacks a bound.
    let bound = sign.max_size.is_none()
        && sign.checksums.is_empty()
        && (sign.content_type.is_none() || this.claims(Capability::SignContentType))
        && ((sign.download_name.is_none() && sign.response_content_type.is_none())
            || this.claims(Capability::SignDisposition));
    if !this.claims(needed) || !bound {
        return Ok(Signing::AtGateway);
    }
    let (key, life) = (sign.key.text(), sign.expires_in);
    // Signatures count whole seconds, and a URL must not live longer than was asked.
    let life = Duration::from_secs(life.as_secs());
    let latest = this.host.now() + life;
    let signed = match sign.method {
        Method::Get => {
            let options = ReadOptions {
                override_content_disposition: sign.download_name.map(attachment),
                override_content_type: sign.response_content_type.map(str::to_owned),
                ..ReadOptions::default()
            };
            operator.presign_read_options(key, life, options).await
        }
        Method::Put => {
            let options = WriteOptions {
                content_type: sign.content_type.map(str::to_owned),
                ..WriteOptions::default()
            };
            operator.presign_write_options(key, life, options).await
        }
        Method::Head => {
            let options = StatOptions::default();
            operator.presign_stat_options(key, life, options).await
        }
        Method::Delete => {
            let options = DeleteOptions::default();
            operator.presign_delete_options(key, life, options).await
        }
        _ => return Ok(Signing::AtGateway),
    };
    let signed = signed.map_err(|error| fault(error, &captured, Intent::Read))?;
    let text = signed.uri().to_string();
    let end = end_of(&text).unwrap_or(latest);
    let mut url = SignedUrl::new(text, end);
    url.headers = signed
        .header()
        .iter()
        .filter(|(name, _)| *name != http::header::HOST)
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    Ok(Signing::Url(url))
}

/// When a URL says that it ends, in the words of the signatures that OpenDAL makes.
fn end_of(url: &str) -> Option<SystemTime> {
    let (_, query) = url.split_once('?')?;
    let value = |wanted: &str| {
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value).decode_utf8().ok()?;
            name.eq_ignore_ascii_case(wanted)
                .then(|| value.into_owned())
        })
    };
    let seconds = |text: String| text.parse().ok().map(Duration::from_secs);
    // A beginning and a life: AWS, Aliyun, Volcano Engine, Google, each under its own name.
    for vendor in ["x-amz", "x-oss", "x-tos", "x-goog"] {
        if let (Some(begin), Some(life)) = (
            value(&format!("{vendor}-date")),
            value(&format!("{vendor}-expires")),
        ) {
            return Some(compact(&begin)? + seconds(life)?);
        }
    }
    // An end: Huawei, Swift and the older signatures in seconds, Azure as a date, Tencent as a span.
    if let Some(end) = value("expires").or_else(|| value("temp_url_expires")) {
        return Some(UNIX_EPOCH + seconds(end)?);
    }
    if let Some(end) = value("se") {
        return end.parse::<Timestamp>().ok().map(SystemTime::from);
    }
    let (_, end) = value("q-sign-time")?
        .split_once(';')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))?;
    Some(UNIX_EPOCH + seconds(end)?)
}

/// `20261126T080910Z`.
fn compact(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let part = |text: &str, at: usize, len: usize| text.get(at..at + len).map(str::to_owned);
    let spelt = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(date, 0, 4)?,
        part(date, 4, 2)?,
        part(date, 6, 2)?,
        part(time, 0, 2)?,
        part(time, 2, 2)?,
        part(time, 4, 2)?
    );
    spelt.parse::<Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_url_s_own() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        for (url, end) in [
            (
                "https://h/k?X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-Signature=a",
                at(1_440_938_220),
            ),
            (
                "https://h/k?x-oss-date=20150830T123600Z&x-oss-expires=1",
                at(1_440_938_161),
            ),
            (
                "https://h/k?Expires=1440938160&OSSAccessKeyId=a&Signature=b",
                at(1_440_938_160),
            ),
            (
                "https://h/k?temp_url_sig=a&temp_url_expires=1440938160",
                at(1_440_938_160),
            ),
            (
                "https://h/k?sv=1&se=2015-08-30T12%3A36%3A00Z&sig=a",
                at(1_440_938_160),
            ),
            (
                "https://h/k?q-sign-time=1440938100;1440938160",
                at(1_440_938_160),
            ),
            ("https://h/k?a=b", None),
            ("https://h/k", None),
        ] {
            assert_eq!(end_of(url), end, "{url}");
        }
    }
}
