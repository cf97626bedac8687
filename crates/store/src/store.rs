//! The trait that every backend implements.

use crate::error::Error;
use crate::read::{Get, Page, Scan, TokenPage, TokenScan};
use crate::row::Row;
use crate::write::{Batch, Cas, Outcome};
use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};

/// How many requests of one call the provided methods keep in flight.
const IN_FLIGHT: usize = 32;

/// A durable, wide-column store. See the crate's documentation for the model and the guarantees.
///
/// Every method may be dropped before it is done (a deadline): reads then do nothing more, writes may or may not happen.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads one row with its partition's statics, or the statics alone.
    async fn get(&self, get: Get) -> Result<Option<Row>, Error>;

    /// Reads many rows, possibly of many tables; answers stand in the order of the requests. Not one snapshot.
    async fn get_many(&self, gets: Vec<Get>) -> Result<Vec<Option<Row>>, Error> {
        let reads: Vec<_> = gets.into_iter().map(|get| self.get(get)).collect();
        futures::stream::iter(reads).buffered(IN_FLIGHT).try_collect().await
    }

    /// Reads consecutive rows of one partition.
    async fn scan(&self, scan: Scan) -> Result<Page, Error>;

    /// Writes batches. Each is atomic by itself, and all are durable when this returns. They are independent: no order is
    /// promised among them, and after an error any of them may have been applied.
    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error>;

    /// Writes one conditional batch.
    async fn cas(&self, cas: Cas) -> Result<Outcome, Error>;

    /// Writes many conditional batches; outcomes stand in their order. They are independent: each one's conditions are checked
    /// when its turn comes, and no order is promised among those on one partition. After an error any of them may have been
    /// applied.
    async fn cas_many(&self, many: Vec<Cas>) -> Result<Vec<Outcome>, Error> {
        let writes: Vec<_> = many.into_iter().map(|cas| self.cas(cas)).collect();
        futures::stream::iter(writes).buffered(IN_FLIGHT).try_collect().await
    }

    /// Reads a table in token order: for jobs and repairs, not for requests.
    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error>;
}
