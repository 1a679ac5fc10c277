//! Random bytes of the system.

use std::fs::File;
use std::io::{self, Read};

/// Fills `out`; false when the system gives none.
pub(crate) fn fill(out: &mut [u8]) -> bool {
    let system = |out: &mut [u8]| {
        rustix::rand::getrandom(out, rustix::rand::GetRandomFlags::empty()).map_err(io::Error::from)
    };
    let device = |out: &mut [u8]| File::open("/dev/urandom")?.read(out);
    fill_from(out, &[&system, &device])
}

/// What fills a part of a buffer, and says how many bytes.
type Source<'a> = &'a dyn Fn(&mut [u8]) -> io::Result<usize>;

/// Fills `out` from the first source that works; false when none does.
fn fill_from(mut out: &mut [u8], mut sources: &[Source<'_>]) -> bool {
    while !out.is_empty() {
        let Some((source, rest)) = sources.split_first() else {
            return false;
        };
        match source(out) {
            Ok(filled @ 1..) => out = &mut std::mem::take(&mut out)[filled..],
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => sources = rest,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn every_random_byte_is_filled_or_none_is_used() {
        let refused = |_: &mut [u8]| Err(io::Error::from_raw_os_error(libc::ENOSYS));
        let calls = Cell::new(0);
        let slowly = |out: &mut [u8]| {
            calls.set(calls.get() + 1);
            if calls.get() % 2 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            out[0] = 7;
            Ok(1)
        };
        let mut out = [0; 5];
        assert!(fill_from(&mut out, &[&refused, &slowly]));
        assert_eq!(out, [7; 5]);
        let ended = |_: &mut [u8]| Ok(0);
        assert!(!fill_from(&mut out, &[&refused, &ended]));
        assert!(!fill_from(&mut out, &[]));
    }
}
