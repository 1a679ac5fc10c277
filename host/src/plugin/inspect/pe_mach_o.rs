//! What the loaders of Windows and macOS look at: kind, protection, exports and platform of a library.

use super::{Inspection, library, needs, source};
use crate::plugin::fault::{Code, Fault};
use object::endian::LittleEndian as LE;
use object::macho::{self, FatArch32, FatArch64, MH_BUNDLE, MH_DYLIB, MH_EXECUTE, PLATFORM_MACOS};
use object::pe;
use object::read::macho::{FatArch, MachHeader, MachOFatFile, MachOFile};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile};
use object::read::{ExportTarget, NameOrOrdinal};
use object::{BinaryFormat, Object, ObjectSection, ObjectSegment, ReadRef, SegmentFlags};
use std::ops::Range;

/// Most libraries that one file may name: real ones name some tens.
const MAX_NEEDED: usize = 4096;
/// Real files have two or three.
const MAX_PROCESSORS: usize = 32;

/// Judges what is around the descriptor.
pub(super) fn judge<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
) {
    match file {
        object::File::Pe32(file) => judge_pe(found, file),
        object::File::Pe64(file) => judge_pe(found, file),
        object::File::MachO32(file) => judge_mach_o(found, file),
        object::File::MachO64(file) => judge_mach_o(found, file),
        _ => return,
    }
    let both = |segment: &object::Segment<'data, '_, R>| rights(segment.flags()) == (true, true);
    if let Some(segment) = file.segments().find(both) {
        let name = segment.name().ok().flatten().unwrap_or_default().to_owned();
        found.faults.push(
            Fault::new(Code::WritableCode)
                .expected("segments that are writable or executable, not both")
                .found(format!(
                    "{name:.80?}, which is both, at address {:#x}",
                    segment.address()
                )),
        );
    }
}

/// Whether a segment may be written and run at first. What it may become (`maxprot`) was everything in
/// libraries for older systems.
fn rights(flags: SegmentFlags) -> (bool, bool) {
    match flags {
        SegmentFlags::MachO { initprot, .. } => (
            initprot.contains(macho::VM_PROT_WRITE),
            initprot.contains(macho::VM_PROT_EXECUTE),
        ),
        SegmentFlags::Coff { characteristics } => (
            characteristics.contains(pe::IMAGE_SCN_MEM_WRITE),
            characteristics.contains(pe::IMAGE_SCN_MEM_EXECUTE),
        ),
        _ => (false, false),
    }
}

fn not_shared(found: &mut Inspection, expected: &str, is: impl Into<String>) {
    found.faults.push(
        Fault::new(Code::NotSharedObject)
            .expected(expected)
            .found(is)
            .location("file header"),
    );
}

fn other_system(found: &mut Inspection, expected: &str, is: String) {
    let fault = Fault::new(Code::OsMismatch).expected(expected).found(is);
    found.faults.push(fault.location("file header"));
}

fn judge_pe<'data, Pe: ImageNtHeaders, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &PeFile<'data, Pe, R>,
) {
    let headers = file.nt_headers();
    let flags = headers.file_header().characteristics.get(LE);
    if !flags.contains(pe::IMAGE_FILE_DLL) {
        not_shared(found, "a DLL", "an executable");
    } else if flags.contains(pe::IMAGE_FILE_RELOCS_STRIPPED) {
        // Of two plugins at one address the second does not load.
        not_shared(
            found,
            "a DLL for any address",
            "one without its relocations",
        );
    }
    let subsystem = headers.optional_header().subsystem();
    let windows = [
        pe::IMAGE_SUBSYSTEM_WINDOWS_GUI,
        pe::IMAGE_SUBSYSTEM_WINDOWS_CUI,
    ];
    if !windows.contains(&subsystem) {
        let expected = "a library for programs of Windows (subsystem 2 or 3)";
        other_system(found, expected, format!("subsystem {}", subsystem.0));
    }
    match imported(file) {
        Ok(needed) => needs::judge(found, BinaryFormat::Pe, &needed, &[]),
        Err(cause) => found.faults.push(
            Fault::new(Code::Malformed)
                .expected("imports that can be read")
                .found(cause),
        ),
    }
    let Some(section) = file
        .sections()
        .find(|section| section.name() == Ok(holdall_plugin_api::descriptor::SECTION))
    else {
        return;
    };
    let base = headers.optional_header().image_base();
    let start = section.address().wrapping_sub(base);
    match relocated(file, start..start.saturating_add(section.size())) {
        Ok(None) => {}
        Ok(Some(at)) => found.faults.push(
            Fault::new(Code::RelocatedDescriptor)
                .expected("a descriptor that the loader leaves as it is")
                .found(format!("a relocation at byte {} of it", at - start)),
        ),
        Err(cause) => found.faults.push(
            Fault::new(Code::Malformed)
                .expected("relocations that can be read")
                .found(cause.to_string()),
        ),
    }
}

/// The libraries that the loader maps with it. What is loaded on first use (delay-load) is not needed for that.
fn imported<'data, Pe: ImageNtHeaders, R: ReadRef<'data>>(
    file: &PeFile<'data, Pe, R>,
) -> Result<Vec<String>, String> {
    let mut needed = Vec::new();
    let error = |cause: object::Error| cause.to_string();
    let Some(table) = file.import_table().map_err(error)? else {
        return Ok(needed);
    };
    let mut libraries = table.descriptors().map_err(error)?;
    while let Some(library) = libraries.next().map_err(error)? {
        let name = table.name(library.name.get(LE)).map_err(error)?;
        match std::str::from_utf8(name) {
            Ok(name) if name.len() <= 255 && needed.len() < MAX_NEEDED => {
                needed.push(name.to_owned());
            }
            Ok(_) => {
                return Err(format!(
                    "more than {MAX_NEEDED}, or a name that is too long"
                ));
            }
            Err(_) => return Err("the name of a library that is no text".to_owned()),
        }
    }
    Ok(needed)
}

/// The first address in this range that the loader would change.
fn relocated<'data, Pe: ImageNtHeaders, R: ReadRef<'data>>(
    file: &PeFile<'data, Pe, R>,
    range: Range<u64>,
) -> object::Result<Option<u64>> {
    let directories = file.data_directories();
    let Some(mut blocks) = directories.relocation_blocks(file.data(), &file.section_table())?
    else {
        return Ok(None);
    };
    while let Some(block) = blocks.next()? {
        // One block is for a page.
        let page = u64::from(block.virtual_address());
        if page >= range.end || page.saturating_add(0x1000) <= range.start {
            continue;
        }
        let mut addresses = block.map(|relocation| u64::from(relocation.virtual_address));
        if let Some(at) = addresses.find(|at| range.contains(at)) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn judge_mach_o<'data, Mach: MachHeader, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &MachOFile<'data, Mach, R>,
) {
    let kind = file.macho_header().filetype(file.endian());
    if ![MH_DYLIB, MH_BUNDLE].contains(&kind) {
        let is = match kind {
            MH_EXECUTE => "an executable".to_owned(),
            macho::MH_OBJECT => "an object file".to_owned(),
            macho::MH_CORE => "a core dump".to_owned(),
            other => format!("file type {}", other.0),
        };
        not_shared(found, "a dylib or a bundle", is);
    }
    // Libraries before macOS 10.14 name it in another command, or not at all.
    match file.build_version() {
        Ok(Some((version, _))) => {
            let platform = version.platform.get(file.endian());
            if platform != PLATFORM_MACOS {
                let is = format!("platform {}", platform.0);
                other_system(found, "platform 1 (macOS)", is);
            }
        }
        Ok(None) => {}
        Err(cause) => found.faults.push(
            Fault::new(Code::Malformed)
                .expected("load commands that can be read")
                .found(cause.to_string()),
        ),
    }
}

/// What is wrong with the entry symbol. The host would call whatever lies there.
pub(super) fn entry<'data, R: ReadRef<'data>>(
    file: &object::File<'data, R>,
    spelt: &str,
) -> Option<&'static str> {
    let Ok(exports) = file.exports() else {
        return Some("exports that cannot be read");
    };
    for export in exports {
        let Ok(export) = export else {
            return Some("exports that cannot be read");
        };
        if !matches!(export.name(), NameOrOrdinal::Name(name) if name == spelt.as_bytes()) {
            continue;
        }
        return match export.target() {
            ExportTarget::Address { address } => {
                let runs = |segment: object::Segment<'data, '_, R>| {
                    let inside = address.checked_sub(segment.address());
                    rights(segment.flags()).1 && inside.is_some_and(|at| at < segment.size())
                };
                let is_code = file.segments().any(runs);
                (!is_code).then_some("an address outside of the library's code")
            }
            ExportTarget::Reexport { .. } => Some("a symbol of another library"),
            _ => Some("a symbol that is no function"),
        };
    }
    Some("no such export")
}

/// Judges a Mach-O file of several processors by the library for this one, or else by its first.
pub(super) fn judge_universal<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    data: R,
    size: u64,
    wide: bool,
) {
    let processors = match wide {
        false => processors::<FatArch32, R>(data),
        true => processors::<FatArch64, R>(data),
    };
    let malformed = |is: String| {
        Fault::new(Code::Malformed)
            .expected("a list of libraries inside the file, one for each processor")
            .found(is)
            .location("file header")
    };
    let processors = match processors {
        Ok(all) if (1..=MAX_PROCESSORS).contains(&all.len()) => all,
        Ok(all) => {
            return found
                .faults
                .push(malformed(format!("{} of them", all.len())));
        }
        Err(cause) => return found.faults.push(malformed(cause.to_string())),
    };
    let here = library::host_architecture();
    let mine = processors.iter().find(|(processor, _)| *processor == here);
    let (_, part) = mine.unwrap_or(&processors[0]);
    if part.end > size {
        found.target = "mach-o, several processors".to_owned();
        return found.faults.push(
            Fault::new(Code::Truncated)
                .expected(format!("a library up to byte {}", part.end))
                .found(format!("{size} bytes")),
        );
    }
    let part = source::Part::new(data, part.clone());
    library::check_one(found, part, part.size());
    let names = processors.iter().map(|(it, _)| library::name_of(*it));
    let names = names.collect::<Vec<_>>().join(", ");
    found.target = format!("{}, of {names}", found.target);
}

type Processors = Vec<(object::Architecture, Range<u64>)>;

fn processors<'data, F: FatArch, R: ReadRef<'data>>(data: R) -> object::Result<Processors> {
    let file = MachOFatFile::<F>::parse(data)?;
    let each = file.arches().iter().take(MAX_PROCESSORS + 1).map(|one| {
        let (start, len) = one.file_range();
        (one.architecture(), start..start.saturating_add(len))
    });
    Ok(each.collect())
}
