//! What only ELF has: the headers that the loader trusts.

use super::loading;
use super::{Inspection, library};
use crate::plugin::fault::{Code, Fault};
use object::{Object, ObjectSection, ReadRef, SectionFlags, SectionKind, elf};

const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
pub(super) const PT_TLS: u32 = 7;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;
const PT_GNU_STACK: u32 = 0x6474_e551;
/// The largest page of the processors that this host runs on.
const PAGE: u64 = 1 << 16;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;
/// No address space is larger.
const MAX_MEMORY: u64 = 1 << 40;
const MAX_ALIGN: u64 = 1 << 30;
/// Real libraries have about ten.
const MAX_SEGMENTS: usize = 128;
/// Thread-locals of a library: each thread of the process pays for them.
const MAX_TLS: u64 = 1 << 24;
const MAX_TLS_ALIGN: u64 = 1 << 12;

/// The little-endian number at `at`, zero past the end.
pub(super) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    if let Some(found) = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
        wide[..N].copy_from_slice(found);
    }
    u64::from_le_bytes(wide)
}

/// One entry of the program headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) kind: u32,
    flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    memory_size: u64,
    align: u64,
}

impl Segment {
    fn read(header: &[u8]) -> Self {
        Self {
            kind: number::<4>(header, 0) as u32,
            flags: number::<4>(header, 4) as u32,
            offset: number::<8>(header, 8),
            address: number::<8>(header, 16),
            file_size: number::<8>(header, 32),
            memory_size: number::<8>(header, 40),
            align: number::<8>(header, 48),
        }
    }

    /// Just behind it in memory.
    pub(super) fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.flags & PF_W != 0
    }

    /// Whether what it holds in the file is a part of what `loaded` holds, at the same place.
    fn lies_in(&self, loaded: &Segment) -> bool {
        loaded.kind == PT_LOAD
            && self.address >= loaded.address
            && self.end() <= loaded.end()
            && self.address - loaded.address == self.offset.wrapping_sub(loaded.offset)
            && self.address.saturating_add(self.file_size)
                <= loaded.address.saturating_add(loaded.file_size)
    }

    /// Whether the code at this address would be this segment's.
    pub(super) fn runs(&self, address: u64) -> bool {
        let inside = address.checked_sub(self.address);
        self.kind == PT_LOAD
            && self.flags & PF_X != 0
            && inside.is_some_and(|inside| inside < self.file_size)
    }
}

/// Where the file keeps what will lie at this address, and how many bytes of it follow.
pub(super) fn in_file(segments: &[Segment], address: u64) -> Option<(u64, u64)> {
    let mut loaded = segments.iter().filter(|segment| segment.kind == PT_LOAD);
    loaded.find_map(|segment| {
        let inside = address.checked_sub(segment.address)?;
        let left = segment.file_size.checked_sub(inside)?;
        (left > 0).then(|| (segment.offset.saturating_add(inside), left))
    })
}

/// Judges the headers of a 64-bit little-endian file. `None`: nothing behind them can be trusted.
pub(super) fn judge_headers<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    data: R,
    size: u64,
) -> Option<Vec<Segment>> {
    let truncated = |what: &str, end: u64| {
        Fault::new(Code::Truncated)
            .expected(format!("{what} up to byte {end}"))
            .found(format!("{size} bytes"))
    };
    let Ok(header) = data.read_bytes_at(0, HEADER) else {
        found.faults.push(truncated("a header", HEADER));
        return None;
    };
    judge_file_header(found, header);

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
    let (programs_at, sections_at) = (number::<8>(header, 32), number::<8>(header, 40));
    let (stride, count) = (number::<2>(header, 54), number::<2>(header, 56));
    let (section, sections) = (number::<2>(header, 58), number::<2>(header, 60));
    let mut whole = within("program headers", programs_at, stride, count);
    whole &= sections_at == 0 || within("section headers", sections_at, section, sections);
    let segments = match stride {
        PROGRAM_HEADER if whole => read_segments(data, programs_at, count),
        _ => Vec::new(),
    };
    for segment in segments.iter().filter(|segment| segment.kind == PT_LOAD) {
        whole &= within("a loadable segment", segment.offset, 1, segment.file_size);
    }
    if whole && sections > 1 && is_zero(data, sections_at, section * sections) {
        found.faults.push(
            Fault::new(Code::Truncated)
                .expected(format!("section headers at byte {sections_at}"))
                .found("zeros: the copy is not complete"),
        );
        whole = false;
    }
    if !whole {
        judge_machine(found, header);
        return None;
    }
    if is_debug_information(&segments) {
        let mut fault = Fault::new(Code::NotALibrary)
            .expected("a shared library")
            .found("debug information that was taken out of one");
        fault.fix = "none is needed: debuggers read it".to_owned();
        found.faults.push(fault);
        return None;
    }
    judge_segments(found, &segments);
    Some(segments)
}

/// Whether a table has only zeros, as where a copying program has made room and not written yet.
fn is_zero<'data, R: ReadRef<'data>>(data: R, start: u64, bytes: u64) -> bool {
    let table = data.read_bytes_at(start, bytes);
    table.is_ok_and(|table| table.iter().all(|byte| *byte == 0))
}

fn read_segments<'data, R: ReadRef<'data>>(data: R, start: u64, count: u64) -> Vec<Segment> {
    let bytes = data.read_bytes_at(start, PROGRAM_HEADER * count);
    bytes
        .unwrap_or_default()
        .chunks_exact(PROGRAM_HEADER as usize)
        .map(Segment::read)
        .collect()
}

/// `objcopy --only-keep-debug` leaves the headers of a library as they were, without what they lead
/// to.
fn is_debug_information(segments: &[Segment]) -> bool {
    let is_code = |segment: &&Segment| segment.kind == PT_LOAD && segment.flags & PF_X != 0;
    let is_gone = |segment: &Segment| segment.file_size == 0 && segment.memory_size > 0;
    let mut dynamic = segments.iter().filter(|segment| segment.kind == PT_DYNAMIC);
    dynamic.any(is_gone) && segments.iter().filter(is_code).all(is_gone)
}

fn judge_file_header(found: &mut Inspection, header: &[u8]) {
    let abi = header[7];
    if ![0, 3].contains(&abi) {
        found.faults.push(
            Fault::new(Code::OsMismatch)
                .expected("OS ABI 0 (System V) or 3 (Linux)")
                .found(match abi {
                    9 => "OS ABI 9 (FreeBSD)".to_owned(),
                    other => format!("OS ABI {other}"),
                })
                .location("file header"),
        );
    }
    let kind = number::<2>(header, 16) as u16;
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
}

/// For a file that is cut: also says that it is the wrong one, before it is copied again.
fn judge_machine(found: &mut Inspection, header: &[u8]) {
    let machine = number::<2>(header, 18) as u16;
    let (name, here) = match machine {
        EM_X86_64 => ("x86_64".to_owned(), cfg!(target_arch = "x86_64")),
        EM_AARCH64 => ("aarch64".to_owned(), cfg!(target_arch = "aarch64")),
        other => (format!("machine {other}"), false),
    };
    found.target = format!("elf {name}-linux");
    if !here {
        let target = found.target.clone();
        found.faults.push(library::other_processor(&target));
    }
}

/// The loader maps what stands here without asking whether it can be.
fn judge_segments(found: &mut Inspection, segments: &[Segment]) {
    let mut malformed = |expected: &str, is: String| {
        found.faults.push(
            Fault::new(Code::Malformed)
                .expected(expected)
                .found(is)
                .location("program headers"),
        );
    };
    let loaded: Vec<&Segment> = segments.iter().filter(|s| s.kind == PT_LOAD).collect();
    if segments.len() > MAX_SEGMENTS {
        let is = segments.len().to_string();
        return malformed("fewer program headers", is);
    }
    if loaded.is_empty() {
        return malformed("a loadable segment", "none".to_owned());
    }
    for segment in &loaded {
        let end = segment.address.checked_add(segment.memory_size);
        let aligned = segment.align <= 1
            || (segment.align.is_power_of_two()
                && segment.align <= MAX_ALIGN
                && segment.address % segment.align == segment.offset % segment.align);
        if segment.flags & PF_R == 0
            || segment.memory_size < segment.file_size
            || end.is_none_or(|end| end > MAX_MEMORY)
            || !aligned
        {
            let (bytes, address) = (segment.file_size, segment.address);
            let is = format!("{bytes} bytes of the file at address {address:#x}");
            return malformed("a segment that can be mapped", is);
        }
    }
    // Room is taken for the first to the last of them; another order would be mapped over whatever
    // lies beside it, which is the host.
    for pair in loaded.windows(2) {
        if pair[1].address < pair[0].address + pair[0].memory_size {
            let is = format!("{:#x} after {:#x}", pair[1].address, pair[0].address);
            return malformed("segments in the order of their addresses", is);
        }
    }
    judge_protection(found, segments);
    let mut malformed = |expected: &str, is: String| {
        found.faults.push(
            Fault::new(Code::Malformed)
                .expected(expected)
                .found(is)
                .location("program headers"),
        );
    };
    // What the loader reads by other headers than those of the segments it maps.
    for segment in segments {
        let mut inside = segments.iter().filter(|loaded| segment.lies_in(loaded));
        let expected = match segment.kind {
            PT_NOTE | PT_GNU_PROPERTY | PT_GNU_EH_FRAME if inside.next().is_none() => {
                "notes and tables of unwinding inside a segment"
            }
            // Thread-locals that are not in the file take no room in the segment.
            PT_TLS
                if segment.memory_size < segment.file_size
                    || segment.memory_size > MAX_TLS
                    || !(segment.align <= 1
                        || segment.align.is_power_of_two() && segment.align <= MAX_TLS_ALIGN)
                    || (segment.file_size > 0
                        && in_file(segments, segment.address).is_none_or(|(at, left)| {
                            at != segment.offset || left < segment.file_size
                        })) =>
            {
                "thread-locals inside a segment"
            }
            // Read-only from here on: what is written later would end the process.
            PT_GNU_RELRO
                if !loaded.iter().any(|loaded| {
                    loaded.is_writable()
                        && segment.address == loaded.address
                        && segment.address.saturating_add(segment.file_size)
                            <= loaded.address.saturating_add(loaded.file_size)
                        // Linkers fill up the last page.
                        && segment.end() <= loaded.end().next_multiple_of(PAGE)
                }) =>
            {
                "data that becomes read-only at the start of a writable segment"
            }
            _ => continue,
        };
        let (bytes, address) = (segment.memory_size, segment.address);
        return malformed(expected, format!("{bytes} bytes at address {address:#x}"));
    }
    let dynamic: Vec<&Segment> = segments.iter().filter(|s| s.kind == PT_DYNAMIC).collect();
    let [dynamic] = dynamic[..] else {
        return malformed("one dynamic segment", format!("{}", dynamic.len()));
    };
    let place = in_file(segments, dynamic.address);
    let writable = loaded
        .iter()
        .any(|loaded| loaded.is_writable() && dynamic.lies_in(loaded));
    if !writable || place.is_none_or(|(at, left)| at != dynamic.offset || left < dynamic.file_size)
    {
        let is = format!("it lies at {:#x} in the file", dynamic.offset);
        malformed("the dynamic segment inside a loadable one", is);
    }
}

/// A library may ask for memory that is writable and executable, for its own data or for every
/// stack of the process: the loader grants it, and the process has lost a protection.
fn judge_protection(found: &mut Inspection, segments: &[Segment]) {
    let mut refuse = |code, expected: &str, is: String| {
        let fault = Fault::new(code).expected(expected).found(is);
        found.faults.push(fault.location("program headers"));
    };
    let mut stack = segments.iter().filter(|s| s.kind == PT_GNU_STACK);
    match stack.next() {
        Some(stack) if stack.flags & PF_X != 0 => refuse(
            Code::ExecutableStack,
            "a stack that is not executable",
            "PT_GNU_STACK asks for an executable one".to_owned(),
        ),
        // Without a word about it, the loader of glibc makes it executable on this processor.
        None if cfg!(target_arch = "x86_64") => refuse(
            Code::ExecutableStack,
            "a stack that is not executable",
            "no PT_GNU_STACK, so that it is".to_owned(),
        ),
        _ => {}
    }
    let both = |s: &&Segment| s.kind == PT_LOAD && s.flags & PF_W != 0 && s.flags & PF_X != 0;
    if let Some(segment) = segments.iter().find(both) {
        refuse(
            Code::WritableCode,
            "segments that are writable or executable, not both",
            format!("a segment that is both, at address {:#x}", segment.address),
        );
    }
}

/// Judges the rest, once the descriptor was read.
pub(super) fn judge_loading<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    data: R,
    segments: &[Segment],
) {
    let is_malformed = |found: &Inspection| {
        found
            .faults
            .iter()
            .any(|fault| fault.code == Code::Malformed)
    };
    if !is_malformed(found) {
        judge_sections(found, file, segments);
    }
    if !is_malformed(found) {
        loading::check(found, file, data, segments);
    }
}

/// Whether a section is a part of what is mapped.
pub(super) fn is_loaded<'data, R: ReadRef<'data>>(section: &object::Section<'data, '_, R>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_ALLOC))
}

/// Sections and segments are two descriptions of one file: where they differ, one was changed.
fn judge_sections<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    file: &object::File<'data, R>,
    segments: &[Segment],
) {
    let agrees = |section: &object::Section<'data, '_, R>| {
        let (address, size) = (section.address(), section.size());
        let Some((offset, in_file)) = section.file_range() else {
            // Zeros in memory. Those of thread-locals take no room in a segment.
            let is_tls = section.kind() == SectionKind::UninitializedTls;
            return is_tls
                || segments.iter().any(|segment| {
                    segment.kind == PT_LOAD
                        && address >= segment.address
                        && address.saturating_add(size) <= segment.end()
                });
        };
        let place = self::in_file(segments, address);
        in_file == 0 || place.is_some_and(|(at, left)| at == offset && in_file <= left)
    };
    if let Some(section) = file
        .sections()
        .filter(is_loaded)
        .find(|section| !agrees(section))
    {
        let name = section.name().unwrap_or_default();
        found.faults.push(
            Fault::new(Code::Malformed)
                .expected("sections that lie in the segments")
                .found(format!("{name:.80?} at address {:#x}", section.address()))
                .location("section headers"),
        );
    }
}
