//! Whether the loader would change the descriptor.
//!
//! A relocation inside it would make the loaded bytes differ from the file's: what was judged would
//! not be what runs.

use super::Inspection;
use super::elf::{in_file, number};
use super::loading::Dynamic;
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::descriptor::SECTION;
use object::ReadRef;
use std::ops::Range;

const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;
const DT_PLTRELSZ: u64 = 2;
const DT_RELR: u64 = 36;
const DT_RELRSZ: u64 = 35;
/// Bytes that a relocation writes, at most.
const WRITTEN: u64 = 8;
const RELA: usize = 24;

pub(super) fn check<'data, R: ReadRef<'data>>(
    found: &mut Inspection,
    dynamic: &Dynamic<'_, R>,
    descriptor: Range<u64>,
) {
    let touched = |address: &u64| {
        *address < descriptor.end && address.saturating_add(WRITTEN) > descriptor.start
    };
    for (at, len, name) in [
        (DT_RELA, DT_RELASZ, "relocations"),
        (DT_JMPREL, DT_PLTRELSZ, "relocations of calls"),
        (DT_RELR, DT_RELRSZ, "packed relocations"),
    ] {
        let table = match table(dynamic, at, len) {
            Ok(table) => table,
            Err(is) => {
                found.faults.push(
                    Fault::new(Code::Malformed)
                        .expected(format!("the {name} inside a segment"))
                        .found(is)
                        .location("dynamic section"),
                );
                continue;
            }
        };
        let hit = if at == DT_RELR {
            let words = table.chunks_exact(8).map(|word| number::<8>(word, 0));
            packed_addresses(words).find(touched)
        } else {
            let mut addresses = table.chunks_exact(RELA).map(|entry| number::<8>(entry, 0));
            addresses.find(touched)
        };
        if let Some(address) = hit {
            found.faults.push(
                Fault::new(Code::RelocatedDescriptor)
                    .expected("plain bytes")
                    .found(format!("a relocation at address {address:#x}"))
                    .location(SECTION),
            );
            return;
        }
    }
}

/// The bytes of a table that two entries of the dynamic section describe; empty when they do not.
fn table<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    at: u64,
    len: u64,
) -> Result<&'data [u8], String> {
    let (Some(address), Some(len)) = (dynamic.value(at), dynamic.value(len)) else {
        return Ok(&[]);
    };
    match in_file(dynamic.segments, address) {
        Some((start, left)) if len <= left => {
            let bytes = dynamic.data.read_bytes_at(start, len);
            bytes.map_err(|()| "more than any plugin has".to_owned())
        }
        _ if len == 0 => Ok(&[]),
        _ => Err(format!("{len} bytes at address {address:#x}")),
    }
}

/// The addresses of packed relative relocations: an even word is an address, an odd one a bitmap of
/// the 63 words after the last.
fn packed_addresses(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    let mut base = 0u64;
    words.flat_map(move |word| {
        let (first, bits) = if word & 1 == 0 {
            base = word.wrapping_add(8);
            (word, 1)
        } else {
            let first = base;
            base = base.wrapping_add(63 * 8);
            (first, word >> 1)
        };
        (0..63u64)
            .filter(move |bit| bits >> bit & 1 == 1)
            .map(move |bit| first.wrapping_add(bit * 8))
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
