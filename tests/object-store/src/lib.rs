//! Only tests: `into_object_store` over loaded plugins, judged by the `object_store` crate itself.
#![forbid(unsafe_code)]
