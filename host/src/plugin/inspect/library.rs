//! Which kind of library it is, and where its descriptor lies.

use super::elf::{self, Segment};
use super::{Inspection, descriptor, pe_mach_o};
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::descriptor::{SECTION, SECTION_MACH_O};
use object::{
    Architecture, BinaryFormat, FileKind, Object, ObjectSection, ObjectSegment, ObjectSymbol,
    ReadRef, SymbolKind, SymbolScope,
};

/// Bytes of the largest descriptor with its padding.
const MAX_DESCRIPTOR: u64 = 4 << 20;

/// The processor that this host runs on, as `object` names it.
pub(super) fn host_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        _ => Architecture::Unknown,
    }
}

/// The host, as faults name it.
pub(super) fn host_target() -> String {
    let libc = match () {
        () if cfg!(target_env = "musl") => "musl",
        () if cfg!(target_env = "msvc") => "msvc",
        () => "gnu",
    };
    format!("{}-{}-{libc}", std::env::consts::ARCH, std::env::consts::OS)
}

pub(super) fn name_of(architecture: Architecture) -> String {
    format!("{architecture:?}").to_lowercase()
}

/// Judges a file of at least one byte.
pub(super) fn check<'data, R: ReadRef<'data>>(found: &mut Inspection, data: R, size: u64) {
    match FileKind::parse(data) {
        Ok(FileKind::MachOFat32) => pe_mach_o::judge_universal(found, data, size, false),
        Ok(FileKind::MachOFat64) => pe_mach_o::judge_universal(found, data, size, true),
        _ => check_one(found, data, size),
    }
}

/// Judges a library for one processor.
pub(super) fn check_one<'data, R: ReadRef<'data>>(found: &mut Inspection, data: R, size: u64) {
    let stranger = |what: &str| {
        Fault::new(Code::NotALibrary)
            .expected("a shared library")
            .found(what)
    };
    // What this host could load, as far as the headers say.
    let mut segments = None;
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) if is_little_endian(data) => {
            // Before `object` reads on: it stops at the first thing that is wrong.
            let Some(read) = elf::judge_headers(found, data, size) else {
                return;
            };
            segments = Some(read);
        }
        Ok(FileKind::Elf32 | FileKind::Elf64) => {}
        Ok(FileKind::MachO32 | FileKind::MachO64 | FileKind::Pe32 | FileKind::Pe64) => {}
        Ok(FileKind::Archive) => return found.faults.push(stranger("an archive of object files")),
        Ok(FileKind::Coff | FileKind::CoffBig | FileKind::CoffImport) => {
            return found.faults.push(stranger("an object file"));
        }
        Ok(FileKind::MachOFat32 | FileKind::MachOFat64) => {
            return found
                .faults
                .push(stranger("a list of libraries inside a list"));
        }
        Ok(other) => {
            let name = format!("{other:?}").to_lowercase();
            return found.faults.push(stranger(&name));
        }
        Err(_) if size < 16 && starts_like_elf(data) => {
            let fault = Fault::new(Code::Truncated).expected("at least 64 bytes of an ELF header");
            return found.faults.push(fault.found(format!("{size} bytes")));
        }
        Err(_) => return found.faults.push(stranger("no known format")),
    }
    let file = match object::File::parse(data) {
        Ok(file) => file,
        Err(cause) => {
            let fault = Fault::new(Code::Malformed).expected("headers that agree with each other");
            return found.faults.push(fault.found(cause.to_string()));
        }
    };
    judge_platform(found, &file);
    judge_size(found, &file, size);
    judge_descriptor(found, &file);
    judge_entry(found, &file, segments.as_deref());
    match &segments {
        Some(segments) => elf::judge_loading(found, &file, data, segments),
        None => pe_mach_o::judge(found, &file),
    }
}

fn is_little_endian<'data, R: ReadRef<'data>>(data: R) -> bool {
    data.read_bytes_at(5, 1).is_ok_and(|order| order == [1])
}

fn starts_like_elf<'data, R: ReadRef<'data>>(data: R) -> bool {
    data.read_bytes_at(0, 4)
        .is_ok_and(|magic| magic == b"\x7fELF")
}

/// The libraries of this host, as faults name them.
fn host_format() -> String {
    let os = std::env::consts::OS;
    format!("{} for {}, this host", format_of(os), host_target())
}

/// The libraries of a system, by its name.
fn format_of(os: &str) -> &'static str {
    match os {
        "macos" => "a Mach-O library",
        "windows" => "a PE library",
        _ => "an ELF library",
    }
}

fn judge_platform<'data, R: ReadRef<'data>>(found: &mut Inspection, file: &object::File<'data, R>) {
    let (format, os, native) = match file.format() {
        BinaryFormat::Elf => ("elf", "linux", std::env::consts::OS == "linux"),
        BinaryFormat::MachO => ("mach-o", "macos", std::env::consts::OS == "macos"),
        _ => ("pe", "windows", std::env::consts::OS == "windows"),
    };
    let width = if file.is_64() { "" } else { ", 32 bit" };
    let order = if file.is_little_endian() {
        ""
    } else {
        ", big endian"
    };
    let system = format!("{}-{os}{width}{order}", name_of(file.architecture()));
    found.target = format!("{format} {system}");
    if !native {
        found.faults.push(
            Fault::new(Code::FormatMismatch)
                .expected(host_format())
                .found(format!("{} for {system}", format_of(os))),
        );
    }
    let fits =
        file.architecture() == host_architecture() && file.is_64() && file.is_little_endian();
    if !fits {
        let target = found.target.clone();
        found.faults.push(other_processor(&target));
    }
}

/// The fault of a library for another processor.
pub(super) fn other_processor(target: &str) -> Fault {
    Fault::new(Code::ArchMismatch)
        .expected(format!("{}, this host", host_target()))
        .found(target)
        .location("file header")
}

/// For the formats whose headers only `object` reads.
fn judge_size<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    size: u64,
) {
    let ends = file.segments().map(|segment| {
        let (start, len) = segment.file_range();
        start.saturating_add(len)
    });
    if let Some(end) = ends.max().filter(|end| *end > size) {
        found.faults.push(
            Fault::new(Code::Truncated)
                .expected(format!("a segment up to byte {end}"))
                .found(format!("{size} bytes")),
        );
    }
}

fn judge_descriptor<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
) {
    let wanted = if file.format() == BinaryFormat::MachO {
        SECTION_MACH_O
    } else {
        SECTION
    };
    let mut sections = file
        .sections()
        .filter(|section| section.name() == Ok(wanted));
    let Some(section) = sections.next() else {
        return found.faults.push(
            Fault::new(Code::NoDescriptor)
                .expected(format!("a section {wanted}"))
                .found("a library without one"),
        );
    };
    if sections.next().is_some() {
        found.faults.push(
            Fault::new(Code::DuplicateDescriptor)
                .expected(format!("one section {wanted}"))
                .found("several"),
        );
    }
    if section.size() > MAX_DESCRIPTOR {
        return found.faults.push(
            Fault::new(Code::MalformedDescriptor)
                .expected(format!("at most {MAX_DESCRIPTOR} bytes"))
                .found(format!("{} bytes", section.size()))
                .location(wanted),
        );
    }
    let data = match section.data() {
        Ok(data) => data,
        Err(cause) => {
            let fault = Fault::new(Code::Truncated)
                .expected(format!("the content of {wanted} inside the file"));
            return found.faults.push(fault.found(cause.to_string()));
        }
    };
    let (read, faults) = descriptor::read(data);
    found.descriptor = read;
    found.faults.extend(faults.into_iter().map(|fault| {
        let place = if fault.location.is_empty() {
            wanted.to_owned()
        } else {
            format!("{wanted}, {}", fault.location)
        };
        fault.location(place)
    }));
}

fn judge_entry<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    segments: Option<&[Segment]>,
) {
    let Some(descriptor) = &found.descriptor else {
        return;
    };
    let entry = &descriptor.about.entry;
    let problem = match file.format() {
        BinaryFormat::Elf => elf_entry(file, entry, segments),
        // Every C name has an underscore in front there.
        BinaryFormat::MachO => pe_mach_o::entry(file, &format!("_{entry}")),
        _ => pe_mach_o::entry(file, entry),
    };
    if let Some(problem) = problem {
        found.faults.push(
            Fault::new(Code::EntryMissing)
                .expected(format!("the exported function {entry}"))
                .found(problem)
                .location("dynamic symbols"),
        );
    }
}

/// What is wrong with the entry symbol. The host would call whatever lies there.
fn elf_entry<'data, R: ReadRef<'data>>(
    file: &object::File<'data, R>,
    entry: &str,
    segments: Option<&[Segment]>,
) -> Option<&'static str> {
    let mut symbols = file.dynamic_symbols();
    let Some(symbol) = symbols.find(|symbol| symbol.name_bytes() == Ok(entry.as_bytes())) else {
        return Some("no such symbol");
    };
    let runs = |address| segments.is_none_or(|all| all.iter().any(|s| s.runs(address)));
    if symbol.is_undefined() {
        Some("a symbol that the library itself looks for elsewhere")
    } else if symbol.scope() != SymbolScope::Dynamic {
        Some("a symbol that others cannot see")
    } else if symbol.kind() != SymbolKind::Text {
        Some("a symbol that is no function")
    } else if !runs(symbol.address()) {
        Some("a function outside of the library's code")
    } else {
        None
    }
}
