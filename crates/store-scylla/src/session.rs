//! The connection to the cluster, and the statements that are prepared on it.

use crate::cells::Raw;
use crate::cql::Statement;
use crate::failure;
use crate::options::Options;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::{Session, TlsContext};
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::ExecutionError;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::policies::timestamp_generator::MonotonicTimestampGenerator;
use scylla::response::PagingState;
use scylla::response::query_result::QueryResult;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock};
use store::{Error, Read};

/// Statements that are kept. Their shapes come from the code, so this is never reached by what callers send.
const PREPARED: usize = 8192;
/// Rows of one page on the wire.
const WIRE_PAGE: i32 = 2000;

/// A session on the keyspace.
pub(crate) struct Cluster {
    session: Session,
    prepared: RwLock<HashMap<Arc<str>, Arc<PreparedStatement>>>,
    serial_reads: RwLock<HashMap<Arc<str>, Arc<PreparedStatement>>>,
}

impl Cluster {
    pub(crate) async fn connect(options: &Options) -> Result<Self, Error> {
        let mut balancing = DefaultPolicy::builder().token_aware(true);
        if let Some(name) = &options.datacenter {
            balancing = balancing.prefer_datacenter(name.clone());
        }
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(options.timeout))
            .load_balancing_policy(balancing.build())
            // Callers know what may be repeated, and when.
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&options.nodes)
            .default_execution_profile_handle(profile.into_handle())
            .connection_timeout(options.timeout)
            .timestamp_generator(Arc::new(MonotonicTimestampGenerator::new()))
            .fetch_schema_metadata(false)
            .tls_context(options.tls.clone().map(TlsContext::from));
        if let Some(access) = &options.access {
            builder = builder.user(&access.user, &access.password);
        }
        let session =
            builder.build().await.map_err(|error| failure::other("connect to the cluster", error))?;
        Ok(Self { session, prepared: RwLock::default(), serial_reads: RwLock::default() })
    }

    pub(crate) async fn use_keyspace(&self, name: &str) -> Result<(), Error> {
        let used = self.session.use_keyspace(name, true).await;
        used.map_err(|error| failure::other("use the keyspace", error))
    }

    /// A statement that is sent once in a process: no bound values, not prepared.
    pub(crate) async fn once(&self, operation: &'static str, cql: &str) -> Result<QueryResult, Error> {
        self.session.query_unpaged(cql, ()).await.map_err(|error| failure::other(operation, error))
    }

    /// Waits until all nodes have the same schema.
    pub(crate) async fn agree(&self) -> Result<(), Error> {
        let agreed = self.session.await_schema_agreement().await;
        agreed.map(drop).map_err(|error| failure::other("wait for the schema", error))
    }

    /// All rows that a statement selects.
    pub(crate) async fn rows(
        &self,
        operation: &'static str,
        statement: &Statement,
        read: Read,
    ) -> Result<Vec<Raw>, Error> {
        let prepared = self.prepare_read(operation, &statement.cql, read).await?;
        let mut rows = Vec::new();
        let mut state = PagingState::start();
        loop {
            let page = self.session.execute_single_page(&prepared, &statement.values, state).await;
            let (result, next) = page.map_err(|error| failure::of_read(operation, error))?;
            rows.append(&mut self::rows(operation, result)?);
            match next.into_paging_control_flow() {
                ControlFlow::Continue(next) => state = next,
                ControlFlow::Break(()) => return Ok(rows),
            }
        }
    }

    /// Carries out statements on one partition, together or not at all. The answer of conditional ones says whether they were applied.
    pub(crate) async fn write(
        &self,
        operation: &'static str,
        statements: &[Statement],
    ) -> Result<Result<QueryResult, ExecutionError>, Error> {
        let mut prepared = Vec::with_capacity(statements.len());
        let mut values = Vec::with_capacity(statements.len());
        for statement in statements {
            prepared.push(self.prepare(operation, &statement.cql).await?);
            values.push(&statement.values);
        }
        if let ([prepared], [values]) = (prepared.as_slice(), values.as_slice()) {
            return Ok(self.session.execute_unpaged(prepared, values).await);
        }
        let statements = prepared.iter().map(|prepared| BatchStatement::from((**prepared).clone()));
        let batch = Batch::new_with_statements(BatchType::Unlogged, statements.collect());
        Ok(self.session.batch(&batch, values).await)
    }

    async fn prepare(&self, operation: &'static str, cql: &str) -> Result<Arc<PreparedStatement>, Error> {
        if let Some(prepared) = kept(&self.prepared, cql) {
            return Ok(prepared);
        }
        let prepared = self.session.prepare(cql).await;
        let prepared = prepared.map_err(|error| failure::of_prepare(operation, error))?;
        Ok(keep(&self.prepared, cql, prepared))
    }

    async fn prepare_read(
        &self,
        operation: &'static str,
        cql: &str,
        read: Read,
    ) -> Result<Arc<PreparedStatement>, Error> {
        if read == Read::Regular {
            return self.prepare(operation, cql).await;
        }
        if let Some(prepared) = kept(&self.serial_reads, cql) {
            return Ok(prepared);
        }
        let mut prepared = (*self.prepare(operation, cql).await?).clone();
        prepared.set_consistency(Consistency::LocalSerial);
        Ok(keep(&self.serial_reads, cql, prepared))
    }
}

type Kept = RwLock<HashMap<Arc<str>, Arc<PreparedStatement>>>;

fn kept(statements: &Kept, cql: &str) -> Option<Arc<PreparedStatement>> {
    statements.read().unwrap_or_else(PoisonError::into_inner).get(cql).cloned()
}

fn keep(statements: &Kept, cql: &str, mut prepared: PreparedStatement) -> Arc<PreparedStatement> {
    prepared.set_page_size(WIRE_PAGE);
    let prepared = Arc::new(prepared);
    let mut statements = statements.write().unwrap_or_else(PoisonError::into_inner);
    if statements.len() >= PREPARED {
        statements.clear();
    }
    statements.insert(cql.into(), prepared.clone());
    prepared
}

/// The rows of an answer.
pub(crate) fn rows(operation: &'static str, result: QueryResult) -> Result<Vec<Raw>, Error> {
    let result = result.into_rows_result().map_err(|error| failure::other(operation, error))?;
    let rows = result.rows::<Raw>().map_err(|error| failure::other(operation, error))?;
    rows.collect::<Result<_, _>>().map_err(|error| failure::other(operation, error))
}
