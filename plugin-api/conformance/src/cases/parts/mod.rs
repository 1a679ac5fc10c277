//! P: uploads in parts.

mod completing;
mod ids;
mod listing;
mod storing;

use crate::case::{Case, Outcome, Tag, case, ensure};
use crate::data;
use crate::trial::{MAIN_STORE, Trial};
use crate::watch::{Watched, refused};
use bytes::Bytes;
use holdall_plugin_api::{
    Capability, CompleteUpload, CreateUpload, ErrorKind, Part, PutPart, Result,
};

const PARTS: Tag = Tag::Cap(Capability::Parts);

pub(super) const CASES: &[Case] = &[
    case!(
        "P-01",
        PARTS,
        "the object is its parts in the order of their numbers, whatever the order of their arrival",
        storing::in_order
    ),
    case!(
        "P-02",
        PARTS,
        "nothing is visible before an upload is completed",
        storing::invisible
    ),
    case!(
        "P-03",
        PARTS,
        "content type, headers and metadata of the beginning are those of the object",
        completing::described
    ),
    case!(
        "P-04",
        PARTS,
        "a part that is stored again replaces the one before",
        storing::again
    ),
    case!(
        "P-05",
        PARTS,
        "gaps between numbers are allowed; parts that are not named are discarded, or refused by their number",
        storing::gaps
    ),
    case!("P-06", PARTS, "eight parts at once", storing::at_once),
    case!(
        "P-07",
        PARTS,
        "another instance goes on with an upload and completes it",
        ids::another_instance
    ),
    case!(
        "P-08",
        PARTS,
        "a list has every part with its number, size and etag, page by page",
        listing::listed
    ),
    case!(
        "P-09",
        PARTS,
        "a list of uploads has those of its prefix, until they are completed or aborted",
        listing::uploads_listed
    ),
    case!(
        "P-10",
        PARTS,
        "an id that is not known is upload_not_found, in every operation",
        ids::unknown_id
    ),
    case!("P-11", PARTS, "an id belongs to its key", ids::other_key),
    case!(
        "P-12",
        PARTS,
        "after an abort the id is not known, and the object that was there is as it was",
        ids::aborted
    ),
    case!(
        "P-13",
        PARTS,
        "a completed id is not known any more",
        ids::completed
    ),
    case!(
        "P-14",
        PARTS,
        "a part that is missing, or has another etag, is invalid_part, and the upload stays",
        completing::invalid_part
    ),
    case!(
        "P-15",
        PARTS,
        "a completed upload replaces the object, and a reader of the old one is not disturbed",
        completing::replaces
    ),
    case!(
        "P-16",
        Tag::Cap(Capability::Parts),
        "a create-only completion spares an existing object, and the upload stays",
        completing::create_only
    ),
    case!(
        "P-17",
        PARTS,
        "a completion under if_match needs the object's etag, and the upload stays",
        completing::if_match
    ),
    case!(
        "P-18",
        PARTS,
        "a part whose body fails is not stored, and what it would have replaced stays",
        storing::failed_part
    ),
    case!(
        "P-19",
        PARTS,
        "a part with a wrong digest is refused and not stored",
        storing::wrong_digest
    ),
    case!(
        "P-20",
        PARTS,
        "a part of unknown length",
        storing::unknown_length
    ),
    case!(
        "P-21",
        Tag::Cap(Capability::PartsAnySize),
        "parts of a few bytes, and an empty one",
        storing::any_size
    ),
    case!(
        "P-22",
        PARTS,
        "two uploads of one key are independent; the one that is completed last wins",
        ids::two_of_one_key
    ),
    case!(
        "P-23",
        PARTS,
        "a part that is dropped half-way is not stored, and leaves nothing behind",
        storing::dropped_part
    ),
    case!(
        "P-24",
        PARTS,
        "of two that complete one upload at once, one succeeds and the object is whole",
        completing::race
    ),
];
/// The smallest part that the backend takes anywhere.
fn part_size(t: &Trial) -> usize {
    (t.info().limits.min_part_bytes as usize).max(1000)
}

/// Bytes of part `number`, as large as it must be.
fn piece(t: &Trial, number: u32) -> Bytes {
    data::bytes(part_size(t) + number as usize, u64::from(number))
}

async fn begin(t: &Watched, key: &str) -> Result<String> {
    t.create_upload(CreateUpload::new(key)).await
}

async fn put(t: &Watched, key: &str, id: &str, number: u32, bytes: Bytes) -> Outcome<Part> {
    let size = bytes.len() as u64;
    let part = t.put_part(PutPart::new(key, id, number, bytes)).await?;
    ensure!(
        part.number == number && part.size == size && !part.etag.is_empty(),
        "part {number} of {size} bytes answered {part:?}"
    );
    Ok(part)
}

async fn complete(t: &Watched, key: &str, id: &str, parts: &[Part]) -> Outcome {
    let size: u64 = parts.iter().map(|part| part.size).sum();
    let uploaded = t
        .complete_upload(CompleteUpload::new(key, id, parts))
        .await?;
    ensure!(
        uploaded.size == size,
        "an object of {} bytes, its parts have {size}",
        uploaded.size
    );
    Ok(())
}

fn is_unknown<T>(answer: Result<T>, what: &str) -> Outcome {
    let error = refused(answer, ErrorKind::FileNotFound, what)?;
    ensure!(
        error.code() == "upload_not_found",
        "{what}: the code is {}, upload_not_found expected",
        error.code()
    );
    Ok(())
}

fn leaves_nothing(t: &Trial) -> Outcome {
    if let Some(access) = t.stage().direct_access(MAIN_STORE) {
        let left = access.leftovers();
        ensure!(left.is_empty(), "left in the store: {left:?}");
    }
    Ok(())
}
