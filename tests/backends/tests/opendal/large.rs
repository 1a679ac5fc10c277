//! Large objects, as an operator has them who says nothing of sizes.

use crate::bucket::Bucket;
use holdall_backends::{Holdall, feed};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

/// MiB of resident memory, less than which a transfer must need.
const BOUND: u64 = 160;
const TWO_GIB: u64 = 2048;
/// MiB of the largest object that goes in one piece (`whole_bytes`).
const WHOLE: u64 = 64;

fn holdall(bucket: &Bucket) -> Holdall {
    let mut config = bucket.below("large/");
    config.as_object_mut().unwrap().remove("part_bytes");
    Holdall::new("opendal", &config).stripped()
}

/// A service that takes an object in parts.
pub(crate) fn in_parts(bucket: &Bucket) {
    let (put, get) = holdall(bucket).both_ways(TWO_GIB);
    println!("2 GiB: put {put} MiB, get {get} MiB of resident memory");
    assert!(put < BOUND && get < BOUND, "put {put} MiB, get {get} MiB");
}

/// A service that takes an object in one piece, which is held: up to a bound, past which it is
/// refused. Another program's larger one is read all the same, and not held. `token`: of Swift.
pub(crate) fn in_one_piece(bucket: &Bucket, token: &Value) {
    let holdall = holdall(bucket);
    let (put, get) = holdall.both_ways(WHOLE);
    println!("{WHOLE} MiB: put {put} MiB, get {get} MiB of resident memory");
    assert!(put < BOUND && get < BOUND, "put {put} MiB, get {get} MiB");

    let mut larger = holdall.start(&["put", "-", "b:large"]);
    let mut input = larger.stdin.take().unwrap();
    feed(&mut input, WHOLE);
    // It may be refused, and the pipe closed, before the last byte.
    let _ = input.write_all(b"x");
    drop(input);
    assert_eq!(larger.wait().unwrap().code(), Some(6), "too large");
    holdall.get_large(WHOLE);

    let url = format!("{}/large/large", bucket.url());
    let token = format!("X-Auth-Token: {}", token.as_str().unwrap());
    let mut outside = Command::new("curl")
        .args(["-s", "--fail", "-T", "-", "-H", &token])
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = outside.stdin.take().unwrap();
    feed(&mut input, TWO_GIB);
    drop(input);
    assert!(outside.wait().unwrap().success(), "curl stores 2 GiB");
    let get = holdall.get_large(TWO_GIB);
    println!("2 GiB of another program: get {get} MiB of resident memory");
    assert!(get < BOUND, "get {get} MiB");
}
