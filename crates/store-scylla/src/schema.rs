//! The keyspace, kept as declared. What is stored is noted in a table of its own; changes are made by one process at a time.

use crate::cells::Raw;
use crate::cql::Statement;
use crate::options::Options;
use crate::session::{self, Cluster};
use crate::{cql, failure};
use riskmesh_core::cipher::random_bytes;
use scylla::response::query_result::QueryResult;
use std::time::Duration;
use store::schema::{Catalog, Change, Step};
use store::{Error, Read, Table, Test, Ttl, text, upsert};

/// What is noted: `catalog`, and who changes it, `lock`.
static NOTES: Table = Table::new("riskmesh_schema", &[text("id")]).values(&[text("content")]);
const CATALOG: &str = "catalog";
const LOCK: &str = "lock";
/// How long one who changes the schema may be silent.
const LOCKED: Ttl = Ttl::seconds(120);
/// How often, and how many times, it is looked whether another has ended.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 180;
const DOING: &str = "look at the schema";

/// Brings the keyspace to the declared tables, or says what it lacks.
pub(crate) async fn bring_up(cluster: &Cluster, options: &Options) -> Result<(), Error> {
    if !is_name(&options.keyspace) {
        let what = format!("keyspace {:?} is not [a-z][a-z0-9_]{{0,47}}", options.keyspace);
        return Err(Error::Schema { table: "(keyspace)".to_owned(), what });
    }
    if options.migrate {
        make_keyspace(cluster, options).await?;
    }
    cluster.use_keyspace(&options.keyspace).await?;
    if options.migrate {
        cluster.once("make the schema's notes", &NOTES.ddl()).await?;
        cluster.agree().await?;
    }
    let mut catalog = read(cluster).await?;
    let steps = catalog.reconcile(&options.tables, &options.migrations)?;
    if steps.is_empty() {
        return Ok(());
    }
    if !options.migrate {
        let what = format!("{} changes are to be made: run `riskmesh migrate` first", steps.len());
        return Err(Error::Schema { table: "(migrations)".to_owned(), what });
    }
    let owner = random_bytes::<16>().map_err(|error| failure::other("name the owner of the lock", error))?;
    let owner = format!("{:032x}", u128::from_be_bytes(owner));
    lock(cluster, &owner).await?;
    let changed = change(cluster, options).await;
    let unlocked = unlock(cluster, &owner).await;
    changed.and(unlocked)
}

async fn make_keyspace(cluster: &Cluster, options: &Options) -> Result<(), Error> {
    let cql = format!(
        "CREATE KEYSPACE IF NOT EXISTS \"{}\" WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {}}}",
        options.keyspace, options.replication
    );
    cluster.once("make the keyspace", &cql).await?;
    cluster.agree().await
}

async fn change(cluster: &Cluster, options: &Options) -> Result<(), Error> {
    // Somebody else may have done it while this one waited.
    let mut catalog = read(cluster).await?;
    for step in catalog.reconcile(&options.tables, &options.migrations)? {
        match step {
            Step::Create(table) => drop(cluster.once("create a table", &table.ddl()).await?),
            Step::Alter(change) if is_done(cluster, &options.keyspace, &change).await? => {}
            Step::Alter(change) => drop(cluster.once("alter a table", &change.ddl()).await?),
        }
        cluster.agree().await?;
    }
    let content =
        serde_json::to_string(&catalog).map_err(|error| failure::other("note the schema", error))?;
    // Only who holds the lock writes it.
    let noted = cql::insert(&NOTES, &CATALOG.into(), &upsert(()).set("content", content), false);
    write(cluster, noted).await.map(drop)
}

/// Whether a change was made by somebody who was cut off before noting it.
async fn is_done(cluster: &Cluster, keyspace: &str, change: &Change) -> Result<bool, Error> {
    let (table, column, wanted) = match change {
        Change::AddColumn { table, column } | Change::AddStatic { table, column } => {
            (*table, column.name, true)
        }
        Change::DropColumn { table, column } => (*table, *column, false),
    };
    // Names of declared things and of the keyspace have no quotes in them.
    let select = format!(
        "SELECT column_name FROM system_schema.columns WHERE keyspace_name = '{keyspace}' AND table_name = '{table}' AND column_name = '{column}'"
    );
    let found = session::rows(DOING, cluster.once(DOING, &select).await?)?;
    Ok(found.is_empty() != wanted)
}

async fn read(cluster: &Cluster) -> Result<Catalog, Error> {
    let statement = cql::select_row(&NOTES, &CATALOG.into(), &().into());
    let found = match cluster.rows(DOING, &statement, Read::Latest).await {
        Err(Error::Backend { source, .. }) => {
            let what = format!("the keyspace has no tables of ours ({source}): run `riskmesh migrate` first");
            return Err(Error::Schema { table: NOTES.name.to_owned(), what });
        }
        found => found?,
    };
    let Some(raw) = found.first() else { return Ok(Catalog::default()) };
    let content = raw.cell(&NOTES, NOTES.values[0], 0)?;
    let store::Value::Text(text) = content else { return Ok(Catalog::default()) };
    let corrupt = |_| Error::Corrupt { table: NOTES.name, what: "catalog" };
    serde_json::from_slice(text.as_bytes()).map_err(corrupt)
}

async fn lock(cluster: &Cluster, owner: &str) -> Result<(), Error> {
    let lock = cql::insert(&NOTES, &LOCK.into(), &upsert(()).set("content", owner).ttl(LOCKED), true);
    for _ in 0..LOOKS {
        let answer = write(cluster, lock.clone()).await?;
        if session::rows(DOING, answer)?.first().and_then(Raw::applied) == Some(true) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    let what = "another process has been changing it for minutes".to_owned();
    Err(Error::Schema { table: NOTES.name.to_owned(), what })
}

async fn unlock(cluster: &Cluster, owner: &str) -> Result<(), Error> {
    let mine = Test::Equals("content", owner.into());
    let delete = cql::delete(&NOTES, &LOCK.into(), &().into(), &[&mine]);
    write(cluster, delete).await.map(drop)
}

async fn write(cluster: &Cluster, statement: Statement) -> Result<QueryResult, Error> {
    const DOING: &str = "note the schema";
    let answer = cluster.write(DOING, &[statement]).await?;
    answer.map_err(|error| failure::of_write(DOING, error))
}

fn is_name(name: &str) -> bool {
    name.len() <= 48
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
