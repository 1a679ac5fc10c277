//! What ABI 1.1 added: extensions, and the codecs of the new operations, both ways.

use crate::caller::{Caller, OFFERED, Outcome};
use crate::{opened, plugin};
use holdall_plugin_api::abi::ranges::{Filling, OwnedRanges};
use holdall_plugin_api::abi::request::Texts;
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::{answer, grow, parts, ranges, request, versions};
use holdall_plugin_api::{
    AbortUpload, Checksums, CompleteUpload, Copied, CopyObject, CreateUpload, Custom, DeleteMany,
    Deleted, DownloadRanges, DownloadedRanges, Encrypted, Encryption, ErrorKind, Head, ListParts,
    ListUploads, ListVersions, ObjectInfo, ObjectVersion, Part, PartPage, PendingUpload,
    ProviderFacts, PutPart, RangeBuffers, RangeReader, RangeSource, Result, Update, Upload,
    UploadOptions, UploadPage, VersionPage,
};
use std::ffi::c_void;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// R17: a plugin reads the link that it knows. R18: a name leads to a table of the host, or to nothing.
#[test]
fn a_plugin_knows_its_host_and_what_it_offers() {
    let caller = opened();
    assert_eq!(OFFERED[1], 7);
    for (name, is_there) in [
        ("unstable.kit.offered", true),
        ("unstable.kit.other", false),
        ("", false),
    ] {
        let mut args = request::write_custom(Custom::new("extension", name));
        let Outcome::Ready(out) = caller.call(caller.ops.start_custom, args.raw()) else {
            panic!("ready")
        };
        // SAFETY: R6: filled by the plugin, read once.
        let said = unsafe { answer::read_custom(&out) }.unwrap();
        assert_eq!(said, format!("Some((\"kit\", \"1.2.3\")) {is_there}"));
    }
}

/// R18, R10: a name leads to a table of the plugin, the same each time, or to nothing; a panic to nothing.
#[test]
fn a_plugin_offers_tables_by_name() {
    // SAFETY: R1.
    let table = unsafe { grow::copy_in((plugin::PLUGIN.entry)()) }.unwrap();
    let get = table.get_extension.unwrap();
    let ask = |name: &str| {
        // SAFETY: R4, R18.
        unsafe { get(FfiSlice::of(name.as_bytes())) }
    };
    let own: *const c_void = (&raw const plugin::OWN).cast();
    assert!(std::ptr::eq(ask("unstable.kit.own"), own));
    assert!(std::ptr::eq(ask("unstable.kit.own"), own));
    assert!(ask("holdall.other.1").is_null());
    assert!(ask("unstable.kit.panics").is_null());
    // SAFETY: R4: ill-formed UTF-8 is no name.
    assert!(unsafe { get(FfiSlice::of(b"\xff")) }.is_null());
    let Err(refused) = Caller::open(&plugin::PLUGIN, "{}") else {
        panic!("refused")
    };
    assert_eq!(refused.kind(), ErrorKind::ConfigInvalid);
}

/// A request as the other side reads it, in place and copied.
macro_rules! read {
    ($read:path, $args:expr, |$request:ident| $check:expr) => {
        for mut texts in [Texts::lent(), Texts::copied()] {
            let mut args = $args;
            // SAFETY: R1, R5; the texts live as long as the request.
            let $request = unsafe { $read(args.raw(), &mut texts) }.unwrap();
            $check
        }
    };
}

fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123)
}

fn sums() -> Checksums {
    Checksums::NONE.crc32c(7).md5([1; 16]).sha256([2; 32])
}

fn options() -> UploadOptions<'static> {
    let mut upload = Upload::new("k", "x")
        .content_type("text/plain")
        .cache_control("no-store")
        .metadata("a", "1")
        .storage_class("COLD")
        .tag("team", "photos")
        .tag("b", "")
        .encryption(Encryption::Key("key-1"));
    std::mem::take(upload.options_mut())
}

#[test]
fn requests_of_1_1_keep_every_field() {
    let expected = format!("{:?}", options());
    read!(
        parts::read_create,
        parts::write_create(&CreateUpload::new("k").with_options(Some(options()))),
        |create| assert_eq!(
            (create.key.text(), format!("{:?}", create.options())),
            ("k", expected.clone())
        )
    );
    read!(
        parts::read_create,
        parts::write_create(&CreateUpload::new("k")),
        |create| assert!(create.is_plain())
    );
    read!(
        parts::read_put,
        parts::write_put(PutPart::new("k", "id", 7, "bytes").checksums(sums())),
        |put| {
            assert_eq!((put.key.text(), put.upload_id, put.number), ("k", "id", 7));
            assert_eq!((put.length, put.checksums), (Some(5), sums()));
            assert_eq!(put.body.as_once().unwrap(), "bytes");
        }
    );
    read!(
        parts::read_list,
        parts::write_list(&ListParts::new("k", "id").limit(9).page_token(Some("t"))),
        |list| assert_eq!(
            (list.key.text(), list.upload_id, list.limit, list.page_token),
            ("k", "id", 9, Some("t"))
        )
    );
    read!(
        parts::read_list_uploads,
        parts::write_list_uploads(&ListUploads::new("p/").limit(9).page_token(Some("t"))),
        |list| assert_eq!(
            (list.prefix, list.limit, list.page_token),
            ("p/", 9, Some("t"))
        )
    );
    let pieces = [Part::new(1, "a", 5), Part::new(3, "b", 1)];
    for conditional in [false, true] {
        let complete = CompleteUpload::new("k", "id", &pieces).checksums(sums());
        let complete = match conditional {
            true => complete.if_match("etag"),
            false => complete.create_only(),
        };
        read!(
            parts::read_complete,
            parts::write_complete(&complete),
            |read| {
                assert_eq!((read.key.text(), read.upload_id), ("k", "id"));
                assert_eq!(read.parts, [(1, "a"), (3, "b")]);
                assert_eq!(read.create_only, !conditional);
                assert_eq!(read.if_match, conditional.then_some("etag"));
                assert_eq!(read.checksums, sums());
            }
        );
    }
    read!(
        parts::read_abort,
        parts::write_abort(&AbortUpload::new("k", "id")),
        |abort| assert_eq!((abort.key.text(), abort.upload_id), ("k", "id"))
    );
    read!(
        versions::read_list,
        versions::write_list(
            &ListVersions::new("p/")
                .delimiter("/")
                .limit(9)
                .page_token(Some("t"))
        ),
        |list| assert_eq!(
            (list.prefix, list.delimiter, list.limit, list.page_token),
            ("p/", Some("/"), 9, Some("t"))
        )
    );
    let wanted = DownloadRanges::new("k", [3..5, 0..1])
        .coalesce(9)
        .if_match("etag");
    read!(ranges::read_ranges, ranges::write_ranges(&wanted), |read| {
        assert_eq!((read.key.text(), read.coalesce), ("k", Some(9)));
        assert_eq!(read.ranges, [3..5, 0..1]);
        assert_eq!(read.options().if_match, Some("etag"));
    });
    let copy = CopyObject::new("a", "b")
        .if_match("1")
        .source_if_match("2")
        .source_if_none_match("3")
        .source_version("4")
        .replace(options());
    read!(request::read_copy, request::write_copy(&copy), |read| {
        assert_eq!(
            format!("{:?}", read.options()),
            format!("{:?}", copy.options())
        );
    });
    read!(
        request::read_copy,
        request::write_copy(&CopyObject::new("a", "b")),
        |read| assert!(read.is_plain())
    );
    let update = Update::new("k")
        .if_match("etag")
        .version("3")
        .content_type("text/x")
        .cache_control(None)
        .tags([("a", "b")])
        .storage_class("COLD");
    read!(
        request::read_update,
        request::write_update(&update),
        |read| assert_eq!(read, update)
    );
    let delete = DeleteMany::of_versions([("a", Some("1")), ("b", None)]);
    read!(
        request::read_delete_many,
        request::write_delete_many(&delete),
        |read| {
            assert_eq!(read.keys, delete.keys);
            assert_eq!(read.versions, delete.versions);
        }
    );
    read!(
        request::read_head,
        request::write_head(&Head::new("k").with_tags()),
        |read| assert!(read.options().with_tags)
    );
}

#[test]
fn answers_of_1_1_keep_every_field() {
    // SAFETY: R6, here and below: each answer is read once.
    let id = unsafe { parts::read_created(&parts::write_created("id".to_owned())) };
    assert_eq!(id.unwrap(), "id");
    for bad in ["", &"x".repeat(parts::MAX_UPLOAD_ID + 1)] {
        // SAFETY: as above.
        let refused = unsafe { parts::read_created(&parts::write_created(bad.to_owned())) };
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::PluginFault);
    }
    let part = Part::new(0, "etag", 5).checksums(sums());
    // SAFETY: as above.
    let read = unsafe { parts::read_stored(&parts::write_stored(part.clone())) };
    assert_eq!(read.unwrap(), part);
    let listed = Part::new(4, "etag", 5)
        .last_modified(time())
        .checksums(Checksums::NONE.crc32c(9));
    let page = PartPage::new([listed.clone(), listed]).next("t".to_owned());
    // SAFETY: as above.
    let read = unsafe { parts::read_parts(&parts::write_parts(page.clone())) };
    assert_eq!(read.unwrap(), page);
    let upload = PendingUpload::new("k", "id").created(time());
    let page = UploadPage::new([upload]).next("t".to_owned());
    // SAFETY: as above.
    let read = unsafe { parts::read_uploads(&parts::write_uploads(page.clone())) };
    assert_eq!(read.unwrap(), page);
    let version = ObjectVersion::new("k", "3", 5)
        .etag("e".to_owned())
        .last_modified(time())
        .latest(true);
    let marker = ObjectVersion::new("k", "2", 0).delete_marker(true);
    let page = VersionPage::new([version, marker])
        .common_prefixes(["a/".to_owned()])
        .next("t".to_owned());
    // SAFETY: as above.
    let read = unsafe { versions::read_page(&versions::write_page(page.clone())) };
    assert_eq!(read.unwrap(), page);
    let copied = Copied::new()
        .size(5)
        .version("2".to_owned())
        .source_version("1".to_owned());
    // SAFETY: as above.
    let read = unsafe { answer::read_copied(&answer::write_copied(copied.clone())) };
    assert_eq!(read.unwrap(), copied);
    let deleted = Deleted::new(Some(true))
        .version("2".to_owned())
        .marker(true);
    // SAFETY: as above.
    let read = unsafe { answer::read_deleted(&answer::write_deleted(deleted.clone())) };
    assert_eq!(read.unwrap(), deleted);
    let many = || vec![Ok(deleted.clone()), Ok(Deleted::new(None))];
    // SAFETY: as above.
    let read = unsafe { answer::read_deleted_many(&answer::write_deleted_many(many())) };
    let read: Vec<Deleted> = read.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(read, [deleted.clone(), Deleted::new(None)]);
    for facts in [
        ProviderFacts::new(),
        ProviderFacts::new().tags(Vec::new()),
        ProviderFacts::new()
            .storage_class("COLD".to_owned())
            .tags(vec![("a".to_owned(), "b".to_owned())])
            .encryption(Encrypted::Key("id".to_owned())),
        ProviderFacts::new().encryption(Encrypted::Managed),
    ] {
        let info = ObjectInfo::new(5).provider(facts);
        // SAFETY: as above.
        let read = unsafe { answer::read_object(&answer::write_object(info.clone())) };
        assert_eq!(read.unwrap(), info);
    }
}

/// Says that it has filled the ranges of its list, and notes its end.
struct Saying {
    says: Vec<Vec<usize>>,
    ended: Arc<AtomicBool>,
}

impl Drop for Saying {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl RangeSource for Saying {
    fn poll_ranges(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>> {
        if self.says.is_empty() {
            return Poll::Ready(None);
        }
        for index in self.says.remove(0) {
            if index < buffers.len() {
                buffers.get_mut(index).fill((index % 100) as u8 + 1);
            }
            done.push(index);
        }
        Poll::Ready(Some(Ok(())))
    }
}

fn filled(says: Vec<Vec<usize>>, lengths: &[usize]) -> (Result<Vec<Vec<u8>>>, bool) {
    let ended = Arc::new(AtomicBool::new(false));
    let reader = RangeReader::source(Saying {
        says,
        ended: ended.clone(),
    });
    // Over the boundary and back.
    let answer = ranges::write_downloaded(DownloadedRanges::new(ObjectInfo::new(9), reader));
    // SAFETY: R6: read once.
    let answer = unsafe { ranges::read_downloaded(&answer) }.unwrap();
    assert_eq!(answer.info.size, 9);
    let memory = lengths.iter().map(|length| vec![0; *length]).collect();
    let mut filling = Filling::new(answer.reader, memory);
    let mut cx = Context::from_waker(Waker::noop());
    match filling.poll(&mut cx, std::ptr::null()) {
        // R20: the memory is given away when the reader has ended.
        Poll::Ready(read) => {
            let has_ended = ended.load(Ordering::Acquire);
            (read, has_ended)
        }
        Poll::Pending => panic!("pending"),
    }
}

/// R5, R20: every range is filled once, and the reader has ended before its memory is given away.
#[test]
fn ranges_fill_the_memory_of_the_caller() {
    let (read, has_ended) = filled(vec![vec![2], vec![0, 1]], &[1, 2, 3]);
    assert_eq!(read.unwrap(), [vec![1], vec![2, 2], vec![3, 3, 3]]);
    assert!(has_ended);
    // More at once than a caller has room for.
    let lengths = vec![1; 300];
    let (read, _) = filled(vec![(0..300).collect()], &lengths);
    assert_eq!(read.unwrap().len(), 300);
    let (read, _) = filled(vec![], &[]);
    assert!(read.unwrap().is_empty());
}

#[test]
fn a_reader_that_lies_is_a_fault() {
    for (says, expected) in [
        (vec![vec![0], vec![0]], "completed twice"),
        (vec![vec![0, 2]], "range 2 of 2"),
        (vec![vec![usize::MAX]], "of 2 was completed"),
        (vec![vec![1]], "with 1 of 2 ranges missing"),
    ] {
        let (read, _) = filled(says, &[1, 1]);
        let refused = read.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PluginFault);
        assert!(refused.message().contains(expected), "{refused}");
    }
    // Ready without a range.
    let (read, _) = filled(vec![vec![]], &[1]);
    let refused = read.unwrap_err();
    assert!(
        refused.message().contains("without completing one"),
        "{refused}"
    );
}

#[test]
fn a_reader_without_a_table_or_its_functions_is_a_fault() {
    let answer = |table: *const RangeStreamTable| {
        let object = grow::empty::<ObjectOut>();
        let out = RangesOut {
            object: &raw const object,
            stream: FfiRangeStream {
                words: [std::ptr::null_mut(); 5],
                table,
            },
            ..grow::empty()
        };
        // SAFETY: R6; nothing is owned.
        unsafe { ranges::read_downloaded(&out) }
    };
    let mut short = grow::empty::<RangeStreamTable>();
    let bare = short;
    short.size = 8;
    for table in [std::ptr::null(), &raw const short, &raw const bare] {
        let refused = answer(table).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PluginFault);
    }
    let _: Option<OwnedRanges> = None;
}

/// Completes its one range, and answers something else than progress beside it.
struct Beside(Option<Poll<Option<Result<()>>>>);

impl RangeSource for Beside {
    fn poll_ranges(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>> {
        done.push(0);
        self.0.take().unwrap_or(Poll::Ready(None))
    }
}

/// A complete range is reported by the same call: no later wake reports it.
#[test]
fn complete_ranges_are_reported_at_once() {
    for answer in [Poll::Pending, Poll::Ready(None)] {
        let reader = RangeReader::source(Beside(Some(answer)));
        let mut filling = Filling::new(reader, vec![vec![0; 3]]);
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(read) = filling.poll(&mut cx, std::ptr::null()) else {
            panic!("pending, and the range is complete");
        };
        assert_eq!(read.unwrap(), [vec![0; 3]]);
    }
}

#[test]
fn a_read_of_no_range_is_refused_by_a_plugin_too() {
    let mut args = ranges::write_ranges(&DownloadRanges::new("k", []));
    let mut texts = Texts::lent();
    // SAFETY: R5: the arguments live as long as what is read.
    let refused = unsafe { ranges::read_ranges(args.raw(), &mut texts) }.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(refused.message().contains("0 found"), "{refused}");
}

/// Names that no later request could give back.
#[test]
fn names_that_cannot_be_used_are_faults() {
    fn is_fault<T: std::fmt::Debug>(read: Result<T>, field: &str) {
        let refused = read.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PluginFault, "{refused}");
        assert!(refused.message().contains(field), "{refused}");
    }
    let part = Part::new(1, "", 5);
    // SAFETY: R6: read once, here and below.
    let read = unsafe { parts::read_stored(&parts::write_stored(part.clone())) };
    is_fault(read, "`PutPartOut.etag`");
    for (part, field) in [
        (part, "`FfiPart.etag`"),
        (Part::new(0, "e", 5), "`FfiPart.number`"),
        (Part::new(10_001, "e", 5), "`FfiPart.number`"),
    ] {
        let page = PartPage::new([part]);
        // SAFETY: as above.
        is_fault(
            unsafe { parts::read_parts(&parts::write_parts(page)) },
            field,
        );
    }
    let long = "x".repeat(parts::MAX_UPLOAD_ID + 1);
    for (key, id, field) in [
        ("", "id", "`FfiUpload.key`"),
        ("k", "", "`FfiUpload.upload_id`"),
        ("k", &long, "`FfiUpload.upload_id`"),
    ] {
        let page = UploadPage::new([PendingUpload::new(key, id)]);
        // SAFETY: as above.
        let read = unsafe { parts::read_uploads(&parts::write_uploads(page)) };
        is_fault(read, field);
    }
    for (key, version) in [("", "1"), ("k", "")] {
        let page = VersionPage::new([ObjectVersion::new(key, version, 5)]);
        // SAFETY: as above.
        let read = unsafe { versions::read_page(&versions::write_page(page)) };
        is_fault(read, "`FfiVersion.key`, `version`");
    }
}
