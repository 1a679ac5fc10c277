//! A `207 Multi-Status` answer ([RFC 4918, 13]), read as it arrives: a folder of a million files is
//! never in memory as a whole.
//!
//! [RFC 4918, 13]: https://www.rfc-editor.org/rfc/rfc4918#section-13

use crate::metadata_record::{NAMESPACE, PROPERTY};
use crate::names::path_of;
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use std::time::SystemTime;
use tokio::io::{AsyncBufRead, AsyncReadExt};

/// What the server says of one file or folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resource {
    /// Decoded, without slashes at its ends; `None` when the name is not UTF-8.
    pub(crate) path: Option<String>,
    /// The status of the whole entry, where it has one: a member that could not be read.
    pub(crate) status: Option<u16>,
    pub(crate) folder: bool,
    pub(crate) size: Option<u64>,
    /// Without quotes.
    pub(crate) etag: Option<String>,
    pub(crate) modified: Option<SystemTime>,
    /// Our own property.
    pub(crate) record: Option<String>,
    pub(crate) used: Option<u64>,
    pub(crate) available: Option<u64>,
    /// Properties that were set or asked for and answered with something else than 200.
    pub(crate) refused: usize,
}

/// What is wrong with an answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Not the XML that was asked for.
    Xml(String),
    /// The connection.
    Io(std::io::Error),
}

/// No single text, tag or comment is longer.
const LONGEST: u64 = 1 << 20;
/// Deeper than any property that is asked for.
const DEEPEST: usize = 64;

/// The elements that matter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    Multistatus,
    Response,
    Href,
    Status,
    Propstat,
    Prop,
    ResourceType,
    Collection,
    Size,
    Etag,
    Modified,
    Used,
    Available,
    Record,
    Other,
}

fn tag(namespace: &ResolveResult<'_>, local: &str) -> Tag {
    let ResolveResult::Bound(namespace) = namespace else {
        return Tag::Other;
    };
    match (namespace.0, local) {
        (NAMESPACE, PROPERTY) => Tag::Record,
        ("DAV:", "multistatus") => Tag::Multistatus,
        ("DAV:", "response") => Tag::Response,
        ("DAV:", "href") => Tag::Href,
        ("DAV:", "status") => Tag::Status,
        ("DAV:", "propstat") => Tag::Propstat,
        ("DAV:", "prop") => Tag::Prop,
        ("DAV:", "resourcetype") => Tag::ResourceType,
        ("DAV:", "collection") => Tag::Collection,
        ("DAV:", "getcontentlength") => Tag::Size,
        ("DAV:", "getetag") => Tag::Etag,
        ("DAV:", "getlastmodified") => Tag::Modified,
        ("DAV:", "quota-used-bytes") => Tag::Used,
        ("DAV:", "quota-available-bytes") => Tag::Available,
        _ => Tag::Other,
    }
}

/// Hands each resource of an answer to `found`, in the order of the answer.
pub(crate) async fn read(
    body: impl AsyncBufRead + Unpin,
    mut found: impl FnMut(Resource),
) -> Result<(), Fault> {
    let mut reader = NsReader::from_reader(body.take(LONGEST));
    reader.config_mut().expand_empty_elements = true;
    let mut buffer = Vec::new();
    let mut open: Vec<Tag> = Vec::new();
    let mut text = String::new();
    let mut resource = Resource::default();
    // Properties count only with the status that follows them.
    let mut part = Resource::default();
    let mut named = 0;
    let mut status = None;
    let mut complete = false;
    loop {
        buffer.clear();
        reader.get_mut().set_limit(LONGEST);
        let (namespace, event) = reader
            .read_resolved_event_into_async(&mut buffer)
            .await
            .map_err(fault)?;
        match event {
            Event::Start(start) => {
                let tag = tag(&namespace, start.local_name().into_inner());
                match (open.last(), tag) {
                    (None, Tag::Multistatus) | (Some(_), _) => {}
                    (None, _) => {
                        let name = start.local_name().into_inner().to_owned();
                        return Err(Fault::Xml(format!(
                            "expected a DAV multistatus, found <{name}>"
                        )));
                    }
                }
                match (open.last(), tag) {
                    (Some(Tag::Multistatus), Tag::Response) => resource = Resource::default(),
                    (Some(Tag::Response), Tag::Propstat) => {
                        part = Resource::default();
                        (named, status) = (0, None);
                    }
                    (Some(Tag::Prop), _) => named += 1,
                    (Some(Tag::ResourceType), Tag::Collection) => part.folder = true,
                    _ => {}
                }
                if open.len() == DEEPEST {
                    return Err(Fault::Xml("elements are nested too deeply".to_owned()));
                }
                open.push(tag);
                text.clear();
            }
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::CData(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character.to_string()),
                    Ok(None) => {
                        quick_xml::escape::resolve_predefined_entity(&reference.into_inner())
                            .map(str::to_owned)
                    }
                    Err(cause) => return Err(Fault::Xml(cause.to_string())),
                };
                let Some(resolved) = resolved else {
                    return Err(Fault::Xml("an entity that is not defined".to_owned()));
                };
                text.push_str(&resolved);
            }
            Event::End(_) => {
                let Some(tag) = open.pop() else {
                    return Err(Fault::Xml("an end without a start".to_owned()));
                };
                let value = text.trim();
                match (open.last(), tag) {
                    (Some(Tag::Response), Tag::Href) if resource.path.is_none() => {
                        resource.path = path_of(value);
                    }
                    (Some(Tag::Response), Tag::Status) => resource.status = code(value),
                    (Some(Tag::Propstat), Tag::Status) => status = code(value),
                    (Some(Tag::Prop), Tag::Size) => part.size = value.parse().ok(),
                    (Some(Tag::Prop), Tag::Etag) => part.etag = etag(value),
                    (Some(Tag::Prop), Tag::Modified) => {
                        part.modified = httpdate::parse_http_date(value).ok();
                    }
                    (Some(Tag::Prop), Tag::Record) => part.record = Some(text.clone()),
                    (Some(Tag::Prop), Tag::Used) => part.used = value.parse().ok(),
                    (Some(Tag::Prop), Tag::Available) => part.available = value.parse().ok(),
                    (Some(Tag::Response), Tag::Propstat) => match status {
                        Some(200..=299) => take(&mut resource, std::mem::take(&mut part)),
                        _ => resource.refused += named,
                    },
                    (Some(Tag::Multistatus), Tag::Response) => {
                        found(std::mem::take(&mut resource));
                    }
                    (None, Tag::Multistatus) => complete = true,
                    _ => {}
                }
                text.clear();
            }
            Event::Eof if complete && open.is_empty() => return Ok(()),
            Event::Eof => return Err(Fault::Xml("the answer ends too early".to_owned())),
            // Expanded into a start and an end.
            Event::Empty(_) => {}
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// Properties of a propstat that went well.
fn take(resource: &mut Resource, part: Resource) {
    resource.folder |= part.folder;
    resource.size = part.size.or(resource.size);
    resource.etag = part.etag.or(resource.etag.take());
    resource.modified = part.modified.or(resource.modified);
    resource.record = part.record.or(resource.record.take());
    resource.used = part.used.or(resource.used);
    resource.available = part.available.or(resource.available);
}

/// The number in `HTTP/1.1 200 OK`.
fn code(line: &str) -> Option<u16> {
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Without its quotes: some servers write them in headers and not in properties. A weak one names
/// no bytes, and is none.
pub(crate) fn etag(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with("W/") {
        return None;
    }
    Some(text.trim_matches('"').to_owned()).filter(|etag| !etag.is_empty())
}

fn fault(error: quick_xml::Error) -> Fault {
    match error {
        quick_xml::Error::Io(cause) => {
            Fault::Io(std::io::Error::new(cause.kind(), cause.to_string()))
        }
        other => Fault::Xml(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parsed(text: &str) -> Result<Vec<Resource>, Fault> {
        let mut all = Vec::new();
        // In pieces of one byte, as a slow network delivers.
        let body = tokio::io::BufReader::with_capacity(1, text.as_bytes());
        read(body, |resource| all.push(resource)).await?;
        Ok(all)
    }

    #[tokio::test]
    async fn properties_of_files_and_folders() {
        let all = parsed(
            r#"<?xml version="1.0"?>
            <D:multistatus xmlns:D="DAV:" xmlns:h="urn:holdall:webdav">
             <D:response><D:href>http://nas/dav/f/</D:href>
              <D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>
               <D:status>HTTP/1.1 200 OK</D:status></D:propstat>
              <D:propstat><D:prop><D:getetag/><D:getcontentlength>9</D:getcontentlength></D:prop>
               <D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>
             <D:response><D:href>/dav/f/a%20&amp;&#x62;.txt</D:href>
              <D:propstat><D:prop><D:resourcetype/><D:getcontentlength> 7 </D:getcontentlength>
               <D:getetag>"x-1"</D:getetag><D:getlastmodified>Thu, 01 Jan 1970 00:00:09 GMT</D:getlastmodified>
               <h:object>{"a":"&lt;b&gt; ]]&gt;"}</h:object></D:prop>
               <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
             <D:response><D:href>/dav/f/%FF</D:href><D:status>HTTP/1.1 403 Forbidden</D:status></D:response>
            </D:multistatus>"#,
        )
        .await
        .unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].path.as_deref(), Some("dav/f"));
        assert!(all[0].folder);
        assert_eq!((all[0].size, all[0].refused), (None, 2));
        assert_eq!(all[1].path.as_deref(), Some("dav/f/a &b.txt"));
        assert_eq!((all[1].size, all[1].folder), (Some(7), false));
        assert_eq!(all[1].etag.as_deref(), Some("x-1"));
        assert_eq!(all[1].record.as_deref(), Some(r#"{"a":"<b> ]]>"}"#));
        assert_eq!(
            all[1].modified,
            Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9))
        );
        assert_eq!((all[2].path.as_deref(), all[2].status), (None, Some(403)));
    }

    #[tokio::test]
    async fn what_is_no_multistatus_is_refused() {
        for bad in [
            "",
            "<html><body>Welcome</body></html>",
            "<multistatus/>",
            "not xml at all",
            r#"<d:multistatus xmlns:d="DAV:"><d:response>"#,
            r#"<d:multistatus xmlns:d="DAV:"></d:wrong>"#,
            r#"<d:multistatus xmlns:d="DAV:"><d:response><d:href>&bomb;</d:href></d:response></d:multistatus>"#,
        ] {
            assert!(matches!(parsed(bad).await, Err(Fault::Xml(_))), "{bad}");
        }
        let deep = format!(r#"<multistatus xmlns="DAV:">{}"#, "<a>".repeat(100));
        assert!(matches!(parsed(&deep).await, Err(Fault::Xml(_))));
        let endless = format!(
            r#"<multistatus xmlns="DAV:"><response><href>{}"#,
            "x".repeat(LONGEST as usize + 9)
        );
        let body = tokio::io::BufReader::new(endless.as_bytes());
        assert!(matches!(read(body, |_| {}).await, Err(Fault::Xml(_))));
        assert!(
            parsed(r#"<multistatus xmlns="DAV:"/>"#)
                .await
                .is_ok_and(|all| all.is_empty())
        );
    }

    #[test]
    fn etags() {
        assert_eq!(etag("\"a\"").as_deref(), Some("a"));
        assert_eq!(etag("a").as_deref(), Some("a"));
        assert_eq!(etag("W/\"a\""), None);
        assert_eq!(etag("\"\""), None);
    }
}
