//! The tables of the dynamic section that the loader follows without looking: texts, symbols, hashes,
//! versions, functions that run at the start and the end.
//!
//! A loader trusts them: a wrong index reads past their end, a loop never ends, an assertion ends the
//! process. Each is therefore followed here as the loader would, within its bounds.

use super::elf::{Segment, number};
use super::loading::Dynamic;
use object::ReadRef;
use std::cell::Cell;
use std::collections::BTreeSet;

const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_INIT: u64 = 12;
const DT_FINI: u64 = 13;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_NEEDED: u64 = 1;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
/// Other libraries, by other ways than DT_NEEDED.
const LEADS_ELSEWHERE: [(u64, &str); 4] = [
    (0x6fff_fefb, "DT_DEPAUDIT"),
    (0x6fff_fefc, "DT_AUDIT"),
    (0x7fff_fffd, "DT_AUXILIARY"),
    (0x7fff_ffff, "DT_FILTER"),
];
const SYMBOL: u64 = 24;
const STB_GNU_UNIQUE: u8 = 10;
const STT_TLS: u8 = 6;
const STT_GNU_IFUNC: u8 = 10;
const SHN_ABS: u64 = 0xfff1;
/// The longest name of a library or a version.
const MAX_TEXT: usize = 4096;
/// Libraries that versions may be of.
const MAX_NEEDED: usize = 1024;
/// Bytes of texts that are read, each with what it costs to follow a list to it.
const TEXT_BUDGET: u64 = 64 << 20;
const OVERHEAD: u64 = 64;
/// Versions of a library: real ones have some tens.
const MAX_VERSIONS: u64 = 1 << 14;

/// What the loader would trip over: what should be there, what is, and the table.
pub(super) struct Problem {
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) table: &'static str,
}

pub(super) fn problem(
    table: &'static str,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Problem {
    Problem {
        expected: expected.into(),
        found: found.into(),
        table,
    }
}

type Judged<T = ()> = Result<T, Problem>;

/// The dynamic symbols, as the loader sees them.
pub(super) struct Symbols<'data> {
    entries: &'data [u8],
    texts: &'data [u8],
    /// What may still be read of the texts.
    left: Cell<u64>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    name: u64,
    kind: u8,
    bind: u8,
    section: u64,
    value: u64,
}

impl Symbol {
    pub(super) fn is_defined(&self) -> bool {
        self.section != 0
    }

    pub(super) fn is_tls(&self) -> bool {
        self.kind == STT_TLS
    }
}

impl Symbols<'_> {
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64 / SYMBOL
    }

    pub(super) fn get(&self, index: u64) -> Option<Symbol> {
        let at = usize::try_from(index.checked_mul(SYMBOL)?).ok()?;
        let entry = self.entries.get(at..)?.get(..SYMBOL as usize)?;
        Some(Symbol {
            name: number::<4>(entry, 0),
            kind: entry[4] & 0xf,
            bind: entry[4] >> 4,
            section: number::<2>(entry, 6),
            value: number::<8>(entry, 8),
        })
    }

    fn all(&self) -> impl Iterator<Item = Symbol> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The names of symbols that the loader makes unique in the process (`STB_GNU_UNIQUE`).
    pub(super) fn unique(&self) -> impl Iterator<Item = String> {
        let unique = self
            .all()
            .filter(|symbol| symbol.bind == STB_GNU_UNIQUE && symbol.is_defined());
        unique.filter_map(|symbol| self.text(symbol.name))
    }

    /// The hash of a symbol's name.
    fn hash(&self, index: u64) -> Option<u64> {
        let name = usize::try_from(self.get(index)?.name).ok()?;
        let text = self.texts.get(name..)?;
        let length = text.iter().position(|byte| *byte == 0)?;
        self.spend(length)?;
        let hash = text[..length].iter().fold(5381u32, |hash, byte| {
            hash.wrapping_mul(33).wrapping_add((*byte).into())
        });
        Some(hash.into())
    }

    fn text(&self, offset: u64) -> Option<String> {
        let text = self.texts.get(usize::try_from(offset).ok()?..)?;
        let end = text.iter().take(MAX_TEXT).position(|byte| *byte == 0)?;
        self.spend(end)?;
        Some(String::from_utf8_lossy(&text[..end]).into_owned())
    }

    /// Texts may overlap, and lists lead to the same texts: what is read of them is bounded.
    fn spend(&self, bytes: usize) -> Option<()> {
        let left = self.left.get().checked_sub(OVERHEAD + bytes as u64)?;
        self.left.set(left);
        Some(())
    }
}

/// Judges everything but relocations. The symbols are `section` long, in bytes.
pub(super) fn check<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    section: Option<(u64, u64)>,
) -> Judged<Symbols<'data>> {
    for (tag, name) in LEADS_ELSEWHERE {
        if dynamic.value(tag).is_some() {
            let found = format!("{name}, which leads to another");
            return Err(problem(
                "dynamic section",
                "libraries in DT_NEEDED only",
                found,
            ));
        }
    }
    let texts = texts(dynamic)?;
    let symbols = symbols(dynamic, texts, section)?;
    hashes(dynamic, &symbols)?;
    versions(dynamic, &symbols)?;
    for (tag, name) in [(DT_INIT, "DT_INIT"), (DT_FINI, "DT_FINI")] {
        if let Some(address) = dynamic.value(tag)
            && !runs(dynamic.segments, address)
        {
            let found = format!("{name} at address {address:#x}");
            return Err(problem(
                "dynamic section",
                "functions inside the code",
                found,
            ));
        }
    }
    Ok(symbols)
}

pub(super) fn runs(segments: &[Segment], address: u64) -> bool {
    segments.iter().any(|segment| segment.runs(address))
}

fn texts<'data, R: ReadRef<'data>>(dynamic: &Dynamic<'_, R>) -> Judged<&'data [u8]> {
    let wrong = |found: String| problem("texts", "texts that end, inside a segment", found);
    let size = dynamic.value(DT_STRSZ).unwrap_or(0);
    let address = dynamic.value(DT_STRTAB).unwrap_or(0);
    let texts = dynamic
        .bytes(address, size)
        .ok_or_else(|| wrong(format!("{size} bytes at address {address:#x}")))?;
    if texts.last() != Some(&0) {
        return Err(wrong("a last text without an end".to_owned()));
    }
    for tag in [DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH] {
        if let Some(offset) = dynamic.all(tag).find(|offset| *offset >= size) {
            return Err(wrong(format!("a text at offset {offset} of {size} bytes")));
        }
    }
    Ok(texts)
}

fn symbols<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    texts: &'data [u8],
    section: Option<(u64, u64)>,
) -> Judged<Symbols<'data>> {
    let wrong = |found: String| problem("dynamic symbols", "symbols that can be resolved", found);
    let entry = dynamic.value(DT_SYMENT);
    if entry != Some(SYMBOL) {
        return Err(wrong(format!("entries of {entry:?} bytes")));
    }
    let address = dynamic.value(DT_SYMTAB).unwrap_or(0);
    let size = match section {
        Some((at, size)) if at == address && size % SYMBOL == 0 && size > 0 => size,
        Some((at, size)) => {
            return Err(wrong(format!(
                "a section of {size} bytes at address {at:#x}, while the loader reads at {address:#x}"
            )));
        }
        None => return Err(wrong("no section for them".to_owned())),
    };
    let entries = dynamic
        .bytes(address, size)
        .ok_or_else(|| wrong(format!("{size} bytes at address {address:#x}")))?;
    let symbols = Symbols {
        entries,
        texts,
        left: Cell::new(TEXT_BUDGET),
    };
    let tls = dynamic.tls_size();
    for (index, symbol) in symbols.all().enumerate() {
        if symbol.name >= texts.len() as u64 {
            return Err(wrong(format!(
                "symbol {index} with a name outside of the texts"
            )));
        }
        if !matches!(symbol.kind, 0..=6 | 10) || !matches!(symbol.bind, 0..=2 | 10) {
            let (kind, bind) = (symbol.kind, symbol.bind);
            return Err(wrong(format!(
                "symbol {index} of type {kind}, binding {bind}"
            )));
        }
        let inside = match symbol.kind {
            _ if !symbol.is_defined() || symbol.section == SHN_ABS => true,
            STT_TLS => symbol.value <= tls,
            STT_GNU_IFUNC => runs(dynamic.segments, symbol.value),
            // A function that is called begins in the code.
            2 => runs(dynamic.segments, symbol.value),
            _ => dynamic.holds(symbol.value),
        };
        if !inside {
            let value = symbol.value;
            return Err(wrong(format!("symbol {index} at address {value:#x}")));
        }
    }
    Ok(symbols)
}

fn hashes<'data, R: ReadRef<'data>>(dynamic: &Dynamic<'_, R>, symbols: &Symbols<'_>) -> Judged {
    let wrong = |found: String| problem("hash table", "a table of the dynamic symbols", found);
    if let Some(address) = dynamic.value(DT_GNU_HASH) {
        return gnu_hash(dynamic, address, symbols).map_err(wrong);
    }
    match dynamic.value(DT_HASH) {
        Some(address) => old_hash(dynamic, address, symbols.len()).map_err(wrong),
        None => Err(wrong("none".to_owned())),
    }
}

fn gnu_hash<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    address: u64,
    names: &Symbols<'_>,
) -> Result<(), String> {
    let symbols = names.len();
    let outside = || format!("a table at address {address:#x} that does not fit");
    let header = dynamic.bytes(address, 16).ok_or_else(outside)?;
    let [buckets, first, words, shift] = [0, 4, 8, 12].map(|at| number::<4>(header, at));
    if buckets == 0 || !words.is_power_of_two() || shift >= 32 || first > symbols {
        return Err(format!(
            "{buckets} buckets, first symbol {first}, {words} words of a filter, shift {shift}"
        ));
    }
    let chains = symbols - first;
    let size = 16 + words * 8 + buckets * 4 + chains * 4;
    let table = dynamic.bytes(address, size).ok_or_else(outside)?;
    let bucket_at = (16 + words * 8) as usize;
    let (buckets, chains) = table[bucket_at..].split_at(buckets as usize * 4);
    // Where the chain that holds a symbol ends, if it does.
    let last_end = chains
        .chunks_exact(4)
        .rposition(|chain| chain[0] & 1 == 1)
        .map_or(0, |last| first + last as u64 + 1);
    for bucket in buckets.chunks_exact(4).map(|bucket| number::<4>(bucket, 0)) {
        if bucket != 0 && !(first..last_end).contains(&bucket) {
            return Err(format!("a bucket with symbol {bucket}"));
        }
    }
    // A symbol whose name was changed would be found by neither.
    for (index, chain) in (first..).zip(chains.chunks_exact(4)) {
        let hash = names.hash(index).ok_or("a symbol without a name")?;
        if number::<4>(chain, 0) | 1 != hash | 1 {
            return Err(format!("symbol {index} under the hash of another name"));
        }
    }
    Ok(())
}

fn old_hash<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    address: u64,
    symbols: u64,
) -> Result<(), String> {
    let outside = || format!("a table at address {address:#x} that does not fit");
    let header = dynamic.bytes(address, 8).ok_or_else(outside)?;
    let (buckets, chains) = (number::<4>(header, 0), number::<4>(header, 4));
    if buckets == 0 || chains > symbols {
        return Err(format!("{buckets} buckets of {chains} symbols"));
    }
    let table = dynamic
        .bytes(address, 8 + (buckets + chains) * 4)
        .ok_or_else(outside)?;
    let word = |at: u64| number::<4>(table, 8 + at as usize * 4);
    let mut seen = vec![false; chains as usize];
    for bucket in 0..buckets {
        let mut symbol = word(bucket);
        while symbol != 0 {
            match seen.get_mut(symbol as usize) {
                Some(seen) if !*seen => *seen = true,
                // Past the end, in two chains, or in a chain that never ends.
                _ => return Err(format!("a chain with symbol {symbol}")),
            }
            symbol = word(buckets + symbol);
        }
    }
    Ok(())
}

fn versions<'data, R: ReadRef<'data>>(dynamic: &Dynamic<'_, R>, symbols: &Symbols<'_>) -> Judged {
    let wrong = |found: String| problem("versions", "versions that the loader can follow", found);
    let mut known = BTreeSet::from([0, 1]);
    let needed: BTreeSet<String> = dynamic
        .all(DT_NEEDED)
        .take(MAX_NEEDED)
        .filter_map(|offset| symbols.text(offset))
        .collect();
    let list = |tag, count_tag| -> Option<(u64, u64)> {
        Some((dynamic.value(tag)?, dynamic.value(count_tag).unwrap_or(0)))
    };
    if let Some((at, count)) = list(DT_VERNEED, DT_VERNEEDNUM) {
        let follow = follow(dynamic, at, count, 16, |entry, at| {
            let file = symbols.text(number::<4>(entry, 4));
            if number::<2>(entry, 0) != 1 || !file.is_some_and(|file| needed.contains(&file)) {
                return Err("versions of a library that is not in DT_NEEDED".to_owned());
            }
            let (versions, first) = (number::<2>(entry, 2), number::<4>(entry, 8));
            // A library of which no version is needed has no entry.
            let first = at.checked_add(first).filter(|_| versions > 0);
            let first = first.ok_or("an empty list of versions")?;
            self::follow(dynamic, first, versions, 16, |version, _| {
                symbols
                    .text(number::<4>(version, 8))
                    .filter(|name| elf_hash(name) == number::<4>(version, 0))
                    .ok_or("a version without a name")?;
                known.insert(number::<2>(version, 6) & 0x7fff);
                Ok(number::<4>(version, 12))
            })?;
            Ok(number::<4>(entry, 12))
        });
        follow.map_err(wrong)?;
    }
    if let Some((at, count)) = list(DT_VERDEF, DT_VERDEFNUM) {
        let follow = follow(dynamic, at, count, 20, |entry, at| {
            let (names, first) = (number::<2>(entry, 6), number::<4>(entry, 12));
            if number::<2>(entry, 0) != 1 || names == 0 {
                return Err("a version without a name".to_owned());
            }
            let first = at.checked_add(first).ok_or("a version outside")?;
            self::follow(dynamic, first, names, 8, |name, _| {
                symbols
                    .text(number::<4>(name, 0))
                    .ok_or("a version without a name")?;
                Ok(number::<4>(name, 4))
            })?;
            known.insert(number::<2>(entry, 4) & 0x7fff);
            Ok(number::<4>(entry, 16))
        });
        follow.map_err(wrong)?;
    }
    let Some(address) = dynamic.value(DT_VERSYM) else {
        return Ok(());
    };
    let indices = dynamic
        .bytes(address, symbols.len() * 2)
        .ok_or_else(|| wrong(format!("a table at address {address:#x} that does not fit")))?;
    let mut indices = indices
        .chunks_exact(2)
        .map(|index| number::<2>(index, 0) & 0x7fff);
    match indices.find(|index| !known.contains(index)) {
        Some(index) => Err(wrong(format!(
            "a symbol of version {index}, which is not listed"
        ))),
        None => Ok(()),
    }
}

/// Follows a list whose entries say how far the next one is, as the loader does: up to an entry that
/// says zero. `visit` returns that distance.
fn follow<'data, R: ReadRef<'data>>(
    dynamic: &Dynamic<'_, R>,
    mut at: u64,
    count: u64,
    size: u64,
    mut visit: impl FnMut(&[u8], u64) -> Result<u64, String>,
) -> Result<(), String> {
    if count == 0 || count > MAX_VERSIONS {
        return Err(format!("a list of {count} versions"));
    }
    for left in (0..count).rev() {
        let outside = || format!("an entry at address {at:#x}");
        let entry = dynamic.bytes(at, size).ok_or_else(outside)?;
        let next = visit(entry, at)?;
        if (next == 0) != (left == 0) || (next != 0 && (next < size || next % 4 != 0)) {
            return Err(format!("a list of {count} versions that ends elsewhere"));
        }
        at = at.checked_add(next).ok_or_else(outside)?;
    }
    Ok(())
}

/// The hash of names in the old tables, and of versions.
fn elf_hash(name: &str) -> u64 {
    name.bytes()
        .fold(0u32, |hash, byte| {
            let hash = (hash << 4).wrapping_add(byte.into());
            let high = hash & 0xf000_0000;
            (hash ^ (high >> 24)) & !high
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_version_names() {
        assert_eq!(elf_hash("GLIBC_2.2.5"), 0x0969_1a75);
        assert_eq!(elf_hash("GLIBC_2.34"), 0x0696_91b4);
    }
}
