//! The store on a CQL cluster: ScyllaDB, or Apache Cassandra, which the tests start.
//!
//! Each declared table is a real, typed table that an engineer can read in cqlsh. Statements are prepared, name their columns, and bind
//! their partition key, so that they go to a replica (and shard) that has it. Plain writes and reads are LOCAL_QUORUM; conditional
//! writes and [`Read::Latest`](store::Read::Latest) are LOCAL_SERIAL. What may or may not have happened is told as unknown and never
//! tried again here.
//!
//! `cql` makes statements, `cells` carries values, `pages` turns ranges into slices that CQL can answer, `failure` says what an error of
//! the driver means, `schema` keeps the tables as declared.

mod cells;
mod cql;
mod failure;
mod options;
mod pages;
mod read;
mod schema;
mod session;
mod write;

pub use options::{Access, Options};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use session::Cluster;
use std::collections::HashSet;
use std::sync::Arc;
use store::{Batch, Cas, Error, Get, Outcome, Page, Row, Scan, Store, Table, TokenPage, TokenScan, check};

/// Requests of one call that are under way at once.
const IN_FLIGHT: usize = 128;

/// A [`Store`] on a cluster.
pub struct Scylla {
    cluster: Arc<Cluster>,
    tables: HashSet<&'static str>,
}

impl Scylla {
    /// Connects, and brings the keyspace to the declared tables if [`Options::migrate`] allows that.
    ///
    /// # Errors
    /// [`Error::Backend`] if no node answers; [`Error::Schema`] if the declared tables are not the stored ones.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let cluster = Cluster::connect(&options).await?;
        schema::bring_up(&cluster, &options).await?;
        let tables = options.tables.iter().map(|table| table.name).collect();
        Ok(Self { cluster: Arc::new(cluster), tables })
    }

    fn known(&self, table: &'static Table) -> Result<(), Error> {
        if self.tables.contains(table.name) { Ok(()) } else { Err(Error::UnknownTable { table: table.name }) }
    }
}

#[async_trait]
impl Store for Scylla {
    async fn get(&self, get: Get) -> Result<Option<Row>, Error> {
        self.known(get.table)?;
        check::get(&get)?;
        read::get(&self.cluster, &get).await
    }

    async fn get_many(&self, gets: Vec<Get>) -> Result<Vec<Option<Row>>, Error> {
        check::call(gets.iter().map(|one| one.table))?;
        let reads: Vec<_> = gets.into_iter().map(|get| self.get(get)).collect();
        futures::stream::iter(reads).buffered(IN_FLIGHT).try_collect().await
    }

    async fn scan(&self, scan: Scan) -> Result<Page, Error> {
        self.known(scan.table)?;
        check::scan(&scan)?;
        read::scan(&self.cluster, &scan).await
    }

    async fn apply(&self, batches: Vec<Batch>) -> Result<(), Error> {
        check::call(batches.iter().map(|one| one.table))?;
        for batch in &batches {
            self.known(batch.table)?;
            check::batch(batch)?;
        }
        let writes: Vec<_> = batches.iter().map(|batch| write::apply(&self.cluster, batch)).collect();
        // One that fails must not hide how the others end: they are writes that were asked for.
        let done: Vec<_> = futures::stream::iter(writes).buffered(IN_FLIGHT).collect().await;
        done.into_iter().collect()
    }

    async fn cas(&self, cas: Cas) -> Result<Outcome, Error> {
        self.known(cas.table)?;
        check::cas(&cas)?;
        write::cas(&self.cluster, &cas).await
    }

    async fn cas_many(&self, many: Vec<Cas>) -> Result<Vec<Outcome>, Error> {
        check::call(many.iter().map(|one| one.table))?;
        for cas in &many {
            self.known(cas.table)?;
            check::cas(cas)?;
        }
        let writes: Vec<_> = many.iter().map(|cas| write::cas(&self.cluster, cas)).collect();
        let done: Vec<_> = futures::stream::iter(writes).buffered(IN_FLIGHT).collect().await;
        done.into_iter().collect()
    }

    async fn token_scan(&self, scan: TokenScan) -> Result<TokenPage, Error> {
        self.known(scan.table)?;
        check::token_scan(&scan)?;
        read::token_scan(&self.cluster, &scan).await
    }
}
