//! SlateDB, a key-value store on object storage, over any backend: writes, closes, opens again and
//! reads. SlateDB needs a backend that claims `create_only`.
//!
//! ```sh
//! cargo run -p holdall-example-slatedb -- holdall.toml lake
//! ```

use holdall::Host;
use holdall_object_store::IntoObjectStore;
use slatedb::Db;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let config = arguments.next().unwrap_or("holdall.toml".to_owned());
    let backend = arguments.next().unwrap_or("local".to_owned());

    let host = Host::builder().config_file(config).build()?;
    let store = host.backend(&backend).await?.into_object_store();

    let db = Db::open("table", store.clone()).await?;
    for number in 0..1000_u32 {
        let (key, value) = (format!("key-{number:04}"), number.to_string());
        db.put(key.as_bytes(), value.as_bytes()).await?;
    }
    db.close().await?;

    let db = Db::open("table", store).await?;
    let found = db.get(b"key-0777").await?.ok_or("the key is missing")?;
    println!("key-0777 = {}", String::from_utf8_lossy(&found));
    db.close().await?;
    Ok(())
}
