//! Symbols of which the system's loader has one in the process.
//!
//! `STB_GNU_UNIQUE` is what a C++ compiler makes of inline statics. The loader binds the second
//! library's to the first one's, also with `RTLD_LOCAL`: two plugins would share state that each takes
//! for its own, with layouts that may differ.

use super::load_fault;
use crate::plugin::fault::{Code, Fault};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What one mapped library has.
struct Claim {
    sha256: [u8; 32],
    path: PathBuf,
    symbols: HashSet<String>,
}

static CLAIMS: Mutex<Vec<Claim>> = Mutex::new(Vec::new());

/// Takes the symbols for the library of this hash, from here on for the life of the process: libraries
/// are never unmapped.
pub(super) fn claim(sha256: [u8; 32], path: &Path, symbols: &[String]) -> Result<(), Box<Fault>> {
    if symbols.is_empty() {
        return Ok(());
    }
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    if claims.iter().any(|claim| claim.sha256 == sha256) {
        return Ok(());
    }
    for claim in claims.iter() {
        if let Some(symbol) = symbols
            .iter()
            .find(|symbol| claim.symbols.contains(*symbol))
        {
            let expected =
                format!("symbols that no mapped plugin has for the process ({symbol:.120})");
            let found = format!(
                "the same one in {} and in {}, which is mapped",
                path.display(),
                claim.path.display()
            );
            return Err(Box::new(load_fault(Code::SharedSymbol, expected, found)));
        }
    }
    claims.push(Claim {
        sha256,
        path: path.to_owned(),
        symbols: symbols.iter().cloned().collect(),
    });
    Ok(())
}
