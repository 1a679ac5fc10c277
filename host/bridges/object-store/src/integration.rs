//! The integration tests of the `object_store` crate as a macro.

/// Makes a module of tests, one for each function of `object_store::integration` that a backend can
/// pass (feature `integration`; needs the crates `holdall` and `tokio`).
///
/// Four functions are left out. Three need a `MultipartStore`, whose upload ids outlive the process
/// that made them; an upload to a plugin is one stream. The fourth needs the extensions of an HTTP
/// response.
///
/// - `plugin`: name of the plugin, as errors must show it.
/// - `updates`: whether the backend replaces an object by its etag.
/// - `open`: opens an empty store for each test; a struct with a
///   [`BackendStore`](crate::BackendStore) in its field `store`.
///
/// Attributes before `mod` are put on each test.
#[macro_export]
macro_rules! integration {
    ($(#[$attribute:meta])* mod $name:ident { plugin: $plugin:expr, updates: $updates:expr, open: $open:expr $(,)? }) => {
        mod $name {
            #[allow(unused_imports, reason = "what `open` needs")]
            use super::*;
            use $crate::object_store::integration as theirs;
            use $crate::object_store::path::Path;
            use $crate::object_store::{Error, ObjectStoreExt};

            $crate::integration!(@ {$(#[$attribute])*} {$open}
                put_get_delete_list(store) { theirs::put_get_delete_list(store).await; }
                put_get_attributes(store) {
                    theirs::put_get_attributes(store).await;
                    // The function above accepts a store without attributes.
                    let got = store.get(&Path::from("attributes")).await.unwrap();
                    assert_eq!(got.attributes.len(), 7);
                }
                get_opts(store) { theirs::get_opts(store).await; }
                put_opts(store) { theirs::put_opts(store, $updates).await; }
                stream_get(store) { theirs::stream_get(store).await; }
                list_uses_directories_correctly(store) {
                    theirs::list_uses_directories_correctly(store).await;
                }
                list_with_delimiter(store) { theirs::list_with_delimiter(store).await; }
                list_with_offset_exclusivity(store) {
                    theirs::list_with_offset_exclusivity(store).await;
                }
                list_paginated(store) { theirs::list_paginated(store, store).await; }
                get_nonexistent_object(store) {
                    let missing = theirs::get_nonexistent_object(store, None).await;
                    let missing = missing.unwrap_err();
                    assert!(matches!(missing, Error::NotFound { .. }));
                    let ours = $crate::cause(&missing).unwrap();
                    assert_eq!(ours.kind(), holdall::ErrorKind::FileNotFound);
                    assert_eq!(ours.place().plugin.as_deref(), Some($plugin));
                }
                rename_and_copy(store) { theirs::rename_and_copy(store).await; }
                copy_if_not_exists(store) { theirs::copy_if_not_exists(store).await; }
                copy_rename_nonexistent_object(store) {
                    theirs::copy_rename_nonexistent_object(store).await;
                }
                multipart_race_condition(store) {
                    theirs::multipart_race_condition(store, true).await;
                }
                multipart_out_of_order(store) { theirs::multipart_out_of_order(store).await; }
            );
        }
    };
    (@ $attributes:tt $open:tt $($test:ident($store:ident) $body:block)+) => {
        $($crate::integration!(@@ $attributes $open $test $store $body);)+
    };
    (@@ {$(#[$attribute:meta])*} {$open:expr} $test:ident $store:ident $body:block) => {
        #[tokio::test]
        $(#[$attribute])*
        async fn $test() {
            let terms = $open;
            let $store = &terms.store;
            $body
        }
    };
}
