//! Reading plugin folders: a verdict for every file, nothing mapped, nothing run.

use super::fault::{Code, Fault};
use super::inspect::{Inspection, Verdict, inspect_file};
use super::trust::Trust;
use holdall_plugin_api::descriptor::Descriptor;
use semver::Version;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What was found in the plugin folders, in their order and each in byte order of the names.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ScanReport {
    /// The folders that were read.
    pub folders: Vec<Folder>,
    /// Every entry of every folder.
    pub files: Vec<Inspection>,
    /// Accepted plugins whose name or scheme an earlier one has.
    pub shadowed: Vec<Shadowed>,
    /// How long it took. Not in the JSON form, which is the same for the same files.
    #[serde(skip)]
    pub took: Duration,
}

/// A plugin folder.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Folder {
    /// As configured.
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// Why it could not be read.
    pub error: Option<String>,
}

/// A candidate that lost a name or a scheme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shadowed {
    /// `name` or `scheme`.
    pub claim: &'static str,
    /// What both claim.
    pub value: String,
    /// Who has it.
    #[serde(serialize_with = "shown")]
    pub winner: PathBuf,
    /// Who does not.
    #[serde(serialize_with = "shown")]
    pub loser: PathBuf,
    /// Why.
    pub rule: &'static str,
}

/// A file's name need not be text, and one such name must not cost the whole report.
fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Why the winner wins.
pub(crate) const RULE: &str = "the first directory wins; within one, the highest version, then the first file name in byte order; a scan replaces nothing";

impl ScanReport {
    /// The accepted files with their descriptors, by precedence: directories in their order, within
    /// one the highest version first, then byte order of the file names.
    pub fn by_precedence(&self) -> Vec<(&Inspection, &Descriptor)> {
        let position = |file: &Inspection| {
            let parent = file.path.parent();
            let mut folders = self.folders.iter();
            folders.position(|folder| Some(folder.path.as_path()) == parent)
        };
        let version = |about: &Descriptor| Version::parse(&about.about.version).ok();
        let accepted = self.files.iter().filter_map(|file| {
            let accepted = file.verdict() == Verdict::Accepted;
            let descriptor = file.descriptor.as_ref().filter(|_| accepted)?;
            Some((file, descriptor))
        });
        let mut accepted: Vec<_> = accepted.collect();
        // Stable: files of one folder and version stay in the order of their names.
        accepted.sort_by_cached_key(|(file, descriptor)| {
            (position(file), std::cmp::Reverse(version(descriptor)))
        });
        accepted
    }
}

/// Why a file of this name is not a candidate: names that editors, package managers and copying
/// programs give to files that are not complete or not current.
fn temporary(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 17] = [
        b"~",
        b".tmp",
        b".temp",
        b".part",
        b".partial",
        b".filepart",
        b".crdownload",
        b".download",
        b".bak",
        b".old",
        b".orig",
        b".swp",
        b".rpmnew",
        b".rpmsave",
        b".dpkg-new",
        b".dpkg-old",
        b".dpkg-tmp",
    ];
    name.starts_with(b".")
        || (name.starts_with(b"#") && name.ends_with(b"#"))
        || name.starts_with(b"Copy of ")
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Reads the folders. Order: as given, then byte order of the file names.
///
/// ```no_run
/// let report = holdall::scan::scan(&["plugins".into()]);
/// for (file, descriptor) in report.by_precedence() {
///     println!("{} {}", file.path.display(), descriptor.about.name);
/// }
/// for other in &report.shadowed {
///     println!("{} is not used: {}", other.loser.display(), other.rule);
/// }
/// ```
pub fn scan(folders: &[PathBuf]) -> ScanReport {
    scan_with(folders, |_, _| Vec::new())
}

/// As [`scan`], with the owners and modes of accepted files judged too.
pub fn scan_trusted(folders: &[PathBuf], trust: &Trust) -> ScanReport {
    scan_with(folders, |path, folder| trust.place(path, Some(folder)))
}

fn scan_with(folders: &[PathBuf], place: impl Fn(&Path, &Path) -> Vec<Fault>) -> ScanReport {
    let (mut report, started) = (ScanReport::default(), Instant::now());
    for folder in folders {
        match entries(folder) {
            Ok(paths) => {
                report.files.extend(paths.iter().map(|path| {
                    let mut found = inspect_entry(path);
                    if found.verdict() == Verdict::Accepted {
                        found.faults = place(path, folder);
                    }
                    found
                }));
                report.folders.push(Folder {
                    path: folder.clone(),
                    error: None,
                });
            }
            Err(cause) => report.folders.push(Folder {
                path: folder.clone(),
                error: Some(cause.to_string()),
            }),
        }
    }
    report.shadowed = shadowed(&report);
    report.took = started.elapsed();
    report
}

fn inspect_entry(path: &Path) -> Inspection {
    let name = path.file_name().unwrap_or_default();
    if temporary(name.as_encoded_bytes()) {
        let fault = Fault::new(Code::TemporaryName)
            .expected("the final name of a plugin's file")
            .found(name.display().to_string());
        return Inspection::of_fault(path, fault);
    }
    inspect_file(path)
}

/// Directory order differs between file systems, and the first plugin to claim a name has it.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    // A signature belongs to the file beside it.
    paths.retain(|path| {
        let is_signature = path.extension().is_some_and(|ending| ending == "minisig");
        !(is_signature && path.with_extension("").exists())
    });
    paths.sort_by(|a, b| {
        a.as_os_str()
            .as_encoded_bytes()
            .cmp(b.as_os_str().as_encoded_bytes())
    });
    Ok(paths)
}

/// As the catalog takes them: a file whose name is taken is not used at all, so its schemes are not
/// looked at.
fn shadowed(report: &ScanReport) -> Vec<Shadowed> {
    let mut names: HashMap<&str, &Path> = HashMap::new();
    let mut schemes: HashMap<&str, &Path> = HashMap::new();
    let mut losers = Vec::new();
    for (file, descriptor) in report.by_precedence() {
        let mut lost = |claim, value: &str, winner: &Path| {
            losers.push(Shadowed {
                claim,
                value: value.to_owned(),
                winner: winner.to_owned(),
                loser: file.path.clone(),
                rule: RULE,
            });
        };
        let about = &descriptor.about;
        if let Some(winner) = names.get(about.name.as_str()) {
            lost("name", &about.name, winner);
            continue;
        }
        names.insert(&about.name, &file.path);
        for scheme in &about.schemes {
            match schemes.get(scheme.as_str()) {
                Some(winner) => lost("scheme", scheme, winner),
                None => {
                    schemes.insert(scheme, &file.path);
                }
            }
        }
    }
    losers
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn codes(report: &ScanReport) -> Vec<(String, Verdict, Vec<Code>)> {
        report
            .files
            .iter()
            .map(|file| {
                let name = file
                    .path
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                (
                    name,
                    file.verdict(),
                    file.faults.iter().map(|fault| fault.code).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn odd_files_get_their_own_verdicts_and_nothing_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("README.md"), "text").unwrap();
        std::fs::write(at("empty.so"), "").unwrap();
        std::fs::write(at("text.so"), "#!/bin/sh\n").unwrap();
        std::fs::write(at("cut.so"), b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0").unwrap();
        std::fs::create_dir(at("folder.so")).unwrap();
        symlink("/nowhere/at/all", at("dangling.so")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.so"), rustix::fs::Mode::RUSR).unwrap();
        let started = Instant::now();
        let report = scan(&[folder.path().to_owned(), at("missing")]);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "a pipe must not block"
        );
        assert_eq!(
            codes(&report),
            [
                (
                    "README.md".into(),
                    Verdict::NotAPlugin,
                    vec![Code::NotALibrary]
                ),
                ("cut.so".into(), Verdict::Refused, vec![Code::Truncated]),
                (
                    "dangling.so".into(),
                    Verdict::Refused,
                    vec![Code::Unreadable]
                ),
                ("empty.so".into(), Verdict::Refused, vec![Code::EmptyFile]),
                (
                    "folder.so".into(),
                    Verdict::NotAPlugin,
                    vec![Code::NotRegularFile]
                ),
                (
                    "pipe.so".into(),
                    Verdict::NotAPlugin,
                    vec![Code::NotRegularFile]
                ),
                (
                    "text.so".into(),
                    Verdict::NotAPlugin,
                    vec![Code::NotALibrary]
                ),
            ]
        );
        assert!(report.folders[0].error.is_none());
        assert!(report.folders[1].error.is_some());
    }

    #[test]
    fn temporary_names_are_not_candidates() {
        let temporary_names = [
            ".libx.so.Xa31Qz",
            "Copy of libx.so",
            "#libx.so#",
            "libx.so~",
            "libx.so.dpkg-new",
            "libx.so.part",
        ];
        for name in temporary_names {
            assert!(temporary(name.as_bytes()), "{name}");
        }
        for name in ["libx.so", "libx.so.1", "x-2.0.so", "part.so"] {
            assert!(!temporary(name.as_bytes()), "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".libx.so.Xa31Qz"), b"\x7fELF").unwrap();
        let report = scan(&[folder.path().to_owned()]);
        let expected = [(
            ".libx.so.Xa31Qz".to_owned(),
            Verdict::NotAPlugin,
            vec![Code::TemporaryName],
        )];
        assert_eq!(codes(&report), expected);
    }

    #[test]
    fn a_signature_is_no_entry_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.so", "x.so.minisig", "alone.so.minisig"] {
            std::fs::write(folder.path().join(name), "text").unwrap();
        }
        let report = scan(&[folder.path().to_owned()]);
        let names: Vec<_> = codes(&report).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["alone.so.minisig", "x.so"]);
    }

    #[test]
    fn no_folder_reads_nothing() {
        let report = scan(&[]);
        assert!(report.files.is_empty() && report.folders.is_empty());
    }
}
