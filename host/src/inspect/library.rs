//! Which kind of library it is, and where its descriptor lies.

use super::{Inspection, descriptor, elf};
use crate::fault::{Code, Fault};
use holdall_plugin_api::descriptor::{SECTION, SECTION_MACH_O};
use object::read::NameOrOrdinal;
use object::{Architecture, BinaryFormat, FileKind, Object, ObjectSection, ObjectSymbol, ReadRef};

/// The processor that this host runs on, as `object` names it.
fn host_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        _ => Architecture::Unknown,
    }
}

/// The host, as faults name it.
pub(super) fn host_target() -> String {
    let libc = if cfg!(target_env = "musl") {
        "musl"
    } else {
        "gnu"
    };
    format!("{}-{}-{libc}", std::env::consts::ARCH, std::env::consts::OS)
}

fn name_of(architecture: Architecture) -> String {
    format!("{architecture:?}").to_lowercase()
}

/// Judges a file of at least one byte.
pub(super) fn judge<'data, R: ReadRef<'data>>(found: &mut Inspection, data: R, size: u64) {
    let stranger = |what: &str| {
        Fault::new(Code::NotALibrary)
            .expected("a shared library")
            .found(what)
    };
    match FileKind::parse(data) {
        Ok(FileKind::Elf64 | FileKind::Elf32) => {
            // Facts of the headers first: they hold also for a file that is cut.
            if !elf::judge_header(found, data, size) {
                return;
            }
        }
        Ok(FileKind::MachO32 | FileKind::MachO64 | FileKind::Pe32 | FileKind::Pe64) => {}
        Ok(FileKind::Archive) => return found.faults.push(stranger("an archive of object files")),
        Ok(FileKind::Coff | FileKind::CoffBig | FileKind::CoffImport) => {
            return found.faults.push(stranger("an object file"));
        }
        Ok(FileKind::MachOFat32 | FileKind::MachOFat64) => {
            found.target = "mach-o, several processors".to_owned();
            return found.faults.push(
                Fault::new(Code::FormatMismatch)
                    .expected(host_format())
                    .found("a Mach-O library of several processors"),
            );
        }
        Ok(other) => {
            return found
                .faults
                .push(stranger(&format!("{other:?}").to_lowercase()));
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
    judge_descriptor(found, &file);
    if file.format() == BinaryFormat::Elf && file.is_64() && file.is_little_endian() {
        elf::judge_loading(found, &file, data);
    }
    judge_entry(found, &file);
}

fn starts_like_elf<'data, R: ReadRef<'data>>(data: R) -> bool {
    data.read_bytes_at(0, 4)
        .is_ok_and(|magic| magic == b"\x7fELF")
}

fn host_format() -> &'static str {
    match std::env::consts::OS {
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
    found.target = format!(
        "{format} {}-{os}{width}{order}",
        name_of(file.architecture())
    );
    if !native {
        found.faults.push(
            Fault::new(Code::FormatMismatch)
                .expected(host_format())
                .found(format!("a {} file", found.target)),
        );
    }
    let fits =
        file.architecture() == host_architecture() && file.is_64() && file.is_little_endian();
    if !fits {
        found.faults.push(
            Fault::new(Code::ArchMismatch)
                .expected(format!("{}, this host", host_target()))
                .found(found.target.clone())
                .location("file header"),
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

fn judge_entry<'data, R: ReadRef<'data>>(found: &mut Inspection, file: &object::File<'data, R>) {
    let Some(descriptor) = &found.descriptor else {
        return;
    };
    let entry = &descriptor.about.entry;
    // Mach-O puts an underscore in front of every C name.
    let spelt = if file.format() == BinaryFormat::MachO {
        format!("_{entry}")
    } else {
        entry.clone()
    };
    let exported = match file.format() {
        BinaryFormat::Elf => file
            .dynamic_symbols()
            .any(|symbol| symbol.is_definition() && symbol.is_global() && symbol.name() == Ok(&spelt)),
        _ => file
            .exports()
            .is_ok_and(|mut exports| exports.any(|export| {
                export.is_ok_and(|export| matches!(export.name(), NameOrOrdinal::Name(name) if name == spelt.as_bytes()))
            })),
    };
    if !exported {
        found.faults.push(
            Fault::new(Code::EntryMissing)
                .expected(format!("the exported symbol {entry}"))
                .found("no such definition")
                .location("dynamic symbols"),
        );
    }
}
