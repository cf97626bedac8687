//! The store: one trait, wide-column shaped, over an embedded engine or a CQL cluster.
//!
//! Data lives in typed tables ([`Table`]). A table's rows live in partitions, named by the partition key; inside a partition they
//! are ordered by the clustering key, and share the static columns. Everything that must change together belongs in one
//! partition: a [`Batch`] or a [`Cas`] is atomic there and nowhere else.
//!
//! ```
//! # use store::*;
//! # async fn example(store: &dyn Store) -> Result<(), Error> {
//! pub static ACCOUNTS: Table = Table::new("accounts_by_client", &[text("tenant"), text("client_id")])
//!     .clustering(&[desc(timestamp("opened_at")), asc(text("account_id"))])
//!     .statics(&[int("open_accounts")])
//!     .values(&[text("status"), bigint("version")]);
//!
//! let partition = ("acme", "0000000042");
//! let key = (riskmesh_core::Timestamp(0), "1234567890");
//!
//! // Insert once, and count it, in one conditional batch.
//! let outcome = store
//!     .cas(
//!         Cas::new(&ACCOUNTS, partition)
//!             .if_absent(key)
//!             .if_static("open_accounts", None::<i32>)
//!             .with(upsert(key).set("status", "active").set("version", 1_i64))
//!             .with(upsert_statics().set("open_accounts", 1)),
//!     )
//!     .await?;
//! match outcome {
//!     Outcome::Applied => {}
//!     Outcome::Conflict(current) => drop(current.row(key).map(|row| row.bigint("version"))),
//!     Outcome::Unknown => {} // read it with `Get::row(…).latest()`, then decide
//! }
//!
//! let page = store.scan(Scan::new(&ACCOUNTS, partition, 50).range(Range::all()).with_statics()).await?;
//! for row in &page.rows {
//!     let (_id, _status) = (row.text("account_id")?, row.text_opt("status")?);
//! }
//! # Ok(()) }
//! ```
//!
//! What holds on every backend:
//! - A write that returned is durable; one that returned [`Outcome::Unknown`] or [`Error::Unknown`] may have happened.
//! - Reads see every acknowledged write. [`Read::Latest`] also settles conditional writes whose outcome nobody knows.
//! - A row exists from its upsert until it is deleted or, if everything in it was written with a [`Ttl`], has expired. Expired
//!   cells are invisible at once.
//! - Scans go in the declared clustering order; table scans in the order of [`Token`]s. Both can be resumed by key.
//!
//! [`list`] builds ordered lists with constant-time offsets on top of it; [`race`] repeats changes that others came in between;
//! [`suite`] is what a backend must pass, [`faulty`] makes a good store a bad one for tests.
//!

pub mod check;
pub mod clustering;
pub mod faulty;
pub mod key;
pub mod limits;
pub mod list;
pub mod race;
pub mod schema;
pub mod suite;

mod error;
mod read;
mod row;
mod store;
mod table;
mod text;
mod token;
mod value;
mod write;

pub use error::{Error, Source};
pub use read::{
    Direction, Get, Page, Range, Read, Resume, Scan, Target, TokenPage, TokenRange, TokenScan, Yield,
};
pub use row::Row;
pub use store::Store;
pub use table::{
    Clustering, Column, Order, Role, Table, asc, bigint, blob, boolean, desc, int, text, timestamp, uuid,
};
pub use text::Text;
pub use token::Token;
pub use value::{Type, Value, Values};
pub use write::{
    Batch, Cas, Condition, Current, Mutation, Outcome, Test, Ttl, Upsert, delete, delete_range, upsert,
    upsert_statics,
};
