//! The bytes of a 64-bit little-endian ELF library, to be changed in place.

use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, Object, ObjectSection, elf};
use std::ops::Range;

/// A library in memory.
#[derive(Clone, Debug)]
pub struct Image {
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Of a file's bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Writes over what is at `at`.
    ///
    /// # Panics
    ///
    /// Past the end.
    pub fn put(&mut self, at: usize, new: &[u8]) {
        self.bytes[at..at + new.len()].copy_from_slice(new);
    }

    /// The eight bytes at `at`.
    ///
    /// # Panics
    ///
    /// Past the end.
    pub fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    /// Where a section lies in the file.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn section(&self, name: &str) -> Range<usize> {
        let file = object::File::parse(&*self.bytes).unwrap();
        let (start, len) = file.section_by_name(name).unwrap().file_range().unwrap();
        start as usize..(start + len) as usize
    }

    /// Where a section will lie in memory.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn address(&self, name: &str) -> u64 {
        let file = object::File::parse(&*self.bytes).unwrap();
        file.section_by_name(name).unwrap().address()
    }

    /// Where the header of a section lies in the file.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    pub fn section_header(&self, name: &str) -> usize {
        let header = elf::FileHeader64::<Endianness>::parse(&*self.bytes).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, &*self.bytes).unwrap();
        let index = sections
            .iter()
            .position(|section| sections.section_name(endian, section) == Ok(name.as_bytes()))
            .unwrap();
        self.word(40) as usize + index * size_of::<elf::SectionHeader64<Endianness>>()
    }

    /// Puts other content into a section; zeros fill it up.
    ///
    /// # Panics
    ///
    /// When it does not fit.
    pub fn fill(&mut self, name: &str, content: &[u8]) {
        let range = self.section(name);
        assert!(
            content.len() <= range.len(),
            "{name} has room for {} bytes",
            range.len()
        );
        self.bytes[range.clone()].fill(0);
        self.put(range.start, content);
    }

    /// Where the program headers of a kind lie in the file.
    pub fn program_headers(&self, kind: u32) -> Vec<usize> {
        let (start, count) = (self.word(32) as usize, (self.word(56) & 0xffff) as usize);
        (0..count)
            .map(|index| start + index * 56)
            .filter(|at| self.word(*at) as u32 == kind)
            .collect()
    }

    /// Where the value of an entry of the dynamic section lies in the file.
    ///
    /// # Panics
    ///
    /// When there is none with this tag.
    pub fn dynamic(&self, tag: u64) -> usize {
        let mut entries = self.section(".dynamic").step_by(16);
        entries.find(|at| self.word(*at) == tag).unwrap() + 8
    }

    /// Where the symbol of this name lies in `.dynsym`.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn dynamic_symbol(&self, name: &str) -> usize {
        let header = elf::FileHeader64::<Endianness>::parse(&*self.bytes).unwrap();
        let endian = header.endian().unwrap();
        let sections = header.sections(endian, &*self.bytes).unwrap();
        let table = sections
            .iter()
            .find(|section| section.sh_type(endian) == elf::SHT_DYNSYM)
            .unwrap();
        let symbols = sections
            .symbols(endian, &*self.bytes, elf::SHT_DYNSYM)
            .unwrap();
        let index = symbols
            .iter()
            .position(|symbol| symbols.symbol_name(endian, symbol) == Ok(name.as_bytes()))
            .unwrap();
        table.sh_offset(endian) as usize + index * size_of::<elf::Sym64<Endianness>>()
    }

    /// Replaces the one occurrence of a text that ends in zero by one that is not longer.
    ///
    /// # Panics
    ///
    /// When there is none, or the new one is longer.
    pub fn rename(&mut self, old: &str, new: &str) {
        assert!(new.len() <= old.len());
        let wanted = format!("{old}\0").into_bytes();
        let at = self
            .bytes
            .windows(wanted.len())
            .position(|window| window == wanted)
            .unwrap();
        self.bytes[at..at + old.len()].fill(0);
        self.put(at, new.as_bytes());
    }
}
