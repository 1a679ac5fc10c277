//! K: copies and renames.

mod conditions;
mod plain;
mod renames;
mod replaced;

use crate::case::{Case, Tag, case};
use holdall_plugin_api::{Capability, Operation};

const COPY: Tag = Tag::Op(Operation::Copy);

pub(super) const CASES: &[Case] = &[
    case!(
        "K-01",
        COPY,
        "a copy has bytes, content type, headers and metadata; the source stays",
        plain::complete
    ),
    case!(
        "K-02",
        COPY,
        "a missing source is FileNotFound and named; the target stays",
        plain::missing_source
    ),
    case!(
        "K-03",
        COPY,
        "a copy replaces its target wholly",
        plain::replaces
    ),
    case!(
        "K-04",
        COPY,
        "a later write to either side does not show on the other",
        plain::independent
    ),
    case!(
        "K-05",
        COPY,
        "a copy onto itself changes nothing",
        plain::onto_itself
    ),
    case!(
        "K-06",
        Tag::Cap(Capability::CopyCreateOnly),
        "a create-only copy spares an existing target",
        plain::create_only
    ),
    case!(
        "K-07",
        Tag::Cap(Capability::ServerCopy),
        "64 MiB are copied without going through the plugin",
        plain::server_side
    )
    .within(60),
    case!(
        "K-08",
        Tag::Op(Operation::Rename),
        "a rename moves all; where it is atomic, one of the names is there at any time",
        renames::renames
    )
    .proves(&[Capability::AtomicMove]),
    case!(
        "K-09",
        COPY,
        "every kind of key on both ends",
        plain::every_key
    ),
    case!(
        "K-10",
        Tag::Cap(Capability::CopyIfMatch),
        "a copy under if_match needs the target's etag",
        conditions::target_condition
    ),
    case!(
        "K-11",
        Tag::Cap(Capability::CopySourceConditions),
        "a copy under conditions on its source",
        conditions::source_conditions
    ),
    case!(
        "K-12",
        Tag::Cap(Capability::CopyReplaceMetadata),
        "a copy has what it was given in place of the source's type, headers and metadata",
        replaced::replaced
    ),
    case!(
        "K-13",
        Tag::Cap(Capability::CopyReplaceMetadata),
        "a copy onto itself with other metadata keeps the bytes",
        replaced::replaced_in_place
    ),
    case!(
        "K-14",
        Tag::Cap(Capability::CopySourceVersion),
        "a copy of an old version",
        conditions::old_version
    ),
    case!(
        "K-15",
        Tag::Cap(Capability::CopyIfMatch),
        "of ten copies under one etag of the target, one succeeds",
        conditions::target_race
    ),
];
