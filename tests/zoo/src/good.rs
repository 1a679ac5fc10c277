//! Building the good plugin, and variants of it that no change of bytes can make.

use crate::{Facts, Image};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands in the source where the path of the marker will be.
const MARKER: &[u8] = b"@@ZOO-MARKER@@";

/// The good plugin and what is needed to build others.
#[derive(Clone, Debug)]
pub struct Good {
    folder: PathBuf,
    bytes: Vec<u8>,
}

impl Good {
    /// Builds it in `folder`/`zoo-build`, with `gcc`.
    ///
    /// # Panics
    ///
    /// When there is no `gcc`, or it does not take the source.
    pub fn build(folder: &Path) -> Self {
        let folder = folder.join("zoo-build");
        fs::create_dir_all(&folder).unwrap();
        let mut good = Self {
            folder,
            bytes: Vec::new(),
        };
        good.bytes = good.compile(&Facts::good("good"), &[], &[]);
        good
    }

    /// The library, before a marker is written into it.
    pub fn image(&self) -> Image {
        Image::new(self.bytes.clone())
    }

    /// A variant of the source. The plugin's name must be a C identifier.
    ///
    /// # Panics
    ///
    /// When `gcc` does not take it.
    pub fn compile(&self, facts: &Facts, defines: &[&str], link: &[String]) -> Vec<u8> {
        let name = facts.about["name"].as_str().unwrap();
        let descriptor = facts.bytes();
        let source = self.folder.join(format!("{name}.c"));
        let library = source.with_extension("so");
        let list: Vec<String> = descriptor.iter().map(u8::to_string).collect();
        let text = format!(
            "#define ZOO_NAME {name}\n#define ZOO_LEN {}\n#define ZOO_BYTES {{{}}}\n#include \"plugin.c\"\n",
            descriptor.len(),
            list.join(",")
        );
        fs::write(&source, text).unwrap();
        let mut flags: Vec<String> = defines.iter().map(|define| format!("-D{define}")).collect();
        flags.extend(link.iter().cloned());
        self.gcc(&source, &library, &flags);
        fs::read(library).unwrap()
    }

    /// A good plugin of this name, and its place in `folder`.
    ///
    /// # Panics
    ///
    /// When it cannot be built or written.
    pub fn named(&self, name: &str, schemes: &[&str], folder: &Path) -> PathBuf {
        let mut facts = Facts::good(name);
        facts.about["schemes"] = schemes.into();
        let path = folder.join(format!("{name}.so"));
        place(self.compile(&facts, &[], &[]), &path);
        path
    }

    /// A library that is no plugin.
    ///
    /// # Panics
    ///
    /// When `gcc` does not take the text.
    pub fn compile_other(&self, name: &str, text: &str, flags: &[String]) -> PathBuf {
        let source = self.folder.join(format!("{name}.c"));
        let library = source.with_extension("so");
        fs::write(&source, text).unwrap();
        self.gcc(&source, &library, flags);
        library
    }

    /// Only the symbols, as packages for debuggers hold them.
    pub(crate) fn debug_file(&self, path: &Path) {
        let library = self.folder.join("good.so");
        let out = Command::new("objcopy")
            .arg("--only-keep-debug")
            .args([library.as_path(), path])
            .output()
            .expect("gcc comes with objcopy");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    fn gcc(&self, source: &Path, library: &Path, flags: &[String]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let out = Command::new("gcc")
            .args([
                "-std=c11",
                "-O1",
                "-fPIC",
                "-shared",
                "-Wall",
                "-Wextra",
                "-Werror",
                "-Wno-unused",
            ])
            .args(["-Wl,--hash-style=gnu", "-I"])
            .arg(root.join("../../plugin-api/include"))
            .arg("-I")
            .arg(root.join("src"))
            .arg("-o")
            .arg(library)
            .arg(source)
            .args(flags)
            .output()
            .expect("the zoo needs gcc");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

/// Writes a library whose constructor will create the file `marker_of(path)`.
pub(crate) fn place(mut bytes: Vec<u8>, path: &Path) {
    let marker = marker_of(path).into_os_string().into_encoded_bytes();
    assert!(marker.len() < 1024, "the marker has room for 1023 bytes");
    // A file that is cut, or foreign, may have none.
    if let Some(at) = bytes
        .windows(MARKER.len())
        .position(|window| window == MARKER)
    {
        bytes[at..at + MARKER.len()].fill(0);
        bytes[at..at + marker.len()].copy_from_slice(&marker);
    }
    fs::write(path, bytes).unwrap();
}

/// The file that appears when the library at `path` runs.
pub(crate) fn marker_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".ran");
    PathBuf::from(name)
}
