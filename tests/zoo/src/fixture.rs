//! One broken library, and the list of all.

use crate::{Facts, Good, Image, good, inspected, loaded};
use holdall::fault::{Code, Phase};
use std::fs;
use std::path::{Path, PathBuf};

/// A file that a host should refuse, and why.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    /// Name of its file, without extension.
    pub name: &'static str,
    /// Exactly the codes that it gets, the gravest first. Empty: it is good.
    pub codes: &'static [Code],
    pub(crate) make: Make,
}

/// How a fixture comes to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Make {
    /// The good library with another descriptor and other bytes.
    Change(fn(&mut Facts), fn(&mut Image)),
    /// A variant of the source with other bytes: macros, then flags for the linker.
    Compile(
        &'static [&'static str],
        fn(&Good) -> Vec<String>,
        fn(&mut Image),
    ),
    /// Other bytes altogether.
    Bytes(fn() -> Vec<u8>),
    /// Something that is more than bytes.
    Place(fn(&Good, &Path)),
}

/// Every fixture: each code has one at least. The first is good.
pub fn all() -> Vec<Fixture> {
    let good = Fixture {
        name: "good",
        codes: &[],
        make: Make::Change(|_| {}, |_| {}),
    };
    [&[good], inspected::FIXTURES, loaded::FIXTURES].concat()
}

impl Fixture {
    /// When it is refused; `None` for one that is good.
    pub fn phase(&self) -> Option<Phase> {
        self.codes.first().map(|code| code.phase())
    }

    /// Name of the plugin in it, for one that is refused after mapping.
    pub fn plugin(&self) -> String {
        self.name.replace('_', "")
    }

    /// Puts it into `folder`, as `NAME.so`.
    ///
    /// # Panics
    ///
    /// When it cannot be made or written.
    pub fn build(&self, good: &Good, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.so", self.name));
        self.build_at(good, &path);
        path
    }

    /// Puts it at `path`.
    ///
    /// # Panics
    ///
    /// When it cannot be made or written.
    pub fn build_at(&self, good: &Good, path: &Path) {
        match self.make {
            Make::Change(describe, edit) => {
                let mut facts = Facts::good("good");
                describe(&mut facts);
                let mut image = good.image();
                image.fill(".holdall", &facts.bytes());
                edit(&mut image);
                good::place(image.bytes, path);
            }
            Make::Compile(defines, link, edit) => {
                let bytes = good.compile(&Facts::good(&self.plugin()), defines, &link(good));
                let mut image = Image::new(bytes);
                edit(&mut image);
                good::place(image.bytes, path);
            }
            Make::Bytes(bytes) => fs::write(path, bytes()).unwrap(),
            Make::Place(place) => place(good, path),
        }
    }

    /// The fixture of this name.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn named(name: &str) -> Self {
        let mut fixtures = all().into_iter();
        fixtures.find(|fixture| fixture.name == name).unwrap()
    }

    /// The file that the constructor of the library at `path` makes when it runs.
    pub fn marker(path: &Path) -> PathBuf {
        good::marker_of(path)
    }
}
