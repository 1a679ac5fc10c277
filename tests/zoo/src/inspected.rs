//! Files that are refused without being mapped.

use crate::fixture::{Fixture, Make};
use crate::foreign::{ElfShape, MachO, elf, mach_o, pe};
use crate::{Facts, Image};
use holdall::fault::Code;
use holdall_plugin_api::abi::VERSION;
use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{Capabilities, Operations};
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::symlink;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_STRTAB: u64 = 5;
const DT_RELA: u64 = 7;
const OTHER_MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    62
} else {
    183
};

const fn bytes(name: &'static str, codes: &'static [Code], make: fn() -> Vec<u8>) -> Fixture {
    Fixture {
        name,
        codes,
        make: Make::Bytes(make),
    }
}

const fn edit(name: &'static str, codes: &'static [Code], edit: fn(&mut Image)) -> Fixture {
    Fixture {
        name,
        codes,
        make: Make::Change(|_| {}, edit),
    }
}

const fn describe(name: &'static str, codes: &'static [Code], describe: fn(&mut Facts)) -> Fixture {
    Fixture {
        name,
        codes,
        make: Make::Change(describe, |_| {}),
    }
}

fn descriptor() -> Vec<u8> {
    Facts::good("good").bytes()
}

const ENTRY: &str = "holdall_plugin_v1_good";

pub(crate) const FIXTURES: &[Fixture] = &[
    Fixture {
        name: "unreadable",
        codes: &[Code::Unreadable],
        // A loop of links: a mode without rights would not stop root.
        make: Make::Place(|_, path| symlink(path.file_name().unwrap(), path).unwrap()),
    },
    Fixture {
        name: "pipe",
        codes: &[Code::NotRegularFile],
        make: Make::Place(|_, path| {
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
        }),
    },
    Fixture {
        name: "folder",
        codes: &[Code::NotRegularFile],
        make: Make::Place(|_, path| std::fs::create_dir(path).unwrap()),
    },
    Fixture {
        name: "too_large",
        codes: &[Code::TooLarge],
        make: Make::Place(|good, path| {
            crate::good::place(good.image().bytes, path);
            // The rest is a hole and takes no room on the disk.
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len((1 << 30) + 1)
                .unwrap();
        }),
    },
    bytes("empty", &[Code::EmptyFile], Vec::new),
    bytes("text", &[Code::NotALibrary], || {
        b"#!/bin/sh\nexit 0\n".to_vec()
    }),
    bytes("archive", &[Code::NotALibrary], || {
        b"!<arch>\nplugin.o/       0           0     0     644     0         `\n".to_vec()
    }),
    bytes("only_magic", &[Code::Truncated], || {
        b"\x7fELF\x02\x01\x01".to_vec()
    }),
    edit("cut", &[Code::Truncated], |image| {
        image.bytes.truncate(image.bytes.len() / 2)
    }),
    edit("shrunk_segment", &[Code::Malformed], |image| {
        let first = image.program_headers(PT_LOAD)[0];
        image.put(first + 40, &1u64.to_le_bytes());
    }),
    edit("not_dynamic", &[Code::Malformed], |image| {
        let dynamic = image.program_headers(PT_DYNAMIC)[0];
        image.put(dynamic, &0x6000_0000u32.to_le_bytes());
    }),
    edit("swapped_segments", &[Code::Malformed], |image| {
        // The loader takes room from the first to the last: it would map over the host.
        let segments = image.program_headers(PT_LOAD);
        let (one, two) = (segments[0], segments[1]);
        let saved = image.bytes[one..one + 56].to_vec();
        image.bytes.copy_within(two..two + 56, one);
        image.put(two, &saved);
    }),
    edit("moved_dynamic", &[Code::Malformed], |image| {
        // What would be read is not what would be used.
        let dynamic = image.program_headers(PT_DYNAMIC)[0];
        let moved = image.word(dynamic + 16) + 16;
        image.put(dynamic + 16, &moved.to_le_bytes());
    }),
    edit("texts_nowhere", &[Code::Malformed], |image| {
        let value = image.dynamic(DT_STRTAB);
        image.put(value, &u64::MAX.to_le_bytes());
    }),
    edit("relocations_nowhere", &[Code::Malformed], |image| {
        let value = image.dynamic(DT_RELA);
        image.put(value, &(1u64 << 30).to_le_bytes());
    }),
    bytes("mach_o", &[Code::FormatMismatch], || {
        mach_o(NATIVE_MACH_O, &descriptor(), ENTRY)
    }),
    bytes(
        "mach_o_elsewhere",
        &[Code::FormatMismatch, Code::ArchMismatch],
        || mach_o(FOREIGN_MACH_O, &descriptor(), ENTRY),
    ),
    #[cfg(target_arch = "x86_64")]
    bytes("dll", &[Code::FormatMismatch], || pe(&descriptor(), ENTRY)),
    #[cfg(not(target_arch = "x86_64"))]
    bytes("dll", &[Code::FormatMismatch, Code::ArchMismatch], || {
        pe(&descriptor(), ENTRY)
    }),
    edit("other_processor", &[Code::ArchMismatch], |image| {
        image.put(18, &OTHER_MACHINE.to_le_bytes())
    }),
    edit(
        "needs_libraries_of_elsewhere",
        &[Code::ArchMismatch],
        |image| {
            image.put(18, &OTHER_MACHINE.to_le_bytes());
            image.rename("libc.so.6", "libz0o.so");
        },
    ),
    bytes("elf32", &[Code::ArchMismatch], || {
        elf(
            ElfShape {
                wide: false,
                big: false,
                machine: 3,
            },
            &descriptor(),
            ENTRY,
        )
    }),
    bytes("big_endian", &[Code::ArchMismatch], || {
        elf(
            ElfShape {
                wide: true,
                big: true,
                machine: 21,
            },
            &descriptor(),
            ENTRY,
        )
    }),
    edit("freebsd", &[Code::OsMismatch], |image| image.put(7, &[9])),
    edit("musl", &[Code::LibcMismatch], |image| {
        image.rename("libc.so.6", "libc.so")
    }),
    edit("executable", &[Code::NotSharedObject], |image| {
        image.put(16, &2u16.to_le_bytes())
    }),
    edit("plain_library", &[Code::NoDescriptor], |image| {
        image.rename(".holdall", ".holdmap")
    }),
    Fixture {
        name: "debug_file",
        codes: &[Code::NotALibrary],
        // What is left of a library when its symbols are put into a file of their own.
        make: Make::Place(|good, path| good.debug_file(path)),
    },
    edit("two_descriptors", &[Code::DuplicateDescriptor], |image| {
        let one = descriptor();
        image.fill(".holdall", &[one.clone(), one].concat());
    }),
    edit("two_sections", &[Code::DuplicateDescriptor], |image| {
        // The comment of the compiler gets the name and the place of the descriptor.
        let (from, to) = (
            image.section_header(".holdall"),
            image.section_header(".comment"),
        );
        let header = image.bytes[from..from + 64].to_vec();
        image.put(to, &header);
    }),
    describe("other_magic", &[Code::MalformedDescriptor], |facts| {
        facts.magic = *b"HOLDELL\0"
    }),
    describe("endless_json", &[Code::MalformedDescriptor], |facts| {
        facts.json_len = Some(u64::MAX)
    }),
    describe("short_descriptor", &[Code::MalformedDescriptor], |facts| {
        facts.json_len = Some(20_000)
    }),
    edit("relocated", &[Code::RelocatedDescriptor], |image| {
        // The first relocation changes the descriptor instead of a pointer.
        let (table, address) = (image.section(".rela.dyn").start, image.address(".holdall"));
        image.put(table, &(address + 16).to_le_bytes());
    }),
    edit("half_relocated", &[Code::RelocatedDescriptor], |image| {
        let (table, address) = (image.section(".rela.dyn").start, image.address(".holdall"));
        image.put(table, &(address - 4).to_le_bytes());
    }),
    describe("descriptor_version", &[Code::DescriptorVersion], |facts| {
        facts.descriptor_version = 2
    }),
    describe("no_version", &[Code::DescriptorJson], |facts| {
        facts.about.as_object_mut().unwrap().remove("version");
    }),
    describe("cut_json", &[Code::DescriptorJson], |facts| {
        facts.json_len = Some(facts.about.to_string().len() as u64 - 1);
        facts.about = json!({ "name": "good" });
    }),
    describe("other_major", &[Code::AbiMajor], |facts| {
        facts.abi_major = VERSION.major + 1
    }),
    describe("needs_newer_host", &[Code::HostTooOld], |facts| {
        facts.min_host_minor = VERSION.minor + 1
    }),
    describe("other_draft", &[Code::DraftMismatch], |facts| {
        facts.flags ^= Flags::DRAFT
    }),
    describe("other_tables", &[Code::FingerprintMismatch], |facts| {
        facts.fingerprints[3][0] ^= 1
    }),
    describe("fewer_tables", &[Code::FingerprintMismatch], |facts| {
        facts.fingerprints.pop();
    }),
    describe("no_upload", &[Code::RequiredOperation], |facts| {
        without(facts, Operations::upload)
    }),
    describe("no_download", &[Code::RequiredOperation], |facts| {
        without(facts, Operations::download)
    }),
    describe("no_delete", &[Code::RequiredOperation], |facts| {
        without(facts, Operations::delete)
    }),
    describe("no_exists", &[Code::RequiredOperation], |facts| {
        without(facts, Operations::exists)
    }),
    describe("no_signed_url", &[Code::RequiredOperation], |facts| {
        without(facts, Operations::signed_url)
    }),
    describe("broken_rule", &[Code::BrokenRule], |facts| {
        facts.capabilities = Capabilities::ordered_list
    }),
    describe("panic_abort", &[Code::PanicAbort], |facts| {
        facts.flags |= Flags::RUST
    }),
    describe("bad_name", &[Code::BadName], |facts| {
        facts.about["name"] = json!("Good")
    }),
    describe("bad_scheme", &[Code::BadScheme], |facts| {
        facts.about["schemes"] = json!(["good", "no scheme"])
    }),
    describe("bad_version", &[Code::BadVersion], |facts| {
        facts.about["version"] = json!("1.2")
    }),
    describe("bad_schema", &[Code::BadSchema], |facts| {
        facts.about["config_schema"] = json!("a string")
    }),
    describe("invalid_schema", &[Code::BadSchema], |facts| {
        facts.about["config_schema"] = json!({ "type": "strng" })
    }),
    describe("other_entry", &[Code::EntryName], |facts| {
        facts.about["name"] = json!("goose")
    }),
    edit("no_entry", &[Code::EntryMissing], |image| {
        image.rename(ENTRY, "holdall_plugin_v1_goat")
    }),
    edit("imported_entry", &[Code::EntryMissing], |image| {
        let symbol = image.dynamic_symbol(ENTRY);
        image.put(symbol + 6, &[0, 0]);
    }),
    edit("hidden_entry", &[Code::EntryMissing], |image| {
        let symbol = image.dynamic_symbol(ENTRY);
        image.put(symbol + 5, &[2]);
    }),
    edit("entry_is_data", &[Code::EntryMissing], |image| {
        let symbol = image.dynamic_symbol(ENTRY);
        image.put(symbol + 4, &[0x11]);
    }),
    edit("entry_not_executable", &[Code::EntryMissing], |image| {
        let (symbol, address) = (image.dynamic_symbol(ENTRY), image.address(".holdall"));
        image.put(symbol + 8, &address.to_le_bytes());
    }),
    edit("needs_nothing_known", &[Code::DependencyMissing], |image| {
        image.rename("libc.so.6", "libz0o.so")
    }),
    Fixture {
        name: "origin_path",
        codes: &[Code::OriginPath],
        make: Make::Compile(&[], |_| vec!["-Wl,-rpath,$ORIGIN/lib".to_owned()], |_| {}),
    },
    Fixture {
        name: "six_faults",
        codes: &[
            Code::OsMismatch,
            Code::HostTooOld,
            Code::RequiredOperation,
            Code::PanicAbort,
            Code::BadScheme,
            Code::EntryMissing,
        ],
        make: Make::Change(
            |facts| {
                facts.min_host_minor = VERSION.minor + 1;
                without(facts, Operations::exists);
                facts.flags |= Flags::RUST;
                facts.about["schemes"] = json!(["-"]);
            },
            |image| {
                image.put(7, &[9]);
                image.rename(ENTRY, "holdall_plugin_v1_goat");
            },
        ),
    },
];

const NATIVE_MACH_O: MachO = if cfg!(target_arch = "aarch64") {
    MachO::Arm64
} else {
    MachO::X86_64
};
const FOREIGN_MACH_O: MachO = if cfg!(target_arch = "aarch64") {
    MachO::X86_64
} else {
    MachO::Arm64
};

fn without(facts: &mut Facts, operation: Operations) {
    facts.operations = facts.operations.without(operation);
}
