//! What is wrong with a plugin: one list per file, each fault with a stable code and both sides.
//!
//! `host/CODES.md` has a section for each code, with an example of what it says.

use serde::{Serialize, Serializer};
use std::fmt;

/// When a fault was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// By its owner, mode, digest, signature or history, before it is mapped: nothing of it has run.
    Trust,
    /// By reading the file: nothing of it has run, it was never mapped executable.
    Inspect,
    /// In a child process that mapped and opened it. This process has run nothing of it.
    Trial,
    /// While it was loaded. Nothing was registered; what was mapped stays, and its constructors have
    /// run.
    Load,
}

macro_rules! codes {
    ($(#[doc = $meaning:literal] $code:ident = $name:literal, $phase:ident, $fix:literal;)+) => {
        /// The stable name of a fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $meaning] $code,)+ }

        impl Code {
            /// Every code, the gravest first within its phase.
            pub const ALL: &'static [Code] = &[$(Code::$code,)+];

            /// As in JSON, logs and the documentation.
            pub const fn name(self) -> &'static str { match self { $(Code::$code => $name,)+ } }

            /// When it is found.
            pub const fn phase(self) -> Phase { match self { $(Code::$code => Phase::$phase,)+ } }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                let text = match self { $(Code::$code => $meaning,)+ };
                text.trim_ascii()
            }

            /// What usually helps.
            pub const fn usual_fix(self) -> &'static str {
                match on_windows(self) {
                    Some(fix) if cfg!(windows) => fix,
                    _ => match self { $(Code::$code => $fix,)+ },
                }
            }
        }
    };
}

/// What helps on Windows, where that is something else.
const fn on_windows(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::FileOwner | Code::DirectoryOwner => {
            "give it to the administrators or to the user of this process (icacls /setowner), or set trust.owner = \"allow\""
        }
        Code::FileWorldWritable | Code::DirectoryWorldWritable => {
            "take the right to write from the groups of every user (icacls), or set trust.world_writable = \"allow\""
        }
        Code::FileGroupWritable | Code::DirectoryGroupWritable => {
            "take the right to write from other users and groups (icacls), or set trust.group_writable = \"allow\""
        }
        _ => return None,
    })
}

codes! {
    /// The host maps no further plugin.
    Locked = "locked", Trust, "load the plugins before the host is locked";
    /// A link that leads out of its plugin directory.
    LinkOutside = "link_outside", Trust, "put the file itself into the plugin directory, or set trust.links = \"allow\"";
    /// A plugin that another user owns, or a link to it.
    FileOwner = "file_owner", Trust, "give it to root or to the user of this process (chown), or set trust.owner = \"allow\"";
    /// A plugin that every user can write.
    FileWorldWritable = "file_world_writable", Trust, "chmod o-w, or set trust.world_writable = \"allow\"";
    /// A plugin that its group can write.
    FileGroupWritable = "file_group_writable", Trust, "chmod g-w, or set trust.group_writable = \"allow\"";
    /// A directory on the way to a plugin that another user owns.
    DirectoryOwner = "directory_owner", Trust, "give it to root or to the user of this process (chown), or set trust.owner = \"allow\"";
    /// A directory on the way to a plugin that every user can write.
    DirectoryWorldWritable = "directory_world_writable", Trust, "chmod o-w, or set trust.world_writable = \"allow\"";
    /// A directory on the way to a plugin that its group can write.
    DirectoryGroupWritable = "directory_group_writable", Trust, "chmod g-w, or set trust.group_writable = \"allow\"";
    /// A file that holds another plugin than when it was scanned.
    PluginChanged = "plugin_changed", Trust, "scan again: reload the configuration, or start again";
    /// A file that the configuration revokes.
    FileRevoked = "file_revoked", Trust, "install another version of the plugin";
    /// A lock of the plugins that cannot be read.
    LockDamaged = "lock_damaged", Trust, "restore holdall.lock, or remove it and run `holdall plugins pin`";
    /// Two pins of one plugin that differ.
    PinsDisagree = "pins_disagree", Trust, "make plugin.NAME.sha256 equal to holdall.lock, or remove it";
    /// Another file than the pinned one.
    PinMismatch = "pin_mismatch", Trust, "install the pinned file, or pin this one: `holdall plugins pin NAME`";
    /// A signature that cannot be read.
    SignatureMalformed = "signature_malformed", Trust, "copy the .minisig file again, or sign the plugin again";
    /// No signature, where one is required.
    SignatureMissing = "signature_missing", Trust, "put the .minisig file beside the plugin, or set trust.signatures = \"optional\"";
    /// A signature of a key that the configuration revokes.
    KeyRevoked = "key_revoked", Trust, "install a version that another key has signed";
    /// A signature of a key that is not trusted.
    KeyUnknown = "key_unknown", Trust, "add the publisher's key to [[trust.keys]]";
    /// A file that is not what was signed.
    SignatureInvalid = "signature_invalid", Trust, "copy file and signature again; both are of one version";
    /// A signature of a key for other plugins.
    KeyScope = "key_scope", Trust, "add the plugin's name to `plugins` of the key, if its publisher provides it";
    /// A signature of a key whose period has ended.
    KeyExpired = "key_expired", Trust, "install a version that a current key has signed";
    /// A signature whose period has ended.
    SignatureExpired = "signature_expired", Trust, "install a version with a current signature";
    /// A plugin that has ended earlier processes.
    Quarantined = "quarantined", Trust, "report the crash to the author; `holdall plugins release NAME` lets the plugin in again";
    /// A plugin that has ended an earlier process a moment ago.
    CrashBackoff = "crash_backoff", Trust, "wait, or let the plugin in again: `holdall plugins release NAME`";
    /// Records of this host that cannot be read.
    StateDamaged = "state_damaged", Trust, "remove the file; what was seen of plugins is forgotten then";
    /// An unsigned file of a plugin that was signed before.
    SignatureDropped = "signature_dropped", Trust, "install a signed file, or forget the plugin: `holdall plugins release NAME`";
    /// A signature of another publisher than before.
    PublisherChanged = "publisher_changed", Trust, "install the file of the first publisher, or forget the plugin: `holdall plugins release NAME`";
    /// An older version than before.
    VersionDowngrade = "version_downgrade", Trust, "install a later version, or forget the plugin: `holdall plugins release NAME`";

    /// The file cannot be opened or read.
    Unreadable = "unreadable", Inspect, "make the file readable for this user";
    /// A file that changes while it is read.
    Changing = "changing", Inspect, "wait until the file is complete; to replace a plugin, write a file beside it and rename it";
    /// A hidden, temporary or backup file, by its name.
    TemporaryName = "temporary_name", Inspect, "rename the file to its final name when it is complete, or remove it";
    /// A folder, a pipe, a device or a socket.
    NotRegularFile = "not_regular_file", Inspect, "put the library itself into the folder";
    /// No bytes.
    EmptyFile = "empty_file", Inspect, "copy the file again";
    /// More bytes than any plugin has.
    TooLarge = "too_large", Inspect, "strip the library; a plugin has at most 1 GiB";
    /// Not a library of any known format.
    NotALibrary = "not_a_library", Inspect, "remove the file, or build the plugin as a cdylib";
    /// A library that ends before its headers say.
    Truncated = "truncated", Inspect, "copy the file again; it was cut short";
    /// A library whose headers contradict each other.
    Malformed = "malformed", Inspect, "build or copy the file again";
    /// A library of another operating system's format.
    FormatMismatch = "format_mismatch", Inspect, "use the build for this operating system";
    /// A library for another processor.
    ArchMismatch = "arch_mismatch", Inspect, "use the build for this processor";
    /// A library for another operating system in this format.
    OsMismatch = "os_mismatch", Inspect, "use the build for this operating system";
    /// A library for another C library.
    LibcMismatch = "libc_mismatch", Inspect, "use the build for this C library";
    /// An executable, an object file or a core dump.
    NotSharedObject = "not_shared_object", Inspect, "build the plugin with crate-type cdylib";
    /// A library that makes the stacks of the process executable.
    ExecutableStack = "executable_stack", Inspect, "link with -z noexecstack; an object made from assembly needs a .note.GNU-stack section";
    /// A library with memory that is writable and executable.
    WritableCode = "writable_code", Inspect, "link without -N and without sections that are both writable and executable";
    /// A library whose code the loader would have to change.
    TextRelocations = "text_relocations", Inspect, "compile every object with -fPIC";
    /// A library without a descriptor.
    NoDescriptor = "no_descriptor", Inspect, "this is a library, but no plugin: call export_plugin! in it, or remove it";
    /// Two plugins in one library.
    DuplicateDescriptor = "duplicate_descriptor", Inspect, "do not link one plugin crate into another; share code through a third crate";
    /// A descriptor that is cut or has no magic.
    MalformedDescriptor = "malformed_descriptor", Inspect, "build the plugin again";
    /// A descriptor that the loader would change.
    RelocatedDescriptor = "relocated_descriptor", Inspect, "the descriptor must be plain bytes: no pointer in its section";
    /// A descriptor of another layout.
    DescriptorVersion = "descriptor_version", Inspect, "use a host of the plugin's time, or build the plugin again";
    /// The JSON part does not parse or lacks a field.
    DescriptorJson = "descriptor_json", Inspect, "mend the JSON part of the descriptor";
    /// Another ABI major.
    AbiMajor = "abi_major", Inspect, "build the plugin against this host's plugin API";
    /// The plugin needs a newer host.
    HostTooOld = "host_too_old", Inspect, "update the host";
    /// A draft of the ABI with other tables.
    DraftMismatch = "draft_mismatch", Inspect, "while the ABI is a draft, build host and plugin from the same source";
    /// Tables of the shared minor that differ.
    FingerprintMismatch = "fingerprint_mismatch", Inspect, "build the plugin against the plugin API of this host, unchanged";
    /// A required operation is not there.
    RequiredOperation = "required_operation", Inspect, "implement it: upload, download, delete, exists and signed_url are required";
    /// A claim without what it needs.
    BrokenRule = "broken_rule", Inspect, "claim what the capability needs, or drop the capability";
    /// A panic would end the host.
    PanicAbort = "panic_abort", Inspect, "build the plugin with panic = \"unwind\"";
    /// A name that is not `[a-z0-9][a-z0-9-]{0,62}`.
    BadName = "bad_name", Inspect, "a name is [a-z0-9][a-z0-9-]{0,62}";
    /// A scheme that is not one of RFC 3986.
    BadScheme = "bad_scheme", Inspect, "a scheme is [a-z][a-z0-9+.-]*";
    /// A version that is not semantic.
    BadVersion = "bad_version", Inspect, "a version is MAJOR.MINOR.PATCH";
    /// A configuration schema that is no schema.
    BadSchema = "bad_schema", Inspect, "the configuration schema is a JSON object or a boolean";
    /// The entry symbol does not follow the name.
    EntryName = "entry_name", Inspect, "the entry symbol is holdall_plugin_v1_ and the plugin's name";
    /// The entry symbol is not exported.
    EntryMissing = "entry_missing", Inspect, "export the entry symbol with default visibility";
    /// A library that it needs is not there.
    DependencyMissing = "dependency_missing", Inspect, "install the library, or link it statically";
    /// It looks for libraries beside itself.
    OriginPath = "origin_path", Inspect, "link its libraries statically: a plugin is self-contained, and $ORIGIN leads nowhere from sealed memory";

    /// No child process could try the plugin.
    TrialUnavailable = "trial_unavailable", Trial, "make the executable of trials runnable, or set trial.enabled = false";
    /// A plugin that ends the process by a fault.
    TrialCrashed = "trial_crashed", Trial, "report it to the author; `holdall plugins release NAME` has it tried again";
    /// A plugin that aborts the process.
    TrialAborted = "trial_aborted", Trial, "report it to the author; `holdall plugins release NAME` has it tried again";
    /// A plugin that calls exit().
    TrialExited = "trial_exited", Trial, "report it to the author; `holdall plugins release NAME` has it tried again";
    /// A plugin whose constructors do not return.
    TrialTimedOut = "trial_timed_out", Trial, "report it to the author, or raise trial.timeout and run `holdall plugins release NAME`";
    /// A plugin that computes without end.
    TrialCpu = "trial_cpu", Trial, "report it to the author, or raise trial.cpu and run `holdall plugins release NAME`";
    /// A plugin that allocates without end.
    TrialMemory = "trial_memory", Trial, "report it to the author, or raise trial.memory and run `holdall plugins release NAME`";
    /// A plugin whose constructors make another process.
    TrialForked = "trial_forked", Trial, "report it to the author; `holdall plugins release NAME` has it tried again";
    /// A plugin whose constructors close descriptors of the program.
    TrialClosedDescriptors = "trial_closed_descriptors", Trial, "report it to the author; `holdall plugins release NAME` has it tried again";
    /// A plugin whose constructors replace signal handlers of the program.
    TrialTookSignals = "trial_took_signals", Trial, "the host puts them back; trial.signals = \"refuse\" refuses such plugins";
    /// A plugin whose constructors start threads.
    TrialStartedThreads = "trial_started_threads", Trial, "start threads in `open`; trial.threads = \"refuse\" refuses such plugins";

    /// A symbol that a mapped plugin has for the whole process (STB_GNU_UNIQUE).
    SharedSymbol = "shared_symbol", Load, "compile the plugin with -fno-gnu-unique; until then only one of the two can be loaded";
    /// The system's loader refused it.
    MapFailed = "map_failed", Load, "see what the loader says; a missing symbol is usual";
    /// The entry symbol is not found by the loader.
    SymbolMissing = "symbol_missing", Load, "export the entry symbol";
    /// The entry symbol lies in another library.
    EntryOutsideFile = "entry_outside_file", Load, "define the entry symbol in the plugin itself";
    /// The entry function returned null.
    EntryReturnedNull = "entry_returned_null", Load, "return the plugin's table";
    /// A table that cannot be read.
    TableMalformed = "table_malformed", Load, "fill `size` and every pointer of the table";
    /// The loaded facts are not the file's.
    DescriptorLies = "descriptor_lies", Load, "the table's descriptor is the very section of the file";
    /// Tables of another layout.
    LayoutMismatch = "layout_mismatch", Load, "build the plugin against this host's plugin API";
    /// A required slot is null.
    RequiredOperationNull = "required_operation_null", Load, "fill the slot";
    /// A claimed slot is null.
    ClaimedOperationNull = "claimed_operation_null", Load, "fill the slot, or do not claim the operation";
    /// A function that is not the plugin's own.
    SlotOutsideFile = "slot_outside_file", Load, "fill the slot with a function of the plugin";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One fault: both sides, where, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// Its stable name.
    pub code: Code,
    /// When it was found.
    pub phase: Phase,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// Where in the file, when that helps; may be empty.
    pub location: String,
    /// What helps.
    pub fix: String,
    /// Where the code is described: a page of this repository and an anchor.
    pub page: String,
}

impl Fault {
    /// A fault with its usual fix.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            phase: code.phase(),
            expected: String::new(),
            found: String::new(),
            location: String::new(),
            fix: code.usual_fix().to_owned(),
            page: format!("host/CODES.md#{}", code.name()),
        }
    }

    /// Says what should be there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Says what is there.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }

    /// Says where.
    #[must_use]
    pub fn location(mut self, location: impl Into<String>) -> Self {
        self.location = location.into();
        self
    }
}

impl Fault {
    /// The codes of some faults in one line, each once, with its count if it is repeated.
    ///
    /// ```
    /// use holdall::fault::{Code, Fault};
    ///
    /// let faults = [Code::Changing, Code::DirectoryGroupWritable, Code::DirectoryGroupWritable].map(Fault::new);
    /// assert_eq!(Fault::codes(&faults), "changing, directory_group_writable (2)");
    /// ```
    pub fn codes(faults: &[Self]) -> String {
        let mut counts: Vec<(Code, usize)> = Vec::new();
        for fault in faults {
            match counts.iter_mut().find(|(code, _)| *code == fault.code) {
                Some((_, count)) => *count += 1,
                None => counts.push((fault.code, 1)),
            }
        }
        let texts = counts.iter().map(|(code, count)| match count {
            1 => code.name().to_owned(),
            _ => format!("{} ({count})", code.name()),
        });
        texts.collect::<Vec<_>>().join(", ")
    }

    /// Both sides and the location in one line, for places where the code stands already.
    pub(crate) fn without_code(&self) -> String {
        let Self {
            expected, found, ..
        } = self;
        match self.location.as_str() {
            "" => format!("expected {expected}, found {found}"),
            location => format!("expected {expected}, found {found} ({location})"),
        }
    }
}

/// One line, without the fix.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.without_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_stable_words() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
        }
        let json =
            serde_json::to_value(Fault::new(Code::AbiMajor).expected("1").found("2")).unwrap();
        assert_eq!(json["code"], "abi_major");
        assert_eq!(json["phase"], "inspect");
        assert!(json["fix"].as_str().is_some_and(|fix| !fix.is_empty()));
    }
}
