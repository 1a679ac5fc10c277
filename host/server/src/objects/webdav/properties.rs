//! What `PROPFIND` asks for and what it is answered, in XML.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use holdall::{Entry, ObjectInfo};
use quick_xml::escape::escape;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use crate::headers::date;
use crate::problem::Problem;

const DAV: &str = "DAV:";

/// The properties that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    All,
    Names,
    /// Each with its namespace.
    These(Vec<(String, String)>),
}

/// One resource of an answer.
pub(super) struct Resource {
    /// Its path, percent-encoded.
    path: String,
    properties: Vec<(&'static str, String)>,
}

impl Resource {
    pub(super) fn collection(path: String) -> Self {
        // A prefix has no date, and clients take no answer without one.
        let properties = vec![
            ("resourcetype", "<D:collection/>".to_owned()),
            ("getlastmodified", httpdate::fmt_http_date(UNIX_EPOCH)),
        ];
        Self { path, properties }
    }

    pub(super) fn entry(path: String, entry: &Entry) -> Self {
        Self::new(path, entry.size, entry.etag.as_deref(), entry.last_modified)
    }

    pub(super) fn object(path: String, info: ObjectInfo) -> Self {
        let etag = info.etag.as_deref();
        let mut object = Self::new(path, info.size, etag, info.last_modified);
        if let Some(text) = info.content_type {
            let text = escape(text).into_owned();
            object.properties.push(("getcontenttype", text));
        }
        object
    }

    fn new(path: String, size: u64, etag: Option<&str>, modified: Option<SystemTime>) -> Self {
        let modified = modified.and_then(date).unwrap_or(UNIX_EPOCH);
        let mut properties = vec![
            ("resourcetype", String::new()),
            ("getcontentlength", size.to_string()),
            ("getlastmodified", httpdate::fmt_http_date(modified)),
        ];
        if let Some(etag) = etag {
            properties.push(("getetag", escape(etag).into_owned()));
        }
        Self { path, properties }
    }
}

impl Asked {
    pub(super) const END: &str = "</D:multistatus>\n";

    /// Reads the body of a request. An empty one asks for everything.
    ///
    /// # Errors
    ///
    /// 400: what is no such XML, and any entity or document type, which could name one.
    pub(super) fn read(xml: &[u8]) -> Result<Self, Problem> {
        let wrong = || Problem::invalid("the body is no XML of PROPFIND");
        if xml.trim_ascii().is_empty() {
            return Ok(Asked::All);
        }
        let text = std::str::from_utf8(xml).map_err(|_| wrong())?;
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut asked = None;
        let mut depth = 0_usize;
        let mut in_prop = false;
        loop {
            let (namespace, event) = reader.read_resolved_event().map_err(|_| wrong())?;
            let start = match event {
                Event::DocType(_) => {
                    return Err(Problem::invalid("XML with a document type is refused"));
                }
                Event::GeneralRef(entity) if !entity.is_char_ref() && !is_predefined(&entity) => {
                    return Err(Problem::invalid("XML with entities is refused"));
                }
                Event::End(_) => {
                    depth = depth.checked_sub(1).ok_or_else(wrong)?;
                    continue;
                }
                Event::Eof => break,
                Event::Start(start) => start,
                _ => continue,
            };
            depth += 1;
            let namespace = match namespace {
                ResolveResult::Bound(Namespace(namespace)) => namespace,
                ResolveResult::Unbound => "",
                ResolveResult::Unknown(_) => return Err(wrong()),
            };
            let name = start.local_name().into_inner();
            match (depth, namespace, name) {
                (1, DAV, "propfind") => {}
                (1, ..) => return Err(wrong()),
                (2, DAV, "allprop") => asked = Some(Asked::All),
                (2, DAV, "propname") => asked = Some(Asked::Names),
                (2, DAV, "prop") => {
                    in_prop = true;
                    asked = Some(Asked::These(Vec::new()));
                }
                (2, ..) => in_prop = false,
                (3, ..) if in_prop => {
                    if let Some(Asked::These(names)) = &mut asked {
                        names.push((namespace.to_owned(), name.to_owned()));
                    }
                }
                _ => {}
            }
        }
        asked.filter(|_| depth == 0).ok_or_else(wrong)
    }

    pub(super) fn start(&self) -> String {
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">".to_owned()
    }

    /// The answer for one resource.
    pub(super) fn response(&self, resource: &Resource) -> String {
        let mut found = String::new();
        let mut missing = String::new();
        // Writing to a String does not fail.
        match self {
            Asked::All => {
                for (name, value) in &resource.properties {
                    let _ = write!(found, "<D:{name}>{value}</D:{name}>");
                }
            }
            Asked::Names => {
                for (name, _) in &resource.properties {
                    let _ = write!(found, "<D:{name}/>");
                }
            }
            Asked::These(names) => {
                for (namespace, name) in names {
                    let mut properties = resource.properties.iter();
                    let known = properties.find(|(it, _)| namespace == DAV && it == name);
                    let _ = match known {
                        Some((name, value)) => write!(found, "<D:{name}>{value}</D:{name}>"),
                        None => {
                            let namespace = escape(namespace);
                            write!(missing, "<{name} xmlns=\"{namespace}\"/>")
                        }
                    };
                }
            }
        }
        let mut text = format!("<D:response><D:href>{}</D:href>", resource.path);
        for (properties, status) in [(found, "200 OK"), (missing, "404 Not Found")] {
            if !properties.is_empty() {
                let _ = write!(
                    text,
                    "<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"
                );
            }
        }
        text + "</D:response>"
    }
}

fn is_predefined(entity: &str) -> bool {
    matches!(entity, "amp" | "lt" | "gt" | "apos" | "quot")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[(&str, &str)]) -> Option<Asked> {
        let owned = |(namespace, name): &(&str, &str)| (namespace.to_string(), name.to_string());
        Some(Asked::These(names.iter().map(owned).collect()))
    }

    #[test]
    fn what_is_asked_for_is_read() {
        for (xml, asked) in [
            ("", Some(Asked::All)),
            (
                "<propfind xmlns='DAV:'><allprop/></propfind>",
                Some(Asked::All),
            ),
            (
                "<?xml version='1.0'?><a:propfind xmlns:a='DAV:'><a:propname/></a:propfind>",
                Some(Asked::Names),
            ),
            (
                "<d:propfind xmlns:d='DAV:' xmlns:x='urn:x'><d:prop><d:getetag/><x:y> &amp;&#65;</x:y></d:prop></d:propfind>",
                names(&[("DAV:", "getetag"), ("urn:x", "y")]),
            ),
            ("<propfind><allprop/></propfind>", None),
            ("<propfind xmlns='DAV:'><allprop/>", None),
            ("<propfind xmlns='DAV:'><allprop></propfind>", None),
            ("<propfind xmlns='DAV:'/>", None),
            ("<propfind xmlns='DAV:'><x:y/></propfind>", None),
            ("propfind", None),
            (
                "<!DOCTYPE p [<!ENTITY e 'v'>]><propfind xmlns='DAV:'><allprop/></propfind>",
                None,
            ),
            ("<propfind xmlns='DAV:'><prop>&e;</prop></propfind>", None),
        ] {
            assert_eq!(Asked::read(xml.as_bytes()).ok(), asked, "{xml}");
        }
        assert!(Asked::read(b"\xff").is_err());
    }

    #[test]
    fn unknown_properties_stand_in_a_part_of_their_own() {
        let asked = names(&[("DAV:", "getcontentlength"), ("urn:<x>", "y")]).unwrap();
        let text = asked.response(&Resource::new("/a%20b".to_owned(), 7, Some("e&"), None));
        assert_eq!(
            text,
            "<D:response><D:href>/a%20b</D:href>\
             <D:propstat><D:prop><D:getcontentlength>7</D:getcontentlength></D:prop>\
             <D:status>HTTP/1.1 200 OK</D:status></D:propstat>\
             <D:propstat><D:prop><y xmlns=\"urn:&lt;x&gt;\"/></D:prop>\
             <D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"
        );
    }
}
