//! What the loader would do with an ELF file beside mapping it: its dynamic section.

use super::elf::{PT_DYNAMIC, PT_INTERP, Segment, in_file, number};
use super::{Inspection, dependencies, library, relocations};
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::descriptor::SECTION;
use object::{Object, ObjectSection, ReadRef};

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
/// The longest text that is read.
const MAX_TEXT: u64 = 4096;

/// The dynamic section, and what is needed to follow it.
pub(super) struct Dynamic<'f, R> {
    pub(super) data: R,
    pub(super) segments: &'f [Segment],
    entries: Vec<(u64, u64)>,
}

impl<'data, R: ReadRef<'data>> Dynamic<'_, R> {
    /// The value of a tag. The loader, too, takes the last of several.
    pub(super) fn value(&self, tag: u64) -> Option<u64> {
        let mut backwards = self.entries.iter().rev();
        backwards.find(|(t, _)| *t == tag).map(|(_, value)| *value)
    }

    fn texts(&self, tag: u64) -> impl Iterator<Item = String> {
        let entries = self.entries.iter().filter(move |(t, _)| *t == tag);
        entries.filter_map(|(_, offset)| self.text(*offset))
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
    let pairs = bytes.unwrap_or_default().chunks_exact(16);
    let dynamic = Dynamic {
        data,
        segments,
        entries: pairs
            .map(|pair| (number::<8>(pair, 0), number::<8>(pair, 8)))
            .take_while(|(tag, _)| *tag != DT_NULL)
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
    if let Some(section) = file.section_by_name(SECTION) {
        let start = section.address();
        let end = start.saturating_add(section.size());
        relocations::check(found, &dynamic, start..end);
    }
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
    let missing = match dependencies::missing(needed, paths) {
        Ok(missing) => missing,
        Err(lookups) => {
            return found.faults.push(
                Fault::new(Code::Malformed)
                    .expected(format!(
                        "at most {} places to look for libraries",
                        dependencies::MAX_LOOKUPS
                    ))
                    .found(format!("{lookups}"))
                    .location("needed libraries"),
            );
        }
    };
    for missing in missing {
        found.faults.push(
            Fault::new(Code::DependencyMissing)
                .expected(format!("the library {missing}"))
                .found("not on this system")
                .location("needed libraries"),
        );
    }
}
