//! The integration tests of object_store 0.13 over `v0_13::BackendStore`. Left out are the functions
//! that `integration.rs` leaves out.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "tests; a panic is the report, and the helpers of `store` are for the other test files too"
)]

mod store;

use holdall_object_store::v0_13::BackendStore;
use object_store_0_13::integration as theirs;
use store::TestStore;

macro_rules! passes {
    ($($name:ident($($more:expr)?))+) => { $(
        #[tokio::test]
        async fn $name() {
            for plugin in ["memory", "local"] {
                let opened = TestStore::open(plugin).await;
                let store = BackendStore::new(opened.store.backend().clone());
                theirs::$name(&store $(, $more)?).await;
            }
        }
    )+ };
}
passes! {
    put_get_delete_list()
    put_get_attributes()
    get_opts()
    put_opts(true)
    stream_get()
    list_uses_directories_correctly()
    list_with_delimiter()
    list_with_offset_exclusivity()
    rename_and_copy()
    copy_if_not_exists()
    copy_rename_nonexistent_object()
    multipart_race_condition(true)
    multipart_out_of_order()
}
