//! The kit through the OpenDAL bridge, and the operator as programs use it: see `tests/`.
#![forbid(unsafe_code)]
