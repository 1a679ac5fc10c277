//! Reading a plugin's file without running it.
//!
//! Bounded positional reads, never a memory map: a file that is being copied in may shrink, and a
//! map of it would end the process. Every fault of the file goes into one list. The same checks run
//! over a file on disk, and over the very bytes that will be mapped.

mod debug;
#[cfg_attr(windows, path = "dependencies/windows.rs")]
mod dependencies;
mod descriptor;
mod elf;
mod library;
mod loading;
mod needs;
mod negotiation;
mod pe_mach_o;
mod relocations;
mod source;
mod tables;

use crate::platform::file_facts::Stamp;
use crate::plugin::emulation::{emulated, unsupported};
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::Operations;
use holdall_plugin_api::abi::VERSION;
use holdall_plugin_api::descriptor::{Descriptor, Flags};
pub(crate) use negotiation::{OURS, Spoken, effective_minor};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use source::Reads;
pub(crate) use source::{Sink, unreadable};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It would load here.
    Accepted,
    /// It means to be a plugin, or may, and would not load.
    Refused,
    /// Nothing in it says that it means to be a plugin.
    NotAPlugin,
}

/// All that could be read of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// Format and processor, such as `elf x86_64-linux-gnu`; empty when it is no library.
    pub target: String,
    /// What it says of itself.
    pub descriptor: Option<Descriptor>,
    /// Everything that is wrong with it, the gravest first.
    pub faults: Vec<Fault>,
    /// Symbols of which the system's loader has one in the whole process (`STB_GNU_UNIQUE`), such as
    /// inline statics of C++: two libraries that have one share it. The first 4096.
    pub unique_symbols: Vec<String>,
    /// Libraries that it needs and of which this system cannot tell whether they are there.
    pub(crate) not_judged: Vec<String>,
    /// The facts of the file that was judged.
    pub(crate) stamp: Option<Stamp>,
    /// How long it took to find out. Not in the JSON form, which is the same for the same file.
    pub took: Duration,
}

impl Inspection {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            size: 0,
            target: String::new(),
            descriptor: None,
            faults: Vec::new(),
            unique_symbols: Vec::new(),
            not_judged: Vec::new(),
            stamp: None,
            took: Duration::ZERO,
        }
    }

    /// A file that is not read at all.
    pub(crate) fn of_fault(path: &Path, fault: Fault) -> Self {
        let mut found = Self::new(path);
        found.faults.push(fault);
        found
    }

    /// The operations that the host does in the plugin's place, of other operations.
    pub fn emulated(&self) -> Operations {
        self.of_operations(emulated)
    }

    /// The operations that answer `Unsupported`.
    pub fn unsupported(&self) -> Operations {
        self.of_operations(unsupported)
    }

    fn of_operations(&self, rest: fn(Operations) -> Operations) -> Operations {
        let descriptor = self.descriptor.as_ref();
        descriptor.map_or(Operations::EMPTY, |descriptor| rest(descriptor.operations))
    }

    /// What does not keep it from loading, and may surprise later.
    pub fn warnings(&self) -> Vec<String> {
        let unique = self.unique_symbols.first().map(|first| {
            let count = self.unique_symbols.len();
            format!(
                "{count} symbols of which the process has one only (STB_GNU_UNIQUE), such as {first:.80}: a second plugin with one of them is refused; compile with -fno-gnu-unique"
            )
        });
        let elsewhere = self.not_judged.first().map(|first| {
            let count = self.not_judged.len();
            format!(
                "{count} libraries that it needs, such as {first:.80}, are not judged: they are those of another system"
            )
        });
        let spoken = self.descriptor.as_ref().and_then(|descriptor| {
            let minor = effective_minor(OURS, descriptor.into()).ok()?;
            let has = descriptor.abi_minor;
            let both = descriptor.flags.has(Flags::DRAFT_MINOR) && minor < has.min(VERSION.minor);
            both.then(|| {
                format!(
                    "built for another draft of ABI 1.{has} than this host's: both speak 1.{minor}"
                )
            })
        });
        unique.into_iter().chain(elsewhere).chain(spoken).collect()
    }

    /// What the file turned out to be.
    pub fn verdict(&self) -> Verdict {
        let stranger = |fault: &Fault| {
            matches!(
                fault.code,
                Code::NotRegularFile | Code::TemporaryName | Code::NotALibrary | Code::NoDescriptor
            )
        };
        match self.faults.as_slice() {
            [] => Verdict::Accepted,
            // Other faults of a plain library do not matter.
            faults if faults.iter().any(stranger) => Verdict::NotAPlugin,
            _ => Verdict::Refused,
        }
    }
}

impl Serialize for Inspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // A file's name need not be text, and one such name must not cost the whole report.
        map.serialize_entry("path", &self.path.display().to_string())?;
        map.serialize_entry("size", &self.size)?;
        map.serialize_entry("verdict", &self.verdict())?;
        map.serialize_entry("target", &self.target)?;
        if let Some(descriptor) = &self.descriptor {
            map.serialize_entry(
                "abi",
                &format!("{}.{}", descriptor.abi_major, descriptor.abi_minor),
            )?;
            map.serialize_entry("flags", &descriptor.flags.names())?;
            map.serialize_entry("operations", &descriptor.operations.names())?;
            map.serialize_entry("emulated", &self.emulated().names())?;
            map.serialize_entry("unsupported", &self.unsupported().names())?;
            map.serialize_entry("capabilities", &descriptor.capabilities.names())?;
            map.serialize_entry("max_in_flight", &descriptor.max_in_flight)?;
            map.serialize_entry("about", &descriptor.about)?;
        }
        map.serialize_entry("faults", &self.faults)?;
        map.serialize_entry("warnings", &self.warnings())?;
        map.end()
    }
}

/// Inspects a file. Never runs or maps it, never blocks on a pipe.
pub fn inspect_file(path: &Path) -> Inspection {
    let (mut found, started) = (Inspection::new(path), Instant::now());
    match source::open(path) {
        Err(fault) => found.faults.push(*fault),
        Ok((file, size)) => {
            found.size = size;
            if let Err(fault) = inspect_unchanged(&mut found, file, size) {
                // What was read may be of two files.
                found.descriptor = None;
                found.faults = vec![*fault];
            }
        }
    }
    found.took = started.elapsed();
    found
}

/// Inspects bytes that were read from `path`: gives what [`inspect_file`] gives for the file.
pub fn inspect_bytes(bytes: &[u8], path: &Path) -> Inspection {
    let (mut found, started) = (Inspection::new(path), Instant::now());
    found.size = bytes.len() as u64;
    let size = found.size;
    inspect(&mut found, &Reads::new(Cursor::new(bytes)), size);
    found.took = started.elapsed();
    found
}

fn inspect<S: Read + Seek>(found: &mut Inspection, data: &Reads<S>, size: u64) {
    if size == 0 {
        let fault = Fault::new(Code::EmptyFile).expected("a library");
        return found.faults.push(fault.found("0 bytes"));
    }
    library::check(found, data, size);
    found.faults.sort_by_key(|fault| fault.code);
    found.faults.dedup();
}

/// Inspects an open file, which must stay the same meanwhile.
fn inspect_unchanged(found: &mut Inspection, file: File, size: u64) -> Result<(), Box<Fault>> {
    let before = source::stamp(&file)?;
    let reader = file.try_clone().map_err(source::unreadable)?;
    inspect(found, &Reads::new(reader), size);
    if source::stamp(&file)? != before {
        return Err(source::changing());
    }
    found.stamp = Some(before);
    Ok(())
}

/// Copies a regular file as it is at one moment, without what only debuggers read. Returns its facts.
pub(crate) fn copy_whole(path: &Path, to: &mut dyn Sink) -> Result<Stamp, Box<Fault>> {
    source::copy(path, to)
}

/// Opens a regular file for reading, as an inspection does.
pub(crate) fn open_regular(path: &Path) -> Result<File, Box<Fault>> {
    source::open(path).map(|(file, _)| file)
}

/// What loading needs to know of a file.
pub(crate) struct Judged {
    pub(crate) descriptor: Descriptor,
    /// As [`Inspection::unique_symbols`].
    pub(crate) unique_symbols: Vec<String>,
}

/// Judges the bytes in `copy`, read from `path`: what loading needs, when they would load here.
pub(crate) fn judge_copy(copy: File, path: &Path) -> Result<Judged, Vec<Fault>> {
    let mut found = Inspection::new(path);
    found.size = copy.metadata().map_or(0, |metadata| metadata.len());
    let size = found.size;
    inspect(&mut found, &Reads::new(copy), size);
    match found.descriptor {
        Some(descriptor) if found.faults.is_empty() => Ok(Judged {
            descriptor,
            unique_symbols: found.unique_symbols,
        }),
        _ => Err(found.faults),
    }
}

/// The descriptor of a plugin that is linked in, when it would be accepted.
pub(crate) fn judge_section(section: &[u8]) -> Result<Descriptor, Vec<Fault>> {
    let (descriptor, faults) = descriptor::read(section);
    match descriptor {
        Some(descriptor) if faults.is_empty() => Ok(descriptor),
        _ => Err(faults),
    }
}
