//! Judges the libraries that a library needs, where this system can tell.

use super::{Inspection, dependencies};
use crate::plugin::fault::{Code, Fault};
use object::BinaryFormat;

/// Adds a fault for each that is missing. Those of another system are kept for
/// [`warnings`](Inspection::warnings): this one does not know them.
pub(super) fn judge(
    found: &mut Inspection,
    format: BinaryFormat,
    needed: &[String],
    paths: &[String],
) {
    if format != dependencies::JUDGED {
        found.not_judged = needed.to_vec();
        return;
    }
    let missing = match dependencies::missing(needed, paths) {
        Ok(missing) => missing,
        Err(lookups) => {
            return found.faults.push(
                Fault::new(Code::Malformed)
                    .expected(format!(
                        "at most {} places to look for libraries",
                        dependencies::MAX_LOOKUPS
                    ))
                    .found(format!("{lookups}"))
                    .location("needed libraries"),
            );
        }
    };
    for missing in missing {
        found.faults.push(
            Fault::new(Code::DependencyMissing)
                .expected(format!("the library {missing}"))
                .found("not on this system")
                .location("needed libraries"),
        );
    }
}
