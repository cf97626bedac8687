//! Ingestion of a large, sorted set of rows: straight into table files, past the journal and the writer. For benchmarks and
//! bootstrap; a table that takes part must not be written otherwise meanwhile, since ingested rows replace whatever is there.

use crate::layout::Layout;
use crate::record::{self, Marker};
use crate::writer::engine_error;
use store::{Batch, Error, Mutation, Target, Token, Value, Values, check, key};

/// Ingests batches of upserts without TTL: see [`crate::Embedded::ingest`].
pub(crate) fn run(layout: &Layout, batches: impl IntoIterator<Item = Batch>) -> Result<u64, Error> {
    let table = layout.table;
    let refuse = |what| Error::Request { table: table.name, what };
    let mut ingestion = layout.keyspace.start_ingestion().map_err(|source| engine_error("ingest", source))?;
    let (mut last, mut count) = (Vec::new(), 0);
    for batch in batches {
        if !std::ptr::eq(batch.table, table) {
            return Err(refuse("ingests a row of another table"));
        }
        check::batch(&batch)?;
        let prefix = layout.prefix(&batch.partition);
        for mutation in &batch.mutations {
            let (key, bytes) = encode(layout, &prefix, mutation)?;
            if key <= last {
                return Err(refuse("ingests rows out of order"));
            }
            ingestion.write(key.as_slice(), bytes).map_err(|source| engine_error("ingest", source))?;
            last = key;
            count += 1;
        }
    }
    ingestion.finish().map_err(|source| engine_error("ingest", source))?;
    Ok(count)
}

fn encode(layout: &Layout, prefix: &[u8], mutation: &Mutation) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let Mutation::Upsert(upsert) = mutation else {
        return Err(Error::Request { table: layout.table.name, what: "ingests a deletion" });
    };
    if upsert.ttl.is_some() {
        return Err(Error::Request { table: layout.table.name, what: "ingests a row with a TTL" });
    }
    let is_static = upsert.target == Target::Statics;
    let mut cells: Vec<(u8, &Value)> = Vec::with_capacity(upsert.set.len());
    for (column, value) in &upsert.set {
        if !value.is_null() {
            cells.push((layout.id(is_static, column)?, value));
        }
    }
    cells.sort_unstable_by_key(|(id, _)| *id);
    let mut bytes = Vec::with_capacity(64);
    let (key, marker) = match &upsert.target {
        Target::Row(clustering) => (layout.row_key(prefix, clustering), Marker::Forever),
        Target::Statics => (Layout::statics_key(prefix), Marker::None),
    };
    record::put_patch(marker, &cells, None, true, &mut bytes);
    Ok((key, bytes))
}

/// Sorts partition keys into the order that [`crate::Embedded::ingest`] needs.
pub fn sort_partitions(table: &'static store::Table, partitions: &mut [Values]) {
    partitions.sort_by_cached_key(|partition| {
        let mut serialized = Vec::new();
        key::serialize(table, partition, &mut serialized);
        (Token::of(&serialized), serialized)
    });
}
