//! Encoding of an object's metadata.
//!
//! One extended attribute, `user.holdall`, holds everything. ext4 keeps about 60 bytes of it inside
//! the inode; one byte more costs a block of 4 KiB for each object. So the usual case (a size, a
//! checksum, a well-known content type) takes less than 30:
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 1 | flags: 1 CRC-32C, 2 content type by code, 4 content type as text, 8 headers, 16 user metadata |
//! | 8 | modification time, nanoseconds since 1970, little endian |
//! | 1-10 | size (LEB128, as every length below) |
//! | 4 | CRC-32C, little endian |
//! | 1 or text | content type |
//! | 1 + texts | which headers (cache-control 1, content-disposition 2, content-encoding 4, content-language 8), then each |
//! | number + texts | user metadata: names and values in turn |
//!
//! A text is its length and its bytes. Time and size repeat those of the inode: when they differ, another
//! program has written in place, and checksum and user metadata do not describe the bytes.

use super::stamp::Stamp;

/// Metadata of an object, without size and times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) content_type: Option<String>,
    /// Cache-Control, Content-Disposition, Content-Encoding, Content-Language.
    pub(crate) headers: [Option<String>; 4],
    pub(crate) user: Vec<(String, String)>,
}

/// The content of the attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetadataRecord {
    pub(crate) stamp: Stamp,
    pub(crate) size: u64,
    pub(crate) crc32c: Option<u32>,
    pub(crate) metadata: Metadata,
}

const VERSION: u8 = 1;
const CRC: u8 = 1;
const TYPE_CODE: u8 = 2;
const TYPE_TEXT: u8 = 4;
const HEADERS: u8 = 8;
const USER: u8 = 16;
const KNOWN: u8 = CRC | TYPE_CODE | TYPE_TEXT | HEADERS | USER;

/// Content types that take one byte. Codes are positions: stored objects hold them, so new types are
/// added at the end and none ever moves.
const TYPES: &[&str] = &[
    "application/octet-stream",
    "text/plain",
    "text/plain; charset=utf-8",
    "text/html",
    "text/html; charset=utf-8",
    "text/css",
    "text/csv",
    "text/javascript",
    "text/markdown",
    "text/xml",
    "application/json",
    "application/xml",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/x-tar",
    "application/zstd",
    "application/wasm",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.file",
    "application/vnd.apache.arrow.stream",
    "application/x-ndjson",
    "application/yaml",
    "application/toml",
    "application/javascript",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/svg+xml",
    "image/tiff",
    "image/x-icon",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "video/mp4",
    "video/webm",
    "font/woff2",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

/// Reason why an attribute cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Written by a later version of this plugin.
    Newer,
    /// Truncated, too long, or written by another program.
    Damaged,
}

impl MetadataRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend([VERSION, 0]);
        out.extend(self.stamp.0.to_le_bytes());
        put_number(&mut out, self.size);
        let mut flags = 0;
        if let Some(crc) = self.crc32c {
            flags |= CRC;
            out.extend(crc.to_le_bytes());
        }
        let Metadata {
            content_type,
            headers,
            user,
        } = &self.metadata;
        if let Some(content_type) = content_type {
            match TYPES
                .iter()
                .position(|known| known == content_type)
                .and_then(|code| u8::try_from(code).ok())
            {
                Some(code) => {
                    flags |= TYPE_CODE;
                    out.push(code);
                }
                None => {
                    flags |= TYPE_TEXT;
                    put_text(&mut out, content_type);
                }
            }
        }
        let present = headers.iter().enumerate().fold(0u8, |mask, (bit, text)| {
            mask | u8::from(text.is_some()) << bit
        });
        if present != 0 {
            flags |= HEADERS;
            out.push(present);
            headers
                .iter()
                .flatten()
                .for_each(|text| put_text(&mut out, text));
        }
        if !user.is_empty() {
            flags |= USER;
            put_number(&mut out, user.len() as u64);
            for (name, value) in user {
                put_text(&mut out, name);
                put_text(&mut out, value);
            }
        }
        out[1] = flags;
        out
    }

    /// The key that the record belongs to, as its length (4 bytes, little endian) and its bytes, then the record:
    /// the content of a file of its own.
    pub(crate) fn encode_with_key(&self, key: &str) -> Vec<u8> {
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
        let mut out = length.to_le_bytes().to_vec();
        out.extend(key.as_bytes());
        out.extend(self.encode());
        out
    }

    /// Decodes [`MetadataRecord::encode_with_key`]. `None`: damaged, or of a later version.
    pub(crate) fn decode_with_key(bytes: &[u8]) -> Option<(String, Self)> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (key, record) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let key = std::str::from_utf8(key).ok()?.to_owned();
        Some((key, Self::decode(record).ok()?))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.first() {
            Some(&VERSION) => Self::decode_fields(&bytes[1..]).ok_or(Unreadable::Damaged),
            Some(&version) if version > VERSION => Err(Unreadable::Newer),
            _ => Err(Unreadable::Damaged),
        }
    }

    fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let flags = input.byte()?;
        if flags & !KNOWN != 0 || flags & TYPE_CODE != 0 && flags & TYPE_TEXT != 0 {
            return None;
        }
        let stamp = Stamp(i64::from_le_bytes(input.take(8)?.try_into().ok()?));
        let size = input.number()?;
        let crc32c = match flags & CRC {
            0 => None,
            _ => Some(u32::from_le_bytes(input.take(4)?.try_into().ok()?)),
        };
        let mut metadata = Metadata::default();
        if flags & TYPE_CODE != 0 {
            metadata.content_type = Some((*TYPES.get(usize::from(input.byte()?))?).to_owned());
        } else if flags & TYPE_TEXT != 0 {
            metadata.content_type = Some(input.text()?);
        }
        if flags & HEADERS != 0 {
            let present = input.byte()?;
            for (bit, header) in metadata.headers.iter_mut().enumerate() {
                if present & 1 << bit != 0 {
                    *header = Some(input.text()?);
                }
            }
        }
        if flags & USER != 0 {
            for _ in 0..input.number()? {
                let name = input.text()?;
                metadata.user.push((name, input.text()?));
            }
        }
        input.0.is_empty().then_some(Self {
            stamp,
            size,
            crc32c,
            metadata,
        })
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// Bytes to decode.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(length)?)
            .ok()
            .map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> MetadataRecord {
        MetadataRecord {
            stamp: Stamp(1_795_000_000_123_456_789),
            size: u64::MAX,
            crc32c: Some(0xdead_beef),
            metadata: Metadata {
                content_type: Some("image/X; a=b".into()),
                headers: [
                    Some("no-store".into()),
                    None,
                    Some(String::new()),
                    Some("de".into()),
                ],
                user: vec![("a".into(), String::new()), ("b".into(), "é".into())],
            },
        }
    }

    #[test]
    fn a_record_is_decoded_as_encoded() {
        for record in [full(), MetadataRecord::default()] {
            assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
        }
        for content_type in TYPES {
            let metadata = Metadata {
                content_type: Some((*content_type).into()),
                ..Metadata::default()
            };
            let record = MetadataRecord { metadata, ..full() };
            assert_eq!(MetadataRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn a_usual_record_fits_into_the_inode() {
        let metadata = Metadata {
            content_type: Some("image/png".into()),
            ..Metadata::default()
        };
        let usual = MetadataRecord {
            metadata,
            size: 5 << 30,
            ..full()
        };
        assert!(usual.encode().len() <= 30, "{}", usual.encode().len());
        let metadata = Metadata {
            content_type: Some("application/vnd.example+json".into()),
            ..Metadata::default()
        };
        assert!(
            MetadataRecord {
                metadata,
                size: 5 << 30,
                ..full()
            }
            .encode()
            .len()
                <= 60
        );
    }

    #[test]
    fn damage_and_a_newer_version_are_distinguished() {
        let good = full().encode();
        for cut in 0..good.len() {
            assert_eq!(
                MetadataRecord::decode(&good[..cut]),
                Err(Unreadable::Damaged),
                "{cut}"
            );
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(MetadataRecord::decode(&longer), Err(Unreadable::Damaged));
        let mut newer = good.clone();
        newer[0] = 2;
        assert_eq!(MetadataRecord::decode(&newer), Err(Unreadable::Newer));
        let mut unknown_flag = good;
        unknown_flag[1] |= 0x80;
        assert_eq!(
            MetadataRecord::decode(&unknown_flag),
            Err(Unreadable::Damaged)
        );
    }

    #[test]
    fn codes_of_stored_objects_never_move() {
        assert_eq!(TYPES[0], "application/octet-stream");
        assert_eq!(TYPES[10], "application/json");
        assert_eq!(TYPES[25], "image/png");
        assert_eq!(TYPES[40], "application/x-www-form-urlencoded");
        assert!(TYPES.len() < 256);
    }
}
