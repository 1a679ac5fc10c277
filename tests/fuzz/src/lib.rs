//! Fuzz targets: each function reads bytes that come from outside, and panics when the host does not keep
//! its promise about them. `scripts/fuzz` drives them with libFuzzer; `tests/smoke.rs` with a few thousand
//! inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is the report"
)]

mod files;
mod http;
mod url;

/// A function of foreign bytes.
pub type Target = fn(&[u8]);

/// Every target by its name. Directories of `seeds/` have the same names.
pub const TARGETS: [(&str, Target); 10] = [
    ("inspector", files::inspector),
    ("descriptor", files::descriptor),
    ("schema", files::schema),
    ("configuration", files::configuration),
    ("lock", files::lock),
    ("page_token", url::page_token),
    ("signed_url", url::signed_url),
    ("ranges", http::ranges),
    ("headers", http::headers),
    ("trailers", http::trailers),
];
