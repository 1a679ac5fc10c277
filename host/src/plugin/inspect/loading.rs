//! What the loader would do with an ELF file beside mapping it: its dynamic section.

use super::elf::{PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS, Segment, in_file, number};
use super::{Inspection, elf, library, needs, relocations, tables};
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::descriptor::SECTION;
use object::{BinaryFormat, Object, ObjectSection, ReadRef};

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_TEXTREL: u64 = 22;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS: u64 = 30;
const DF_TEXTREL: u64 = 4;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;
/// Bytes of the largest dynamic section: real ones have some hundreds.
const MAX_DYNAMIC: u64 = 1 << 20;
/// Most symbols of which only one may be in a process: real plugins have some hundreds.
const MAX_UNIQUE: usize = 4096;
/// The longest text that is read.
const MAX_TEXT: u64 = 4096;

/// The dynamic section, and what is needed to follow it.
pub(super) struct Dynamic<'f, R> {
    pub(super) data: R,
    pub(super) segments: &'f [Segment],
    entries: Vec<(u64, u64)>,
    /// Addresses and sizes of the sections that are loaded.
    sections: Vec<(u64, u64)>,
}

impl<'data, R: ReadRef<'data>> Dynamic<'_, R> {
    /// The value of a tag. The loader, too, takes the last of several.
    pub(super) fn value(&self, tag: u64) -> Option<u64> {
        let mut backwards = self.entries.iter().rev();
        backwards.find(|(t, _)| *t == tag).map(|(_, value)| *value)
    }

    /// The values of every entry with this tag.
    pub(super) fn all(&self, tag: u64) -> impl Iterator<Item = u64> {
        let entries = self.entries.iter().filter(move |(t, _)| *t == tag);
        entries.map(|(_, value)| *value)
    }

    fn texts(&self, tag: u64) -> impl Iterator<Item = String> {
        self.all(tag).filter_map(|offset| self.text(offset))
    }

    /// The bytes at an address, when one segment has all of them in the file.
    pub(super) fn bytes(&self, address: u64, len: u64) -> Option<&'data [u8]> {
        let (start, left) = in_file(self.segments, address)?;
        if len > left {
            return None;
        }
        self.data.read_bytes_at(start, len).ok()
    }

    /// Whether a table is a section, or begins with one: some linkers count the relocations of calls
    /// twice.
    pub(super) fn is_section(&self, address: u64, len: u64) -> bool {
        let mut sections = self.sections.iter();
        sections.any(|(at, size)| *at == address && *size > 0 && *size <= len)
    }

    /// The word at an address. Segments are read whole, because there may be many.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let mut loaded = self.segments.iter().filter(|s| s.kind == PT_LOAD);
        let segment = loaded.find(|segment| (segment.address..segment.end()).contains(&address))?;
        let bytes = self.data.read_bytes_at(segment.offset, segment.file_size);
        let at = usize::try_from(address - segment.address).ok()?;
        let word = bytes.ok()?.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*word))
    }

    /// Whether an address lies in the library, or just behind a part of it: the end of a table is an
    /// address too.
    pub(super) fn holds(&self, address: u64) -> bool {
        let mut loaded = self.segments.iter().filter(|s| s.kind == PT_LOAD);
        loaded.any(|segment| (segment.address..=segment.end()).contains(&address))
    }

    /// Whether the library may write these bytes.
    pub(super) fn is_data(&self, address: u64, len: u64) -> bool {
        let mut loaded = self.segments.iter().filter(|s| s.kind == PT_LOAD);
        loaded.any(|segment| {
            segment.is_writable()
                && address >= segment.address
                && address
                    .checked_add(len)
                    .is_some_and(|end| end <= segment.end())
        })
    }

    /// Bytes of the library's thread-locals.
    pub(super) fn tls_size(&self) -> u64 {
        let tls = self.segments.iter().find(|segment| segment.kind == PT_TLS);
        tls.map_or(0, |tls| tls.end() - tls.address)
    }

    fn text(&self, offset: u64) -> Option<String> {
        let (strings, left) = in_file(self.segments, self.value(DT_STRTAB)?)?;
        let left = left.min(self.value(DT_STRSZ)?).checked_sub(offset)?;
        let start = strings.checked_add(offset)?;
        let end = start.checked_add(left.min(MAX_TEXT))?;
        let text = self.data.read_bytes_at_until(start..end, 0).ok()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

pub(super) fn check<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    data: R,
    segments: &[Segment],
) {
    let Some(place) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return;
    };
    let bytes = data.read_bytes_at(place.offset, place.file_size.min(MAX_DYNAMIC));
    let bytes = bytes.unwrap_or_default();
    let ends = bytes
        .chunks_exact(16)
        .any(|pair| number::<8>(pair, 0) == DT_NULL);
    if !ends || !place.address.is_multiple_of(8) {
        found.faults.push(
            Fault::new(Code::Malformed)
                .expected("an aligned list that ends in DT_NULL")
                .found(format!(
                    "{} bytes at address {:#x}",
                    bytes.len(),
                    place.address
                ))
                .location("dynamic section"),
        );
        return;
    }
    let pairs = bytes.chunks_exact(16);
    let dynamic = Dynamic {
        data,
        segments,
        entries: pairs
            .map(|pair| (number::<8>(pair, 0), number::<8>(pair, 8)))
            .take_while(|(tag, _)| *tag != DT_NULL)
            .collect(),
        sections: file
            .sections()
            .filter(elf::is_loaded)
            .map(|section| (section.address(), section.size()))
            .collect(),
    };
    for (tag, name) in [(DT_STRTAB, "texts"), (DT_SYMTAB, "symbols")] {
        let address = dynamic.value(tag);
        if address
            .and_then(|address| in_file(segments, address))
            .is_none()
        {
            let is = address.map_or("none".to_owned(), |address| format!("address {address:#x}"));
            found.faults.push(
                Fault::new(Code::Malformed)
                    .expected(format!("the {name} inside a segment"))
                    .found(is)
                    .location("dynamic section"),
            );
            return;
        }
    }
    let text_relocations = dynamic.value(DT_TEXTREL).is_some()
        || dynamic
            .value(DT_FLAGS)
            .is_some_and(|flags| flags & DF_TEXTREL != 0);
    if text_relocations {
        found.faults.push(
            Fault::new(Code::TextRelocations)
                .expected("code that the loader maps unchanged")
                .found("relocations of read-only segments (TEXTREL)")
                .location("dynamic section"),
        );
    }
    let program = segments.iter().any(|segment| segment.kind == PT_INTERP)
        && dynamic
            .value(DT_FLAGS_1)
            .is_some_and(|flags| flags & DF_1_PIE != 0);
    if program && !has(found, Code::NotSharedObject) {
        found.faults.push(
            Fault::new(Code::NotSharedObject)
                .expected("a shared object")
                .found("a position-independent executable")
                .location("dynamic section"),
        );
    }
    let paths: Vec<String> = dynamic
        .texts(DT_RUNPATH)
        .chain(dynamic.texts(DT_RPATH))
        .collect();
    for path in &paths {
        if path.contains("$ORIGIN") || path.contains("${ORIGIN}") {
            found.faults.push(
                Fault::new(Code::OriginPath)
                    .expected("no $ORIGIN in RPATH or RUNPATH")
                    .found(path.clone())
                    .location("dynamic section"),
            );
        }
    }
    // Libraries of another platform are not looked for here: they are its own.
    let elsewhere = [Code::ArchMismatch, Code::FormatMismatch, Code::OsMismatch];
    if !elsewhere.iter().any(|code| has(found, *code)) {
        let needed: Vec<String> = dynamic.texts(DT_NEEDED).collect();
        judge_libraries(found, &needed, &paths);
    }
    // A wrong entry is a wrong symbol too, and one fault says it.
    if elsewhere.iter().any(|code| has(found, *code)) || has(found, Code::EntryMissing) {
        return;
    }
    if let Err(problem) = judge_tables(found, file, &dynamic) {
        found.faults.push(
            Fault::new(Code::Malformed)
                .expected(problem.expected)
                .found(problem.found)
                .location(problem.table),
        );
    }
}

fn judge_tables<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    dynamic: &Dynamic<'_, R>,
) -> Result<(), tables::Problem> {
    let range = |name: &str| {
        let section = file.section_by_name(name)?;
        Some((section.address(), section.size()))
    };
    if let Some((start, size)) = range(SECTION)
        && let Some(address) =
            relocations::in_descriptor(dynamic, start..start.saturating_add(size))?
    {
        found.faults.push(
            Fault::new(Code::RelocatedDescriptor)
                .expected("plain bytes")
                .found(format!("a relocation at address {address:#x}"))
                .location(SECTION),
        );
        return Ok(());
    }
    let symbols = tables::check(dynamic, range(".dynsym"))?;
    found.unique_symbols = symbols.unique().take(MAX_UNIQUE).collect();
    relocations::check(dynamic, &symbols)
}

fn has(found: &Inspection, code: Code) -> bool {
    found.faults.iter().any(|fault| fault.code == code)
}

fn judge_libraries(found: &mut Inspection, needed: &[String], paths: &[String]) {
    let is_musl = |name: &&String| name.starts_with("libc.musl-") || *name == "libc.so";
    let musl = needed.iter().find(is_musl);
    let gnu = needed.iter().find(|name| *name == "libc.so.6");
    let ours = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    if let Some((theirs, name)) = musl.map(|n| ("musl", n)).or(gnu.map(|n| ("gnu", n))) {
        found.target = format!("{}-{theirs}", found.target);
        if theirs != ours {
            found.faults.push(
                Fault::new(Code::LibcMismatch)
                    .expected(format!(
                        "the C library of {}, this host",
                        library::host_target()
                    ))
                    .found(format!("{}, which needs {name}", found.target))
                    .location("needed libraries"),
            );
            // Its other libraries are those of that platform.
            return;
        }
    }
    needs::judge(found, BinaryFormat::Elf, needed, paths);
}
