//! Where a file holds what only debuggers read: DWARF.
//!
//! It is most of a library that is not stripped. The loader reads none of it, so that a copy in memory
//! does without; names of functions, which profilers and backtraces show, stay.

use super::elf::number;
use crate::platform::files;
use std::fs::File;
use std::ops::Range;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SHF_ALLOC: u64 = 2;
const SHT_NOBITS: u64 = 8;
/// Tables of more sections are left to the inspection.
const MAX_SECTIONS: u64 = 4096;
const MAX_NAMES: u64 = 1 << 20;

/// The ranges that a copy may do without; none of a file that is not as expected, which the
/// inspection judges.
pub(super) fn ranges(file: &File, size: u64) -> Vec<Range<u64>> {
    find(file, size).unwrap_or_default()
}

struct Section {
    name: u64,
    loaded: bool,
    range: Range<u64>,
}

fn find(file: &File, size: u64) -> Option<Vec<Range<u64>>> {
    let read = |at: u64, len: u64| {
        let end = at.checked_add(len).filter(|end| *end <= size)?;
        let mut bytes = vec![0; usize::try_from(end - at).ok()?];
        files::read_exact_at(file, &mut bytes, at).ok()?;
        Some(bytes)
    };
    let header = read(0, HEADER as u64)?;
    // 64 bits, little-endian.
    if header[..6] != *b"\x7fELF\x02\x01" || number::<2>(&header, 58) != SECTION_HEADER as u64 {
        return None;
    }
    let (programs, sections) = (number::<8>(&header, 32), number::<8>(&header, 40));
    let [stride, count, section_count, names] = [54, 56, 60, 62].map(|at| number::<2>(&header, at));
    if section_count > MAX_SECTIONS {
        return None;
    }
    let table = read(sections, section_count * SECTION_HEADER as u64)?;
    let sections: Vec<Section> = table
        .chunks_exact(SECTION_HEADER)
        .map(|entry| {
            let size = match number::<4>(entry, 4) {
                SHT_NOBITS => 0,
                _ => number::<8>(entry, 32),
            };
            let start = number::<8>(entry, 24);
            Section {
                name: number::<4>(entry, 0),
                loaded: number::<8>(entry, 8) & SHF_ALLOC != 0,
                range: start..start.saturating_add(size),
            }
        })
        .collect();
    let names = &sections.get(usize::try_from(names).ok()?)?.range;
    let names = read(names.start, (names.end - names.start).min(MAX_NAMES))?;
    let is_debug = |section: &&Section| {
        let at = usize::try_from(section.name).unwrap_or(usize::MAX);
        let name = names.get(at..).unwrap_or_default();
        !section.loaded && (name.starts_with(b".debug_") || name.starts_with(b".zdebug_"))
    };
    // Whatever else is described as being there stays.
    let segments = read(programs, stride.checked_mul(count)?)?;
    let segments = segments.chunks_exact(usize::from(u16::try_from(stride).ok()?.max(1)));
    let segments = segments.map(|entry| {
        let (start, size) = (number::<8>(entry, 8), number::<8>(entry, 32));
        start..start.saturating_add(size)
    });
    let others = sections.iter().filter(|section| !is_debug(section));
    let table = number::<8>(&header, 40);
    let kept: Vec<Range<u64>> = others
        .map(|section| section.range.clone())
        .chain(segments)
        .chain([
            0..HEADER as u64,
            programs..programs.saturating_add(stride * count),
            table..table.saturating_add(section_count * SECTION_HEADER as u64),
        ])
        .collect();
    let apart = |range: &Range<u64>| {
        let mut kept = kept.iter();
        kept.all(|other| other.end <= range.start || range.end <= other.start)
    };
    let mut found: Vec<Range<u64>> = sections
        .iter()
        .filter(is_debug)
        .map(|section| section.range.clone())
        .filter(|range| range.start < range.end && range.end <= size && apart(range))
        .collect();
    // Neighbours become one: blocks lie across the borders of sections.
    found.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in found {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + 64 && apart(&(last.start..range.end)) => {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    Some(joined)
}
