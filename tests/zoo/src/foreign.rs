//! Small libraries of other platforms, made by hand: no compiler for them is at hand.
//!
//! Each has a descriptor and exports its entry symbol, so that only its platform is wrong.

/// Which ELF library [`elf`] makes.
#[derive(Clone, Copy, Debug)]
pub struct ElfShape {
    /// 64 bits.
    pub wide: bool,
    /// Big endian.
    pub big: bool,
    /// `e_machine`.
    pub machine: u16,
}

/// Which processor [`mach_o`] makes a library for.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MachO {
    X86_64,
    Arm64,
}

/// Bytes in either order, words in either width.
struct Out {
    bytes: Vec<u8>,
    wide: bool,
    big: bool,
}

impl Out {
    fn new(wide: bool, big: bool) -> Self {
        Self {
            bytes: Vec::new(),
            wide,
            big,
        }
    }

    fn little() -> Self {
        Self::new(true, false)
    }

    fn put(&mut self, value: u64, len: usize) -> &mut Self {
        let little = value.to_le_bytes();
        if self.big {
            self.bytes.extend(little[..len].iter().rev());
        } else {
            self.bytes.extend(&little[..len]);
        }
        self
    }

    fn half(&mut self, value: u16) -> &mut Self {
        self.put(value.into(), 2)
    }

    fn int(&mut self, value: u32) -> &mut Self {
        self.put(value.into(), 4)
    }

    fn long(&mut self, value: u64) -> &mut Self {
        self.put(value, 8)
    }

    /// As wide as an address.
    fn word(&mut self, value: usize) -> &mut Self {
        self.put(value as u64, if self.wide { 8 } else { 4 })
    }

    fn text(&mut self, text: &str, len: usize) -> &mut Self {
        self.bytes.extend(text.as_bytes());
        self.bytes.resize(self.bytes.len() + len - text.len(), 0);
        self
    }

    fn until(&mut self, len: usize) -> &mut Self {
        assert!(self.bytes.len() <= len, "the parts overlap");
        self.bytes.resize(len, 0);
        self
    }
}

/// A shared object of another width, byte order or processor.
pub fn elf(shape: ElfShape, descriptor: &[u8], entry: &str) -> Vec<u8> {
    let ElfShape { wide, big, machine } = shape;
    let (header, program, section, symbol, word) = if wide {
        (64, 56, 64, 24, 8)
    } else {
        (52, 32, 40, 16, 4)
    };
    let names = "\0.dynsym\0.dynstr\0.dynamic\0.holdall\0.shstrtab\0";
    let name_of = |name: &str| names.find(name).unwrap() as u32;
    let strings = format!("\0{entry}\0");

    let symbols_at = header + 2 * program;
    let strings_at = symbols_at + 2 * symbol;
    let dynamic_at = (strings_at + strings.len()).next_multiple_of(8);
    let descriptor_at = dynamic_at + 4 * 2 * word;
    let names_at = descriptor_at + descriptor.len();
    let sections_at = (names_at + names.len()).next_multiple_of(8);
    let end = sections_at + 6 * section;

    let mut out = Out::new(wide, big);
    out.bytes.extend([
        0x7f,
        b'E',
        b'L',
        b'F',
        1 + u8::from(wide),
        1 + u8::from(big),
        1,
        0,
    ]);
    out.until(16)
        .half(3)
        .half(machine)
        .int(1)
        .word(0)
        .word(header)
        .word(sections_at)
        .int(0);
    out.half(header as u16)
        .half(program as u16)
        .half(2)
        .half(section as u16)
        .half(6)
        .half(5);
    for (kind, start, len, align) in [(1, 0, end, 4096), (2, dynamic_at, 8 * word, 8)] {
        out.int(kind);
        if wide {
            out.int(5);
        }
        out.word(start).word(start).word(start).word(len).word(len);
        if !wide {
            out.int(5);
        }
        out.word(align);
    }
    out.until(symbols_at + symbol).int(1);
    if wide {
        out.half(if big { 0x1200 } else { 0x12 })
            .half(4)
            .long(0)
            .long(0);
    } else {
        out.int(0)
            .int(0)
            .half(if big { 0x1200 } else { 0x12 })
            .half(4);
    }
    out.until(strings_at).text(&strings, strings.len());
    out.until(dynamic_at)
        .word(5)
        .word(strings_at)
        .word(6)
        .word(symbols_at)
        .word(10)
        .word(strings.len());
    out.until(descriptor_at).bytes.extend(descriptor);
    out.text(names, names.len()).until(sections_at + section);
    for (name, kind, at, len, link, info, entry) in [
        (".dynsym", 11, symbols_at, 2 * symbol, 2, 1, symbol),
        (".dynstr", 3, strings_at, strings.len(), 0, 0, 0),
        (".dynamic", 6, dynamic_at, 8 * word, 2, 0, 2 * word),
        (".holdall", 1, descriptor_at, descriptor.len(), 0, 0, 0),
        (".shstrtab", 3, names_at, names.len(), 0, 0, 0),
    ] {
        out.int(name_of(name))
            .int(kind)
            .word(2)
            .word(at)
            .word(at)
            .word(len);
        out.int(link).int(info).word(1).word(entry);
    }
    out.bytes
}

/// A dylib of macOS.
pub fn mach_o(shape: MachO, descriptor: &[u8], entry: &str) -> Vec<u8> {
    let (cpu, subtype) = match shape {
        MachO::X86_64 => (0x0100_0007, 3),
        MachO::Arm64 => (0x0100_000c, 0),
    };
    let strings = format!("\0_{entry}\0");
    let commands = (72 + 80) + 24;
    let descriptor_at = 32 + commands;
    let symbols_at = (descriptor_at + descriptor.len()).next_multiple_of(8);
    let strings_at = symbols_at + 16;
    let end = strings_at + strings.len();

    let mut out = Out::little();
    out.int(0xfeed_facf)
        .int(cpu)
        .int(subtype)
        .int(6)
        .int(2)
        .int(commands as u32)
        .int(0x85)
        .int(0);
    out.int(0x19)
        .int(152)
        .text("__DATA", 16)
        .long(0)
        .long(0x10000)
        .long(0)
        .long(end as u64);
    out.int(7).int(3).int(1).int(0);
    out.text("__holdall", 16)
        .text("__DATA", 16)
        .long(descriptor_at as u64)
        .long(descriptor.len() as u64);
    out.int(descriptor_at as u32)
        .int(0)
        .int(0)
        .int(0)
        .int(0)
        .int(0)
        .int(0)
        .int(0);
    out.int(2)
        .int(24)
        .int(symbols_at as u32)
        .int(1)
        .int(strings_at as u32)
        .int(strings.len() as u32);
    out.bytes.extend(descriptor);
    // A symbol of section 1 that others see.
    out.until(symbols_at)
        .int(1)
        .put(0x0f, 1)
        .put(1, 1)
        .half(0)
        .long(descriptor_at as u64);
    out.text(&strings, strings.len());
    out.bytes
}

/// A DLL of Windows for x86-64.
pub fn pe(descriptor: &[u8], entry: &str) -> Vec<u8> {
    const ALIGN: usize = 0x200;
    let exports = 0x1000;
    let directory = 40;
    let name_at = exports + directory + 4 + 4 + 4;
    let file_name = "plugin.dll\0";
    let export_len = directory + 12 + file_name.len() + entry.len() + 1;
    let export_room = export_len.next_multiple_of(ALIGN);
    let descriptor_room = descriptor.len().next_multiple_of(ALIGN);
    let (exports_at, descriptor_at) = (ALIGN * 2, ALIGN * 2 + export_room);

    let mut out = Out::little();
    out.text("MZ", 60).int(64).text("PE", 4);
    out.half(0x8664)
        .half(2)
        .int(0)
        .int(0)
        .int(0)
        .half(240)
        .half(0x2022);
    out.half(0x20b)
        .half(0)
        .int(0)
        .int(0)
        .int(0)
        .int(0)
        .int(0)
        .long(0x1_8000_0000)
        .int(0x1000)
        .int(ALIGN as u32);
    out.int(6)
        .int(0)
        .int(6)
        .int(0)
        .int(0x10000)
        .int(2 * ALIGN as u32)
        .int(0)
        .half(2)
        .half(0);
    out.long(0x10_0000)
        .long(0x1000)
        .long(0x10_0000)
        .long(0x1000)
        .int(0)
        .int(16);
    out.int(exports as u32).int(export_len as u32);
    out.until(64 + 4 + 20 + 240);
    for (name, len, address, room, at) in [
        (".edata", export_len, exports, export_room, exports_at),
        (
            ".holdall",
            descriptor.len(),
            0x2000,
            descriptor_room,
            descriptor_at,
        ),
    ] {
        out.text(name, 8)
            .int(len as u32)
            .int(address as u32)
            .int(room as u32)
            .int(at as u32);
        out.int(0).int(0).int(0).int(0x4000_0040);
    }
    out.until(exports_at)
        .int(0)
        .int(0)
        .int(0)
        .int(name_at as u32)
        .int(1)
        .int(1)
        .int(1);
    let tables = exports + directory;
    out.int(tables as u32)
        .int(tables as u32 + 4)
        .int(tables as u32 + 8);
    out.int(0x2000)
        .int((name_at + file_name.len()) as u32)
        .half(0)
        .half(0);
    out.text(file_name, file_name.len())
        .text(entry, entry.len() + 1);
    out.until(descriptor_at).bytes.extend(descriptor);
    out.until(descriptor_at + descriptor_room);
    out.bytes
}
