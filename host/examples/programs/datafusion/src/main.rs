//! DataFusion over any backend: writes a partitioned table of Parquet files and queries it with SQL.
//!
//! ```sh
//! cargo run -p holdall-example-datafusion -- holdall.toml lake
//! ```

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::*;
use holdall::Host;
use holdall_object_store::v0_13::IntoObjectStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let config = arguments.next().unwrap_or("holdall.toml".to_owned());
    let backend = arguments.next().unwrap_or("local".to_owned());

    let host = Host::builder().config_file(config).build()?;
    let store = host.backend(&backend).await?.into_object_store();
    let context = SessionContext::new();
    let url = ObjectStoreUrl::parse(format!("holdall://{backend}"))?;
    context.register_object_store(url.as_ref(), store);
    let table = format!("holdall://{backend}/sales/");

    let made = "SELECT region, value AS id, CAST(value % 97 AS DOUBLE) AS amount
                FROM generate_series(0, 199999)
                CROSS JOIN (VALUES ('north'), ('south')) AS regions(region)";
    let partitioned = DataFrameWriteOptions::new().with_partition_by(vec!["region".to_owned()]);
    let sales = context.sql(made).await?;
    sales.write_parquet(&table, partitioned, None).await?;

    let columns = vec![("region".to_owned(), DataType::Utf8)];
    let options = ParquetReadOptions::default().table_partition_cols(columns);
    context.register_parquet("sales", &table, options).await?;
    // One partition of two and a few row groups: only those byte ranges are read.
    let asked = "SELECT region, count(*) AS sales, sum(amount) AS amount FROM sales
                 WHERE region = 'south' AND id < 1000 GROUP BY region";
    let found = context.sql(asked).await?.collect().await?;
    println!("{}", pretty_format_batches(&found)?);
    Ok(())
}
