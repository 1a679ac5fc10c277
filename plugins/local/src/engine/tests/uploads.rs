//! Uploads in parts, on disk.

use super::*;
use crate::engine::fault::Fault;
use crate::engine::uploads::{MOST_UPLOADS, StoredPart};
use std::collections::BTreeMap;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn begin(store: &LocalStore, id: &str, key: &str) {
    let begun = store.begin_upload(id, key, &rich(), Sync::None);
    begun.unwrap();
}

fn put_part(
    store: &Arc<LocalStore>,
    key: &str,
    id: &str,
    number: u32,
    bytes: &[u8],
    length: Option<u64>,
) -> Result<StoredPart, Fault> {
    let upload = store.pending_upload(key, id)?;
    let mut writer = upload.begin_part(store, number, length)?;
    writer.write(bytes)?;
    upload.store_part(number, &writer)
}

fn put_sized(store: &Arc<LocalStore>, number: u32, bytes: &[u8]) -> StoredPart {
    let length = Some(bytes.len() as u64);
    put_part(store, "k", ID, number, bytes, length).unwrap()
}

fn complete(store: &Arc<LocalStore>, parts: &[StoredPart]) -> Result<ObjectFacts, Fault> {
    let named: Vec<_> = parts
        .iter()
        .map(|part| (part.number, part.etag()))
        .collect();
    let prepared = store.prepare_completion("k", ID, &named, FAST)?;
    prepared.publish(false, None)
}

fn all(root: &Root) -> std::path::PathBuf {
    root.dir.path().join("staging/uploads")
}

/// The file of an upload.
fn file(root: &Root, name: &str) -> std::path::PathBuf {
    all(root).join(ID).join(name)
}

fn identity_of(path: &Path) -> (u64, u64) {
    identity(OwnedFd::from(std::fs::File::open(path).unwrap())).unwrap()
}

#[test]
fn parts_that_fit_their_slots_are_not_copied() {
    in_every_mode(|root| {
        begin(&root.store, ID, "k");
        let mut parts = Vec::new();
        for (number, size) in [(2, 5000), (1, 5000), (4, 77), (3, 5000)] {
            parts.push(put_sized(&root.store, number, &vec![number as u8; size]));
            // Nothing but the trailer.
            let stored = file(&root, &format!("p{number:05}"));
            assert_eq!(std::fs::metadata(stored).unwrap().len(), 36);
        }
        parts.sort_by_key(|part| part.number);
        let joint = identity_of(&file(&root, "data"));
        let facts = complete(&root.store, &parts).unwrap();
        let expected = [vec![1; 5000], vec![2; 5000], vec![3; 5000], vec![4; 77]].concat();
        assert!(root.get("k") == expected);
        let crc32c = crc_fast::crc32_iscsi(&expected);
        assert_eq!((facts.size, facts.crc32c), (15_077, Some(crc32c)));
        assert_eq!(root.store.object("k").unwrap().facts, facts);
        assert_eq!(facts.metadata, rich());
        assert_eq!(identity_of(&root.file("k")), joint);
        assert!(!file(&root, "").exists() && root.residue() == 0);
    });
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Whatever the sizes, their order, what is replaced and what is left out: as a map of bytes says.
#[test]
fn an_object_is_its_named_parts() {
    in_every_mode(|root| {
        for seed in 0..60 {
            let mut dice = Dice(seed);
            begin(&root.store, ID, "k");
            let mut model = BTreeMap::new();
            for step in 0..dice.below(14) + 1 {
                let number = dice.below(6) as u32 + 1;
                let size = [0, 1, 3000, 3000, 3000, 5000, 9001][dice.below(7) as usize];
                let bytes = vec![(step * 16 + seed) as u8; size];
                let length = (dice.below(5) > 0).then_some(size as u64);
                let part = put_part(&root.store, "k", ID, number, &bytes, length).unwrap();
                model.insert(number, (part, bytes));
            }
            let upload = root.store.pending_upload("k", ID).unwrap();
            let (listed, more) = upload.parts(0, 1000).unwrap();
            let stored: Vec<_> = model.values().map(|(part, _)| *part).collect();
            assert_eq!((&listed, more), (&stored, false), "{seed}");
            for published in [false, true] {
                let named: Vec<_> = model.values().filter(|_| dice.below(4) > 0).collect();
                let etags: Vec<_> = named
                    .iter()
                    .map(|(part, _)| (part.number, part.etag()))
                    .collect();
                let prepared = root
                    .store
                    .prepare_completion("k", ID, &etags, FAST)
                    .unwrap();
                if !published {
                    // As when a condition is lost at the last moment: every part is still there.
                    let lost = prepared.publish(false, Some("\"other\"")).unwrap_err();
                    assert_eq!(lost.kind, FaultKind::Precondition);
                    continue;
                }
                let facts = prepared.publish(false, None).unwrap();
                let expected: Vec<u8> = named.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
                assert!(root.get("k") == expected, "{seed}");
                assert_eq!(
                    facts.crc32c,
                    Some(crc_fast::crc32_iscsi(&expected)),
                    "{seed}"
                );
            }
            root.store.delete("k", None, Sync::None).unwrap();
            assert_eq!(root.residue(), 0, "{seed}");
        }
    });
}

#[test]
fn a_slot_is_written_once() {
    let root = root();
    begin(&root.store, ID, "k");
    let upload = root.store.pending_upload("k", ID).unwrap();
    let slow = upload.begin_part(&root.store, 1, Some(4)).unwrap();
    assert_eq!(slow.joint_offset(), Some(0));
    // The same part again, while the first is on its way, and after that was given up.
    let again = upload.begin_part(&root.store, 1, Some(4)).unwrap();
    assert_eq!(again.joint_offset(), None);
    drop((slow, again));
    let later = upload.begin_part(&root.store, 1, Some(4)).unwrap();
    assert_eq!(later.joint_offset(), None);
    // Too far ahead: file systems without holes would write zeros there.
    let far = upload.begin_part(&root.store, 34, Some(4)).unwrap();
    assert_eq!(far.joint_offset(), None);
    let near = upload.begin_part(&root.store, 33, Some(4)).unwrap();
    assert_eq!(near.joint_offset(), Some(128));
}

#[test]
fn a_completion_waits_for_who_writes_into_the_joint_file() {
    in_every_mode(|root| {
        begin(&root.store, ID, "k");
        let first = put_sized(&root.store, 1, b"1234");
        let upload = root.store.pending_upload("k", ID).unwrap();
        let mut slow = upload.begin_part(&root.store, 2, Some(4)).unwrap();
        let locked = complete(&root.store, &[first]).unwrap_err();
        assert_eq!(locked.kind, FaultKind::Locked);
        slow.write(b"5678").unwrap();
        let second = upload.store_part(2, &slow).unwrap();
        drop(slow);
        // While it is completed, a part goes to a file of its own.
        let named = [(1, first.etag()), (2, second.etag())];
        let prepared = root
            .store
            .prepare_completion("k", ID, &named, FAST)
            .unwrap();
        let mut late = upload.begin_part(&root.store, 3, Some(4)).unwrap();
        assert_eq!(late.joint_offset(), None);
        late.write(b"late").unwrap();
        prepared.publish(false, None).unwrap();
        let lost = upload.store_part(3, &late).unwrap_err();
        assert_eq!(lost.kind, FaultKind::UploadMissing);
        drop(late);
        assert_eq!((root.get("k"), root.residue()), (b"12345678".to_vec(), 0));
    });
}

#[test]
fn of_parts_of_one_number_the_last_one_counts() {
    in_every_mode(|root| {
        begin(&root.store, ID, "k");
        let stored: Vec<StoredPart> = std::thread::scope(|scope| {
            let putters: Vec<_> = (0..16_u8)
                .map(|byte| {
                    let store = &root.store;
                    scope.spawn(move || put_sized(store, 7, &[byte; 3000]))
                })
                .collect();
            putters.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let upload = root.store.pending_upload("k", ID).unwrap();
        let (listed, _) = upload.parts(0, 10).unwrap();
        let [last] = listed[..] else {
            panic!("{listed:?}")
        };
        let byte = stored.iter().position(|part| *part == last).unwrap();
        for lost in stored.iter().filter(|part| **part != last) {
            let fault = complete(&root.store, &[*lost]).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Part(7));
        }
        complete(&root.store, &[last]).unwrap();
        assert_eq!(root.get("k"), [byte as u8; 3000]);
    });
}

#[test]
fn ids_that_were_not_given_out_lead_nowhere() {
    let root = root();
    begin(&root.store, ID, "k");
    put_sized(&root.store, 1, b"1");
    let before = std::fs::read_dir(all(&root)).unwrap().count();
    let long = "0".repeat(100_000);
    // What another place holds is no upload, even if it is one in every other respect.
    let planted = root.dir.path().join("planted-abcdef012345678901");
    std::fs::create_dir(&planted).unwrap();
    for name in ["data", "lock", "upload"] {
        std::fs::copy(file(&root, name), planted.join(name)).unwrap();
    }
    for id in [
        "../../planted-abcdef012345678901",
        "",
        ".",
        "..",
        "../../objects",
        "0123456789abcdef0123456789abcde/",
        "0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdef0123456789abcdef\0",
        "0123456789abcdef0123456789abcdeé",
        "0123456789abcdef0123456789abcde",
        "ffffffffffffffffffffffffffffffff",
        &long,
    ] {
        let missing = put_part(&root.store, "k", id, 1, b"x", Some(1)).unwrap_err();
        assert_eq!(missing.kind, FaultKind::UploadMissing, "{id}");
        let missing = root.store.abort_upload("k", id).unwrap_err();
        assert_eq!(missing.kind, FaultKind::UploadMissing, "{id}");
        let missing = root
            .store
            .prepare_completion("k", id, &[], FAST)
            .unwrap_err();
        assert_eq!(missing.kind, FaultKind::UploadMissing, "{id}");
    }
    // An id belongs to its key.
    let missing = root.store.abort_upload("other", ID).unwrap_err();
    assert_eq!(missing.kind, FaultKind::UploadMissing);
    assert_eq!(std::fs::read_dir(all(&root)).unwrap().count(), before);
    root.store.abort_upload("k", ID).unwrap();
    assert_eq!(root.residue(), 0);
}

#[test]
fn uploads_of_a_root_are_bounded_and_listed_by_key() {
    let root = root();
    for (number, key) in ["b", "a/2", "a/1", "a/1", "ab"].into_iter().enumerate() {
        begin(&root.store, &format!("{number:032x}"), key);
    }
    let mut found = Vec::new();
    let mut after: Option<(String, String)> = None;
    loop {
        let token = after.as_ref().map(|(key, id)| (key.as_str(), id.as_str()));
        let (page, more) = root.store.list_uploads("a", token, 1).unwrap();
        let [last] = &page[..] else {
            panic!("{page:?}")
        };
        after = Some((last.key.clone(), last.id.clone()));
        found.extend(page);
        if !more {
            break;
        }
    }
    let names: Vec<_> = found
        .iter()
        .map(|one| (&*one.key, one.id.trim_start_matches('0')))
        .collect();
    assert_eq!(
        names,
        [("a/1", "2"), ("a/1", "3"), ("a/2", "1"), ("ab", "4")]
    );

    // What is no upload yet counts too, and is not listed.
    for number in 5..MOST_UPLOADS {
        std::fs::create_dir(all(&root).join(format!("{number:032x}"))).unwrap();
    }
    let full = root
        .store
        .begin_upload(ID, "k", &rich(), Sync::None)
        .unwrap_err();
    assert_eq!(full.kind, FaultKind::Full);
    assert!(full.message.contains("10000"), "{full}");
    assert_eq!(root.store.list_uploads("", None, 1000).unwrap().0.len(), 5);
    root.store
        .abort_upload("b", &format!("{:032x}", 0))
        .unwrap();
    begin(&root.store, ID, "k");
}

#[test]
fn metadata_that_no_object_can_have_begins_no_upload() {
    let root = root();
    if root.store.probe.attribute_bytes.is_none() {
        return;
    }
    let user = vec![("k".into(), "v".repeat(100_000))];
    let metadata = Metadata {
        user,
        ..Metadata::default()
    };
    let fault = root
        .store
        .begin_upload(ID, "k", &metadata, Sync::None)
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadArgument);
    assert!(!file(&root, "").exists());
}
