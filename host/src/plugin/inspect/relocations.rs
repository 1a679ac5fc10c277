//! What the loader would write, and where.
//!
//! A relocation inside the descriptor would make the loaded bytes differ from the file's: what was
//! judged would not be what runs. One outside of the library's data would be written over the host.

use super::elf::number;
use super::loading::Dynamic;
use super::tables::{self, Problem, Symbol, Symbols, problem};
use object::ReadRef;
use std::ops::Range;

const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_RELAENT: u64 = 9;
const DT_REL: u64 = 17;
const DT_PLTREL: u64 = 20;
const DT_JMPREL: u64 = 23;
const DT_PLTRELSZ: u64 = 2;
const DT_INIT_ARRAY: u64 = 25;
const DT_FINI_ARRAY: u64 = 26;
const DT_INIT_ARRAYSZ: u64 = 27;
const DT_FINI_ARRAYSZ: u64 = 28;
const DT_RELR: u64 = 36;
const DT_RELRSZ: u64 = 35;
const DT_RELRENT: u64 = 37;
const DT_RELACOUNT: u64 = 0x6fff_fff9;
/// Bytes that a relocation writes, at most; but a descriptor of a thread-local takes two words.
const WRITTEN: u64 = 8;
const RELA: usize = 24;

const NAMES: [(u64, u64, &str); 3] = [
    (DT_RELA, DT_RELASZ, "relocations"),
    (DT_JMPREL, DT_PLTRELSZ, "relocations of calls"),
    (DT_RELR, DT_RELRSZ, "packed relocations"),
];

/// What a relocation writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// Nothing.
    Nothing,
    /// An address of this library.
    Own,
    /// What a function of this library returns.
    OfResolver,
    /// The address of a symbol, and nothing added to it.
    Slot,
    /// Something of a symbol.
    Symbol,
    /// Something of a thread-local, of this library when there is no symbol. Two words for a descriptor.
    Tls(u64),
}

/// The meaning of a relocation's number on the processor of this host.
fn meaning(number: u64) -> Option<Writes> {
    use Writes::{Nothing, OfResolver, Own, Slot, Symbol, Tls};
    Some(if cfg!(target_arch = "aarch64") {
        match number {
            0 => Nothing,
            257 => Symbol,
            1025 | 1026 => Slot,
            1027 => Own,
            1028..=1030 => Tls(8),
            1031 => Tls(16),
            1032 => OfResolver,
            _ => return None,
        }
    } else {
        match number {
            0 => Nothing,
            1 => Symbol,
            6 | 7 => Slot,
            8 => Own,
            16..=18 => Tls(8),
            33 => Symbol,
            36 => Tls(16),
            37 => OfResolver,
            _ => return None,
        }
    })
}

/// Where the loader would write into the descriptor: an address.
pub(super) fn in_descriptor<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    descriptor: Range<u64>,
) -> Result<Option<u64>, Problem> {
    let touched = |address: &u64| {
        *address < descriptor.end && address.saturating_add(WRITTEN) > descriptor.start
    };
    for (at, len, name) in NAMES {
        let table = table(dynamic, at, len, name)?;
        let hit = if at == DT_RELR {
            let words = table.chunks_exact(8).map(|word| number::<8>(word, 0));
            packed_addresses(words).find(touched)
        } else {
            let mut addresses = table.chunks_exact(RELA).map(|entry| number::<8>(entry, 0));
            addresses.find(touched)
        };
        if hit.is_some() {
            return Ok(hit);
        }
    }
    Ok(None)
}

/// Judges every relocation, and the lists of functions that run at the start and the end.
pub(super) fn check<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    symbols: &Symbols<'_>,
) -> Result<(), Problem> {
    let wrong = |expected: &str, found: String| problem("dynamic section", expected, found);
    if dynamic.value(DT_REL).is_some() {
        return Err(wrong("relocations with addends", "DT_REL".to_owned()));
    }
    for (size, tag, entry) in [
        (DT_RELASZ, DT_RELAENT, RELA as u64),
        (DT_RELRSZ, DT_RELRENT, 8),
    ] {
        let found = dynamic.value(tag);
        if dynamic.value(size).is_some() && found != Some(entry) {
            let expected = format!("relocations of {entry} bytes");
            return Err(wrong(&expected, format!("{found:?}")));
        }
    }
    if dynamic.value(DT_JMPREL).is_some() && dynamic.value(DT_PLTREL) != Some(DT_RELA) {
        let found = format!("{:?}", dynamic.value(DT_PLTREL));
        return Err(wrong("relocations of calls with addends", found));
    }

    let relative = dynamic.value(DT_RELACOUNT).unwrap_or(0);
    // Where a word is written, and by which entry: twice, and another word is left as it is.
    let mut written = Vec::new();
    for (at, len, name) in NAMES {
        let table = table(dynamic, at, len, name)?;
        if at == DT_RELR {
            let words = table.chunks_exact(8).map(|word| number::<8>(word, 0));
            for address in packed_addresses(words) {
                packed(dynamic, address)
                    .map_err(|found| problem(name, "words of the library's data", found))?;
                written.push(address);
            }
            continue;
        }
        if table.len() % RELA != 0 {
            return Err(problem(
                name,
                "whole entries",
                format!("{} bytes", table.len()),
            ));
        }
        let mut last = None;
        for (index, entry) in table.chunks_exact(RELA).enumerate() {
            let first_ones = at == DT_RELA && (index as u64) < relative;
            // Linkers that count them sort them.
            let address = number::<8>(entry, 0);
            if first_ones && last.is_some_and(|last| last >= address) {
                let found = format!("entry {index} at address {address:#x} after {last:#x?}");
                return Err(problem(
                    name,
                    "relative entries in the order of their addresses",
                    found,
                ));
            }
            last = Some(address);
            // Calls go through slots alone.
            let is_call = at == DT_JMPREL;
            match one(dynamic, symbols, entry, first_ones) {
                Ok(Writes::Nothing | Writes::Own | Writes::Symbol) if is_call => {
                    let found = format!("entry {index} of another type");
                    return Err(problem(name, "entries that fill slots", found));
                }
                Ok(Writes::Nothing) => {}
                Ok(_) => written.push(number::<8>(entry, 0)),
                Err(found) => {
                    let found = format!("entry {index}: {found}");
                    return Err(problem(
                        name,
                        "entries that the loader can carry out",
                        found,
                    ));
                }
            }
        }
        if at == DT_RELA && relative > (table.len() / RELA) as u64 {
            let found = format!("{relative} said to be relative");
            return Err(problem(name, "a true DT_RELACOUNT", found));
        }
    }
    slots(dynamic)?;
    written.sort_unstable();
    if let Some(pair) = written.windows(2).find(|pair| pair[1] - pair[0] < WRITTEN) {
        let found = format!("two of them at address {:#x}", pair[1]);
        return Err(problem("relocations", "one for each word", found));
    }
    for (at, len, name) in [
        (DT_INIT_ARRAY, DT_INIT_ARRAYSZ, "functions at the start"),
        (DT_FINI_ARRAY, DT_FINI_ARRAYSZ, "functions at the end"),
    ] {
        let (at, len) = match (dynamic.value(at), dynamic.value(len)) {
            (None, None) => continue,
            (at, len) => (at.unwrap_or(0), len.unwrap_or(0)),
        };
        let wrong = |found: String| problem(name, "addresses of the library's code", found);
        if len % 8 != 0
            || !dynamic.is_section(at, len)
            || (len > 0 && dynamic.bytes(at, len).is_none())
        {
            return Err(wrong(format!("{len} bytes at address {at:#x}")));
        }
        let slots = (at..at + len).step_by(8);
        // The loader calls what stands there: an unrelocated word is no address.
        if let Some(slot) = slots
            .clone()
            .find(|slot| written.binary_search(slot).is_err())
        {
            return Err(wrong(format!(
                "a word at address {slot:#x} without a relocation"
            )));
        }
    }
    functions_run(dynamic)
}

/// Calls go through slots that lie side by side: a gap is a slot that nothing is written to, and a
/// call through it jumps anywhere.
fn slots<'data, R: ReadRef<'data>>(dynamic: &Dynamic<'_, R>) -> Result<(), Problem> {
    let (at, len, name) = NAMES[1];
    let table = table(dynamic, at, len, name)?;
    let mut slots = Vec::new();
    for entry in table.chunks_exact(RELA) {
        match meaning(number::<4>(entry, 8)) {
            Some(Writes::Slot | Writes::OfResolver) => slots.push(number::<8>(entry, 0)),
            // Descriptors of thread-locals lie elsewhere.
            _ => return Ok(()),
        }
    }
    slots.sort_unstable();
    match slots.windows(2).find(|pair| pair[1] - pair[0] != WRITTEN) {
        Some(pair) => {
            let found = format!("{:#x} and then {:#x}", pair[0], pair[1]);
            Err(problem(name, "slots side by side", found))
        }
        None => Ok(()),
    }
}

/// Whether one entry can be carried out, and what it writes.
fn one<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    symbols: &Symbols<'_>,
    entry: &[u8],
    relative: bool,
) -> Result<Writes, String> {
    let [address, info, addend] = [0, 8, 16].map(|at| number::<8>(entry, at));
    let (kind, index) = (info & 0xffff_ffff, info >> 32);
    let writes = meaning(kind).ok_or_else(|| format!("type {kind}"))?;
    if relative && writes != Writes::Own {
        return Err(format!("type {kind} among the relative ones"));
    }
    if writes == Writes::Nothing {
        // What linkers leave of an entry that they did not need.
        return match entry.iter().all(|byte| *byte == 0) {
            true => Ok(writes),
            false => Err("an entry that does nothing".to_owned()),
        };
    }
    let size = match writes {
        Writes::Tls(size) => size,
        _ => WRITTEN,
    };
    if !dynamic.is_data(address, size) {
        return Err(format!(
            "address {address:#x}, which is not the library's data"
        ));
    }
    let symbol: Option<Symbol> = match index {
        0 => None,
        index => Some(
            symbols
                .get(index)
                .ok_or_else(|| format!("symbol {index}"))?,
        ),
    };
    let good = match (writes, symbol) {
        (Writes::Own, None) => dynamic.holds(addend),
        (Writes::OfResolver, None) => tables::runs(dynamic.segments, addend),
        (Writes::Slot, Some(symbol)) => addend == 0 && !symbol.is_tls(),
        (Writes::Symbol, Some(symbol)) => !symbol.is_tls(),
        (Writes::Tls(_), Some(symbol)) => symbol.is_tls() || !symbol.is_defined(),
        (Writes::Tls(_), None) => addend <= dynamic.tls_size(),
        _ => false,
    };
    match good {
        true => Ok(writes),
        false => Err(format!("type {kind} with symbol {index} and {addend:#x}")),
    }
}

/// A packed relocation adds the base to the word in the file.
fn packed<'data, R: ReadRef<'data>>(dynamic: &Dynamic<'_, R>, address: u64) -> Result<(), String> {
    match dynamic.word(address) {
        Some(word) if dynamic.is_data(address, WRITTEN) && dynamic.holds(word) => Ok(()),
        Some(word) => Err(format!("{word:#x} at address {address:#x}")),
        None => Err(format!("address {address:#x}")),
    }
}

/// The addresses in the lists of functions, where relative relocations write them.
fn functions_run<'data, R: ReadRef<'data>>(dynamic: &Dynamic<'_, R>) -> Result<(), Problem> {
    let list = |at, len| -> Option<Range<u64>> {
        let at = dynamic.value(at)?;
        Some(at..at.checked_add(dynamic.value(len)?)?)
    };
    let lists = [
        list(DT_INIT_ARRAY, DT_INIT_ARRAYSZ),
        list(DT_FINI_ARRAY, DT_FINI_ARRAYSZ),
    ];
    let is_listed = |address: &u64| lists.iter().flatten().any(|list| list.contains(address));
    let mut functions = Vec::new();
    for (at, len, name) in NAMES {
        let table = table(dynamic, at, len, name)?;
        if at == DT_RELR {
            let words = table.chunks_exact(8).map(|word| number::<8>(word, 0));
            let words = packed_addresses(words)
                .filter(is_listed)
                .filter_map(|address| dynamic.word(address));
            functions.extend(words);
        } else {
            let own = table.chunks_exact(RELA).filter(|entry| {
                is_listed(&number::<8>(entry, 0))
                    && meaning(number::<4>(entry, 8)) == Some(Writes::Own)
            });
            functions.extend(own.map(|entry| number::<8>(entry, 16)));
        }
    }
    let outside = functions
        .into_iter()
        .find(|function| !tables::runs(dynamic.segments, *function));
    match outside {
        Some(function) => Err(problem(
            "functions at the start and the end",
            "addresses of the library's code",
            format!("{function:#x}"),
        )),
        None => Ok(()),
    }
}

/// The bytes of a table that two entries of the dynamic section describe; empty without it.
fn table<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    at: u64,
    len: u64,
    name: &'static str,
) -> Result<&'data [u8], Problem> {
    let (address, len) = match (dynamic.value(at), dynamic.value(len)) {
        (None, None) => return Ok(&[]),
        (Some(address), Some(len)) if dynamic.is_section(address, len) => (address, len),
        (address, len) => {
            let expected = format!("the {name} where their section is");
            let found = format!("{len:x?} bytes at address {address:x?}");
            return Err(problem("dynamic section", expected, found));
        }
    };
    dynamic.bytes(address, len).ok_or_else(|| {
        problem(
            "dynamic section",
            format!("the {name} inside a segment"),
            format!("{len} bytes at address {address:#x}"),
        )
    })
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
