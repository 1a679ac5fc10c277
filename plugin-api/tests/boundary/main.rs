//! The rules of the boundary, driven as C would: raw tables, raw slots, no host.
//!
//! Everything here also runs under Miri: no library is loaded.
#![allow(
    unsafe_code,
    reason = "the caller's side of the boundary, as C would write it"
)]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "a test")]

mod caller;
mod plugin;
mod since_1_1;

use caller::{Caller, Outcome};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::{answer, request};
use holdall_plugin_api::{Body, Bytes, Custom, Download, ErrorKind, Key, Upload};
use plugin::{EVENTS, Events};
use std::sync::atomic::Ordering;

fn opened() -> Caller {
    Caller::open(&plugin::PLUGIN, r#"{"mode":"normal"}"#).expect("opens")
}

/// R7: an operation that is ready at once leaves nothing behind, and needs no allocation of the host.
#[test]
fn ready_operations_answer_at_once() {
    let caller = opened();
    let mut args = request::write_exists(Key::new("yes"));
    let exists = caller.call(caller.ops.start_exists, args.raw());
    assert!(matches!(exists, Outcome::Ready(out) if answer::read_exists(&out)));
    let mut args = request::write_exists(Key::new("no"));
    let exists = caller.call(caller.ops.start_exists, args.raw());
    assert!(matches!(exists, Outcome::Ready(out) if !answer::read_exists(&out)));
}

/// R7, R9: a pending operation is woken through an owned waker and polled again.
#[test]
fn pending_operations_are_woken() {
    let caller = opened();
    let mut args = request::write_exists(Key::new("pending"));
    let outcome = caller.call(caller.ops.start_exists, args.raw());
    let Outcome::Pending(pending) = outcome else {
        panic!("{}", outcome.name())
    };
    assert_eq!(
        pending.wakes(),
        1,
        "the plugin woke its caller once, through a clone"
    );
    assert!(matches!(pending.poll(), Outcome::Ready(out) if answer::read_exists(&out)));
}

/// R7: an operation larger than the storage is boxed, and behaves the same.
#[test]
fn large_operations_are_boxed() {
    let caller = opened();
    let mut args = request::write_exists(Key::new("large"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    assert!(pending.is_boxed());
    assert!(matches!(pending.poll(), Outcome::Ready(_)));
}

/// R5, R7: dropping a pending operation drops the author's future, once.
#[test]
fn dropped_operations_end_once() {
    for key in ["pending-guard", "large-guard"] {
        let caller = opened();
        let before = EVENTS.with(Events::futures_dropped);
        let mut args = request::write_exists(Key::new(key));
        let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
            panic!("pending")
        };
        drop(pending);
        assert_eq!(EVENTS.with(Events::futures_dropped), before + 1, "{key}");
    }
}

/// R8: the body moves at start, also when the operation fails or panics at once.
#[test]
fn bodies_move_at_start() {
    for (key, fails) in [("ok", false), ("fail", true), ("panic", true)] {
        let caller = opened();
        let (body, alive) = plugin::counted_body();
        let mut args = request::write_upload(Upload::new(key, body));
        let outcome = caller.call(caller.ops.start_upload, args.raw());
        assert_eq!(
            matches!(outcome, Outcome::Failed(_) | Outcome::Panicked(_)),
            fails,
            "{key}"
        );
        assert_eq!(
            alive.load(Ordering::SeqCst),
            0,
            "{key}: the body was dropped by the plugin"
        );
    }
}

/// R3, R4: bytes cross without a copy, and are released once, by their maker, from any thread.
#[test]
fn bytes_keep_their_address() {
    let caller = opened();
    let payload = Bytes::from(vec![7u8; 4096]);
    let address = payload.as_ptr();
    let mut args = request::write_upload(Upload::new("keep", payload));
    assert!(matches!(
        caller.call(caller.ops.start_upload, args.raw()),
        Outcome::Ready(_)
    ));
    assert_eq!(
        EVENTS.with(Events::seen_address),
        address.addr(),
        "the plugin saw the caller's own bytes"
    );

    let mut args = request::write_download(&Download::new("keep"));
    let Outcome::Ready(out) = caller.call(caller.ops.start_download, args.raw()) else {
        panic!("ready")
    };
    // SAFETY: R6: filled by the plugin, read once.
    let mut downloaded = unsafe { answer::read_downloaded(&out) }.unwrap();
    let chunk = caller::now(downloaded.body.chunk()).unwrap().unwrap();
    assert_eq!(chunk.as_ptr(), address, "and gave them back");
    let bytes = Bytes::from(chunk);
    std::thread::spawn(move || drop(bytes)).join().unwrap();
}

/// R6: errors come with every field, and are released.
#[test]
fn errors_are_flattened() {
    let caller = opened();
    let mut args = request::write_download(&Download::new("missing"));
    let Outcome::Failed(error) = caller.call(caller.ops.start_download, args.raw()) else {
        panic!("fails")
    };
    assert_eq!(
        (error.kind(), error.fact("why")),
        (ErrorKind::FileNotFound, Some("because"))
    );
    assert_eq!(
        error.cause().map(|cause| cause.text.as_str()),
        Some("the root")
    );
}

/// R10: a panic in a call, in a poll, in a stream, in making the future: caught, with its place.
#[test]
fn panics_do_not_cross() {
    let caller = opened();
    for key in ["panic", "panic-early"] {
        let mut args = request::write_exists(Key::new(key));
        let Outcome::Panicked(error) = caller.call(caller.ops.start_exists, args.raw()) else {
            panic!("{key}")
        };
        assert_eq!(error.kind(), ErrorKind::PluginFault);
        assert_eq!(
            error.cause().map(|cause| cause.text.as_str()),
            Some("told to"),
            "{key}"
        );
        assert!(
            error
                .fact("panic_location")
                .is_some_and(|at| at.contains("plugin.rs")),
            "{key}"
        );
    }
    let mut args = request::write_exists(Key::new("panic-later"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    assert!(matches!(pending.poll(), Outcome::Panicked(_)));

    let mut args = request::write_download(&Download::new("panicking-stream"));
    let Outcome::Ready(out) = caller.call(caller.ops.start_download, args.raw()) else {
        panic!("ready")
    };
    // SAFETY: R6: filled by the plugin, read once.
    let mut downloaded = unsafe { answer::read_downloaded(&out) }.unwrap();
    let error = caller::now(downloaded.body.chunk()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
    assert!(
        caller::now(downloaded.body.chunk()).is_none(),
        "nothing follows an error"
    );
}

/// R10: a panic in a drop has no caller; it is reported, and the rest goes on.
#[test]
fn panics_in_drops_are_reported() {
    let caller = opened();
    let before = caller::faults();
    let mut args = request::write_exists(Key::new("panic-drop"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    drop(pending);
    let reported = caller::faults();
    assert_eq!(reported.len(), before.len() + 1);
    assert!(
        reported
            .last()
            .is_some_and(|message| message.contains("in a drop")),
        "{reported:?}"
    );
}

/// R15: deadline, request id and cancel flag arrive at each poll.
#[test]
fn calls_tell_what_they_run_under() {
    let caller = opened();
    let mut args = request::write_exists(Key::new("call"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    assert_eq!(
        EVENTS.with(Events::request_id).as_deref(),
        Some("request-7")
    );
    assert!(!EVENTS.with(Events::was_cancelled));
    pending.cancel();
    assert!(matches!(pending.poll(), Outcome::Ready(_)));
    assert!(EVENTS.with(Events::was_cancelled));
}

/// R1: a caller with shorter tables is understood; what it does not know is absent.
#[test]
fn shorter_arguments_are_understood() {
    let caller = opened();
    let mut args = request::write_exists(Key::new("yes"));
    let whole = *args.raw();
    assert!(matches!(
        caller.call(caller.ops.start_exists, &whole),
        Outcome::Ready(_)
    ));
    let cut = ExistsArgs { size: 8, ..whole };
    let Outcome::Failed(error) = caller.call(caller.ops.start_exists, &cut) else {
        panic!("refused")
    };
    assert!(
        error
            .cause()
            .is_some_and(|cause| cause.text.contains("ExistsArgs")),
        "{error:?}"
    );
}

/// A body's end carries its trailers, inline for one chunk.
#[test]
fn trailers_arrive_with_the_end() {
    let caller = opened();
    let body = Body::once_with_crc32c("123456789", 0xe306_9283);
    let mut args = request::write_upload(Upload::new("trailers", body));
    assert!(matches!(
        caller.call(caller.ops.start_upload, args.raw()),
        Outcome::Ready(_)
    ));
    let trailers = EVENTS.with(Events::trailers).unwrap();
    assert_eq!(
        (trailers.size, trailers.checksums.crc32c),
        (9, Some(0xe306_9283))
    );
}

/// Every answer with all its texts comes back as it was given.
#[test]
fn answers_keep_every_field() {
    let caller = opened();
    let mut args = request::write_head(&holdall_plugin_api::Head::new("rich"));
    let Outcome::Ready(out) = caller.call(caller.ops.start_head, args.raw()) else {
        panic!("ready")
    };
    // SAFETY: R6: filled by the plugin, read once.
    let info = unsafe { answer::read_object(&out) }.unwrap();
    assert_eq!(info, plugin::rich_info());

    let mut args = request::write_list(&holdall_plugin_api::List::new("p").limit(7).delimiter("/"));
    let Outcome::Ready(out) = caller.call(caller.ops.start_list, args.raw()) else {
        panic!("ready")
    };
    // SAFETY: R6: filled by the plugin, read once.
    let page = unsafe { answer::read_page(&out) }.unwrap();
    assert_eq!(page, plugin::rich_page("p", 7));

    let keys = holdall_plugin_api::DeleteMany::new(["a", "missing"]);
    let mut args = request::write_delete_many(&keys);
    let Outcome::Ready(out) = caller.call(caller.ops.start_delete_many, args.raw()) else {
        panic!("ready")
    };
    // SAFETY: R6: filled by the plugin, read once.
    let results = unsafe { answer::read_deleted_many(&out) }.unwrap();
    assert_eq!(
        results[0].as_ref().map(|deleted| deleted.existed).unwrap(),
        Some(true)
    );
    assert_eq!(
        results[1].as_ref().unwrap_err().kind(),
        ErrorKind::FileNotFound
    );

    let mut args = request::write_custom(Custom::new("echo", "payload"));
    let Outcome::Ready(out) = caller.call(caller.ops.start_custom, args.raw()) else {
        panic!("ready")
    };
    // SAFETY: R6: filled by the plugin, read once.
    let payload = unsafe { answer::read_custom(&out) }.unwrap();
    assert_eq!(payload, "echo:payload");
}

/// Options that sit behind a pointer arrive whole.
#[test]
fn upload_options_keep_every_field() {
    let caller = opened();
    let upload = Upload::new("options", "x")
        .content_type("text/plain")
        .metadata("a", "1")
        .metadata("b", "é")
        .if_match("etag")
        .cache_control("no-store");
    let expected = format!("{:?}", upload.options());
    let mut args = request::write_upload(upload);
    assert!(matches!(
        caller.call(caller.ops.start_upload, args.raw()),
        Outcome::Ready(_)
    ));
    assert_eq!(
        EVENTS.with(Events::options).as_deref(),
        Some(expected.as_str())
    );
}

/// R5: the configuration is read during `start`; bad JSON names its place and no value.
#[test]
fn a_bad_configuration_quotes_nothing() {
    let error = Caller::open(&plugin::PLUGIN, r#"{"mode":12345}"#).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(!format!("{error:?}").contains("12345"), "{error:?}");
}

/// R12: the backend is dropped once, after the last operation.
#[test]
fn backends_end_once() {
    let before = EVENTS.with(Events::backends_dropped);
    drop(opened());
    assert_eq!(EVENTS.with(Events::backends_dropped), before + 1);
}

/// R7: a small operation lives in the caller's storage, and costs no allocation.
#[test]
fn small_operations_fit_the_storage() {
    let caller = opened();
    let mut args = request::write_delete(&holdall_plugin_api::Delete::new("pending"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_delete, args.raw()) else {
        panic!("pending")
    };
    assert!(!pending.is_boxed());
    assert!(matches!(pending.poll(), Outcome::Ready(_)));
}
