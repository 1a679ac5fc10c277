//! The bridge to version 0.13 of the trait passes what that version asks of its own stores. It is
//! compiled from the files of the other one, whose test says which functions are left out.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "tests; a panic is the report, and the store's helpers are for the other file too"
)]

mod store;

use holdall_object_store::v0_13::BackendStore;
use object_store_0_13::integration as theirs;
use store::Store;

macro_rules! passes {
    ($($name:ident($($more:expr)?))+) => { $(
        #[tokio::test]
        async fn $name() {
            for plugin in ["memory", "local"] {
                let opened = Store::open(plugin).await;
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
