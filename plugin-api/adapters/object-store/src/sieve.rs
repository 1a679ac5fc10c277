//! Takes out of a listing what the store's client would refuse the whole page for.
//!
//! `object_store` reads every key of a page as its own `Path`, which has no empty segment, no dots
//! and no control character, and loses a slash at either end: one object that another program has
//! called `a//b` would end every listing, and a placeholder `a/` would be listed as `a`. Both are
//! left out here and counted, as the contract has it.

use crate::reply::Call;
use bytes::Bytes;
use object_store::path::Path;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, Writer};

/// The elements that are one entry, and the one inside that names it.
fn name_of(entry: &[u8]) -> Option<&'static [u8]> {
    match entry {
        b"Contents" => Some(b"Key"),
        b"CommonPrefixes" => Some(b"Prefix"),
        b"Blob" | b"BlobPrefix" => Some(b"Name"),
        _ => None,
    }
}

/// The page without its foreign entries. What is no page, or has none, comes back as it is.
pub(crate) fn portable(page: Bytes, call: &Call) -> Bytes {
    match sieved(&page) {
        Some((_, 0)) | None => page,
        Some((kept, skipped)) => {
            call.skip(skipped);
            kept.into()
        }
    }
}

fn sieved(page: &[u8]) -> Option<(Vec<u8>, u64)> {
    let mut reader = Reader::from_reader(page);
    let mut writer = Writer::new(Vec::with_capacity(page.len()));
    let mut skipped = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Eof => return Some((writer.into_inner(), skipped)),
            Event::Start(start) if name_of(start.local_name().as_ref()).is_some() => {
                let entry = Entry::read(&mut reader, start.into_owned())?;
                if entry.is_portable() {
                    for event in entry.events {
                        writer.write_event(event).ok()?;
                    }
                } else {
                    skipped += 1;
                }
            }
            other => writer.write_event(other).ok()?,
        }
    }
}

struct Entry {
    events: Vec<Event<'static>>,
    name: String,
    group: bool,
}

impl Entry {
    fn read(reader: &mut Reader<&[u8]>, start: BytesStart<'static>) -> Option<Self> {
        let element = start.local_name().as_ref().to_vec();
        let named = name_of(&element)?;
        let mut entry = Entry {
            events: vec![Event::Start(start)],
            name: String::new(),
            group: element != b"Contents" && element != b"Blob",
        };
        let (mut depth, mut inside) = (1, false);
        while depth > 0 {
            let event = reader.read_event().ok()?.into_owned();
            match &event {
                Event::Start(start) => {
                    depth += 1;
                    inside = depth == 2 && start.local_name().as_ref() == named;
                }
                Event::End(_) => {
                    depth -= 1;
                    inside = false;
                }
                Event::Text(text) if inside => {
                    entry.name.push_str(&text.decode().ok()?);
                }
                Event::CData(text) if inside => {
                    entry.name.push_str(&text.decode().ok()?);
                }
                Event::GeneralRef(reference) if inside => {
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => entry.name.push(character),
                        None => {
                            let name = reference.decode().ok()?;
                            entry
                                .name
                                .push_str(quick_xml::escape::resolve_predefined_entity(&name)?);
                        }
                    }
                }
                Event::Eof => return None,
                _ => {}
            }
            entry.events.push(event);
        }
        Some(entry)
    }

    fn is_portable(&self) -> bool {
        // The slash at the end of a group is its delimiter.
        let name = match self.group {
            true => self.name.strip_suffix('/').unwrap_or(&self.name),
            false => &self.name,
        };
        !name.is_empty() && Path::parse(name).is_ok_and(|path| path.as_ref() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str]) -> String {
        let entries: String = keys
            .iter()
            .map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>"))
            .collect();
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name>{entries}</ListBucketResult>"
        )
    }

    fn kept(text: &str) -> (String, u64) {
        let call = Call::default();
        let out = portable(Bytes::from(text.to_owned()), &call);
        (String::from_utf8(out.to_vec()).unwrap(), call.skipped())
    }

    #[test]
    fn foreign_keys_go_and_are_counted() {
        let mixed = page(&["a", "a//b", "a/", "/a", "a/../b", "x&amp;y", "&#x1;", "z"]);
        assert_eq!(kept(&mixed), (page(&["a", "x&amp;y", "z"]), 5));
    }

    #[test]
    fn good_pages_are_not_touched() {
        let good = page(&["a", "b/c", "&lt;d&gt;", "e f"]);
        assert_eq!(kept(&good), (good.clone(), 0));
        for other in ["", "{}", "<html>", "<Contents><Key>"] {
            assert_eq!(kept(other), (other.to_owned(), 0));
        }
    }

    #[test]
    fn groups_keep_their_slash() {
        let groups = "<R><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>a//</Prefix></CommonPrefixes><Blobs><BlobPrefix><Name>b/</Name></BlobPrefix><Blob><Name>c/</Name></Blob></Blobs></R>";
        assert_eq!(
            kept(groups),
            ("<R><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><Blobs><BlobPrefix><Name>b/</Name></BlobPrefix></Blobs></R>".to_owned(), 2)
        );
    }
}
