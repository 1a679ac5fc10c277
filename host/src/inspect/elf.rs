//! What only ELF has: the headers that the loader trusts, and what it does beside mapping.

use super::{Inspection, dependencies};
use crate::fault::{Code, Fault};
use holdall_plugin_api::descriptor::SECTION;
use object::{Object, ObjectSection, ReadRef};
use std::ops::Range;

const EHDR: u64 = 64;
const PHDR: u64 = 56;
const ET_DYN: u16 = 3;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_RELRSZ: u64 = 35;
const DT_RELR: u64 = 36;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;
/// No plugin has more, and each entry of the lists below costs a read.
const MAX_ENTRIES: u64 = 1 << 20;

fn bytes<'data, R: ReadRef<'data>, const N: usize>(data: R, at: u64) -> Option<[u8; N]> {
    data.read_bytes_at(at, N as u64).ok()?.try_into().ok()
}

fn u16_at<'data, R: ReadRef<'data>>(data: R, at: u64) -> u16 {
    bytes(data, at).map_or(0, u16::from_le_bytes)
}

fn u32_at<'data, R: ReadRef<'data>>(data: R, at: u64) -> u32 {
    bytes(data, at).map_or(0, u32::from_le_bytes)
}

fn u64_at<'data, R: ReadRef<'data>>(data: R, at: u64) -> u64 {
    bytes(data, at).map_or(0, u64::from_le_bytes)
}

/// Judges what the file header says. `false`: nothing more can be read.
pub(super) fn judge_header<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    data: R,
    size: u64,
) -> bool {
    let ident: [u8; 16] = bytes(data, 0).unwrap_or_default();
    let (wide, little) = (ident[4] == 2, ident[5] == 1);
    if !(wide && little) {
        // Another class or byte order: `object` reads it, and its processor is the fault.
        return true;
    }
    let truncated = |what: &str, end: u64| {
        Fault::new(Code::Truncated)
            .expected(format!("{what} up to byte {end}"))
            .found(format!("{size} bytes"))
    };
    if size < EHDR {
        found.faults.push(truncated("a header", EHDR));
        return false;
    }
    if ![0, 3].contains(&ident[7]) {
        let expected = "OS ABI 0 (System V) or 3 (Linux)";
        found.faults.push(
            Fault::new(Code::OsMismatch)
                .expected(expected)
                .found(format!("OS ABI {}", ident[7]))
                .location("file header"),
        );
    }
    let kind = u16_at(data, 16);
    if kind != ET_DYN {
        let name = match kind {
            1 => "an object file",
            2 => "an executable",
            4 => "a core dump",
            _ => "an unknown type",
        };
        found.faults.push(
            Fault::new(Code::NotSharedObject)
                .expected("a shared object")
                .found(name)
                .location("file header"),
        );
    }
    let mut within = |what: &str, start: u64, entry: u64, count: u64| {
        let end = entry
            .checked_mul(count)
            .and_then(|bytes| start.checked_add(bytes));
        let fault = match end {
            Some(end) if end <= size => return true,
            Some(end) => truncated(what, end),
            None => Fault::new(Code::Malformed)
                .expected(format!("{what} inside the file"))
                .found("an offset past the end of numbers"),
        };
        found.faults.push(fault);
        false
    };
    let (phoff, shoff) = (u64_at(data, 32), u64_at(data, 40));
    let (phentsize, phnum, shentsize, shnum) = (
        u16_at(data, 54),
        u16_at(data, 56),
        u16_at(data, 58),
        u16_at(data, 60),
    );
    let mut whole = within("program headers", phoff, phentsize.into(), phnum.into());
    whole &= shoff == 0 || within("section headers", shoff, shentsize.into(), shnum.into());
    if whole {
        for header in segments(data).filter(|segment| segment.kind == PT_LOAD) {
            whole &= within("a loadable segment", header.offset, 1, header.file_size);
        }
    }
    whole
}

#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

fn segments<'data, R: ReadRef<'data>>(data: R) -> impl Iterator<Item = Segment> {
    let (start, stride, count) = (
        u64_at(data, 32),
        u64::from(u16_at(data, 54)),
        u64::from(u16_at(data, 56)),
    );
    (0..if stride == PHDR { count } else { 0 }).map(move |index| {
        // Checked to be inside the file before this is used.
        let at = start.saturating_add(index * PHDR);
        Segment {
            kind: u32_at(data, at),
            offset: u64_at(data, at.saturating_add(8)),
            address: u64_at(data, at.saturating_add(16)),
            file_size: u64_at(data, at.saturating_add(32)),
            memory_size: u64_at(data, at.saturating_add(40)),
            align: u64_at(data, at.saturating_add(48)),
        }
    })
}

/// Where the file keeps what will lie at this address.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.kind == PT_LOAD)
        .find_map(|segment| {
            let inside = address.checked_sub(segment.address)?;
            (inside < segment.file_size).then(|| segment.offset.saturating_add(inside))
        })
}

/// Judges what the loader would do with a 64-bit little-endian file.
pub(super) fn judge_loading<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    data: R,
) {
    let segments: Vec<Segment> = segments(data).collect();
    let malformed = |what: &str, is: String| {
        Fault::new(Code::Malformed)
            .expected(what)
            .found(is)
            .location("program headers")
    };
    if !segments.iter().any(|segment| segment.kind == PT_LOAD) {
        found
            .faults
            .push(malformed("a loadable segment", "none".into()));
        return;
    }
    for segment in segments.iter().filter(|segment| segment.kind == PT_LOAD) {
        let impossible = segment.memory_size < segment.file_size
            || segment.address.checked_add(segment.memory_size).is_none()
            || segment.memory_size > 1 << 40
            || (segment.align > 1 && (!segment.align.is_power_of_two() || segment.align > 1 << 30))
            || (segment.align > 1
                && segment.address % segment.align != segment.offset % segment.align);
        if impossible {
            let is = format!(
                "{} bytes of file at address {:#x}",
                segment.file_size, segment.address
            );
            found
                .faults
                .push(malformed("a segment that can be mapped", is));
        }
    }
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        found
            .faults
            .push(malformed("a dynamic segment", "none".into()));
        return;
    };
    let entries = dynamic_entries(data, dynamic);
    let value = |tag: u64| {
        entries
            .iter()
            .find(|(t, _)| *t == tag)
            .map(|(_, value)| *value)
    };

    let program = segments.iter().any(|segment| segment.kind == PT_INTERP)
        && value(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_PIE != 0);
    if program
        && found
            .faults
            .iter()
            .all(|fault| fault.code != Code::NotSharedObject)
    {
        let fault = Fault::new(Code::NotSharedObject).expected("a shared object");
        found
            .faults
            .push(fault.found("a position-independent executable"));
    }
    let strings = value(DT_STRTAB).and_then(|address| file_offset(&segments, address));
    let text = |offset: u64| -> Option<String> {
        let start = strings?.checked_add(offset)?;
        let end = start.checked_add(4096)?.min(data.len().ok()?);
        let bytes = data.read_bytes_at_until(start..end, 0).ok()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let texts = |tag: u64| {
        entries
            .iter()
            .filter(move |(t, _)| *t == tag)
            .filter_map(|(_, offset)| text(*offset))
    };
    let paths: Vec<String> = texts(DT_RUNPATH).chain(texts(DT_RPATH)).collect();
    for path in paths
        .iter()
        .filter(|path| path.contains("$ORIGIN") || path.contains("${ORIGIN}"))
    {
        found.faults.push(
            Fault::new(Code::OriginPath)
                .expected("no $ORIGIN in RPATH or RUNPATH")
                .found(path.clone())
                .location("dynamic section"),
        );
    }
    let needed: Vec<String> = texts(DT_NEEDED).collect();
    // Libraries of another platform are not looked for here: they are its own.
    if found.faults.iter().all(|fault| {
        !matches!(
            fault.code,
            Code::ArchMismatch | Code::FormatMismatch | Code::OsMismatch
        )
    }) {
        judge_libraries(found, &needed, &paths);
    }
    if let Some(range) = descriptor_addresses(file) {
        judge_relocations(found, data, &segments, &value, range);
    }
}

fn dynamic_entries<'data, R: ReadRef<'data>>(data: R, dynamic: &Segment) -> Vec<(u64, u64)> {
    let count = (dynamic.file_size / 16).min(65_536);
    (0..count)
        .map(|index| {
            let at = dynamic.offset.saturating_add(index * 16);
            (u64_at(data, at), u64_at(data, at.saturating_add(8)))
        })
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect()
}

fn judge_libraries(found: &mut Inspection, needed: &[String], paths: &[String]) {
    let theirs = if needed
        .iter()
        .any(|name| name.starts_with("libc.musl-") || name == "libc.so")
    {
        Some("musl")
    } else if needed.iter().any(|name| name == "libc.so.6") {
        Some("gnu")
    } else {
        None
    };
    let ours = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    if let Some(theirs) = theirs {
        found.target = format!("{}-{theirs}", found.target);
        if theirs != ours {
            let needs = needed
                .iter()
                .find(|name| name.starts_with("libc."))
                .cloned()
                .unwrap_or_default();
            found.faults.push(
                Fault::new(Code::LibcMismatch)
                    .expected(format!(
                        "{ours} libc, as {} has",
                        super::library::host_target()
                    ))
                    .found(format!("{theirs} libc ({needs})"))
                    .location("needed libraries"),
            );
            return;
        }
    }
    for missing in dependencies::missing(needed, paths) {
        found.faults.push(
            Fault::new(Code::DependencyMissing)
                .expected(format!("the library {missing}"))
                .found("not on this system")
                .location("needed libraries"),
        );
    }
}

fn descriptor_addresses<'data, R: ReadRef<'data>>(
    file: &object::File<'data, R>,
) -> Option<Range<u64>> {
    let section = file.section_by_name(SECTION)?;
    Some(section.address()..section.address().checked_add(section.size())?)
}

/// A relocation inside the descriptor would make the loaded bytes differ from the file's.
fn judge_relocations<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    data: R,
    segments: &[Segment],
    value: &dyn Fn(u64) -> Option<u64>,
    descriptor: Range<u64>,
) {
    let table = |at: u64, bytes: u64| Some((file_offset(segments, value(at)?)?, value(bytes)?));
    let mut touched = None;
    if let Some((start, bytes)) = table(DT_RELA, DT_RELASZ) {
        touched = (0..(bytes / 24).min(MAX_ENTRIES))
            .map(|index| u64_at(data, start.saturating_add(index * 24)))
            .find(|address| descriptor.contains(address));
    }
    if let Some((start, bytes)) = table(DT_RELR, DT_RELRSZ) {
        let words = (0..(bytes / 8).min(MAX_ENTRIES))
            .map(|index| u64_at(data, start.saturating_add(index * 8)));
        touched = touched
            .or_else(|| packed_addresses(words).find(|address| descriptor.contains(address)));
    }
    if let Some(address) = touched {
        found.faults.push(
            Fault::new(Code::RelocatedDescriptor)
                .expected("plain bytes")
                .found(format!("a relocation at address {address:#x}"))
                .location(SECTION),
        );
    }
}

/// The addresses of packed relative relocations: an even word is an address, an odd one a bitmap of
/// the 63 words after the last.
fn packed_addresses(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    let mut base = 0u64;
    words.flat_map(move |word| {
        let addresses: Vec<u64> = if word & 1 == 0 {
            base = word.wrapping_add(8);
            vec![word]
        } else {
            let here = base;
            base = base.wrapping_add(63 * 8);
            (0..63)
                .filter(|bit| word >> (bit + 1) & 1 == 1)
                .map(|bit| here.wrapping_add(bit * 8))
                .collect()
        };
        addresses
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_relocations_are_unpacked() {
        // One address, then a bitmap with bits 0 and 2: the words 8 and 24 bytes after it.
        let addresses: Vec<u64> = packed_addresses([0x1000, 0b1011].into_iter()).collect();
        assert_eq!(addresses, [0x1000, 0x1008, 0x1018]);
    }
}
