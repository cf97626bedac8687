//! What a request must satisfy on every backend, checked before it is sent: key shapes and types, sizes, and the rules that
//! conditional batches have in CQL. Backends call these first, so that all refuse the same things.

use crate::clustering;
use crate::error::Error;
use crate::limits;
use crate::read::{Get, Range, Scan, Target, TokenScan, Yield};
use crate::table::{Column, Table};
use crate::value::{Value, Values};
use crate::write::{Batch, Cas, Condition, Mutation, Test, Upsert};
use std::collections::HashSet;
use std::ops::Bound;

/// Checks a point read.
pub fn get(get: &Get) -> Result<(), Error> {
    partition(get.table, &get.partition)?;
    match &get.target {
        Target::Row(key) => clustering_key(get.table, key),
        Target::Statics => statics(get.table),
    }
}

/// Checks a scan.
pub fn scan(scan: &Scan) -> Result<(), Error> {
    partition(scan.table, &scan.partition)?;
    range(scan.table, &scan.range)?;
    if let Some(after) = &scan.after {
        clustering_key(scan.table, after)?;
    }
    if scan.statics {
        statics(scan.table)?;
    }
    page(scan.table, scan.limit)
}

/// Checks a table scan.
pub fn token_scan(scan: &TokenScan) -> Result<(), Error> {
    if let Some(resume) = &scan.resume {
        partition(scan.table, &resume.partition)?;
        if let Some(key) = &resume.clustering {
            clustering_key(scan.table, key)?;
        }
        if resume.clustering.is_some() && scan.yields == Yield::Partitions {
            return Err(Error::Request { table: scan.table.name, what: "resumes a scan of another kind" });
        }
    }
    page(scan.table, scan.limit)
}

/// Checks a batch; gives the bytes of its keys and values.
pub fn batch(batch: &Batch) -> Result<usize, Error> {
    mutations(batch.table, &batch.partition, &batch.mutations)
}

/// Checks a conditional batch; gives the bytes of its keys and values.
pub fn cas(cas: &Cas) -> Result<usize, Error> {
    let refuse = |what| Err(Error::Request { table: cas.table.name, what });
    let size = mutations(cas.table, &cas.partition, &cas.mutations)?;
    if cas.conditions.is_empty() {
        return refuse("a conditional batch needs a condition");
    }
    at_most(cas.table, "number of conditions", cas.conditions.len(), limits::CONDITIONS)?;
    if cas.mutations.iter().any(|mutation| matches!(mutation, Mutation::DeleteRange(_))) {
        return refuse("a conditional batch cannot delete a range");
    }
    for condition in &cas.conditions {
        let beside =
            |other: &Condition| other.target == condition.target && matches!(other.test, Test::IsNull(_));
        if condition.test == Test::Exists && cas.conditions.iter().any(beside) {
            return refuse("tests the existence of a row and that one of its columns is null");
        }
        match &condition.target {
            Target::Row(key) => {
                clustering_key(cas.table, key)?;
                let writes = |mutation: &Mutation| match mutation {
                    Mutation::Upsert(upsert) => upsert.target == condition.target,
                    Mutation::Delete(deleted) => deleted == key,
                    Mutation::DeleteRange(_) => false,
                };
                if !cas.mutations.iter().any(writes) {
                    return refuse("a condition on a row needs a mutation of that row");
                }
                let deletes =
                    |mutation: &Mutation| matches!(mutation, Mutation::Delete(deleted) if deleted == key);
                if condition.test == Test::NotExists && cas.mutations.iter().any(deletes) {
                    return refuse("deletes a row on condition that it does not exist");
                }
                let bare = |mutation: &Mutation| matches!(mutation, Mutation::Upsert(upsert) if upsert.target == condition.target && upsert.set.is_empty());
                if condition.test == Test::Exists && cas.mutations.iter().any(bare) {
                    return refuse("writes no column of a row on condition that it exists");
                }
            }
            Target::Statics => {
                statics(cas.table)?;
                let writes = |mutation: &Mutation| matches!(mutation, Mutation::Upsert(upsert) if upsert.target == Target::Statics);
                let existence = matches!(condition.test, Test::NotExists | Test::Exists);
                if existence && !cas.mutations.iter().any(writes) {
                    return refuse("a condition on the existence of statics needs an upsert of statics");
                }
            }
        }
        match &condition.test {
            Test::NotExists | Test::Exists => {}
            Test::Equals(column, value) => {
                let column = settable(cas.table, &condition.target, column)?;
                typed(cas.table, column, value)?;
                if value.is_null() {
                    return refuse("compares with null; use IsNull");
                }
            }
            Test::IsNull(column) => {
                settable(cas.table, &condition.target, column)?;
            }
        }
    }
    Ok(size)
}

/// Checks how many requests a call holds, by the table of each.
pub fn call(mut requests: impl ExactSizeIterator<Item = &'static Table>) -> Result<(), Error> {
    let count = requests.len();
    requests
        .next()
        .map_or(Ok(()), |table| at_most(table, "number of requests in a call", count, limits::CALL))
}

/// Checks a partition key.
pub fn partition(table: &'static Table, values: &Values) -> Result<(), Error> {
    if values.len() != table.partition.len() {
        return Err(Error::Request { table: table.name, what: "wrong number of partition key columns" });
    }
    let size = key_columns(table, table.partition.iter().copied(), values)?;
    if size == 0 {
        return Err(Error::Request { table: table.name, what: "the partition key is empty" });
    }
    Ok(())
}

/// Checks a whole clustering key.
pub fn clustering_key(table: &'static Table, values: &Values) -> Result<(), Error> {
    if values.len() != table.clustering.len() {
        return Err(Error::Request { table: table.name, what: "wrong number of clustering key columns" });
    }
    key_columns(table, table.clustering.iter().map(|key| key.column), values).map(drop)
}

/// Checks a range of clustering keys.
pub fn range(table: &'static Table, range: &Range) -> Result<(), Error> {
    if range.prefix.len() > table.clustering.len() {
        return Err(Error::Request {
            table: table.name,
            what: "more prefix columns than clustering columns",
        });
    }
    key_columns(table, table.clustering.iter().map(|key| key.column), &range.prefix)?;
    for bound in [&range.low, &range.high] {
        let (Bound::Included(value) | Bound::Excluded(value)) = bound else { continue };
        let Some(key) = table.clustering.get(range.prefix.len()) else {
            return Err(Error::Request {
                table: table.name,
                what: "a bound after the last clustering column",
            });
        };
        key_columns(table, std::iter::once(key.column), &Values::from(value.clone()))?;
    }
    Ok(())
}

fn key_columns(
    table: &'static Table,
    columns: impl Iterator<Item = Column>,
    values: &Values,
) -> Result<usize, Error> {
    let mut size = 0;
    for (column, value) in columns.zip(values.as_slice()) {
        typed(table, column, value)?;
        if value.is_null() {
            return Err(Error::Null { table: table.name, column: column.name });
        }
        size += value.size();
    }
    at_most(table, "key size", size, limits::KEY_BYTES)?;
    Ok(size)
}

fn statics(table: &'static Table) -> Result<(), Error> {
    if table.statics.is_empty() {
        return Err(Error::Request { table: table.name, what: "the table has no static columns" });
    }
    Ok(())
}

fn page(table: &'static Table, limit: usize) -> Result<(), Error> {
    if limit == 0 {
        return Err(Error::Request { table: table.name, what: "a page of no rows" });
    }
    at_most(table, "page size", limit, limits::PAGE_ROWS)
}

fn mutations(table: &'static Table, key: &Values, mutations: &[Mutation]) -> Result<usize, Error> {
    partition(table, key)?;
    if mutations.is_empty() {
        return Err(Error::Request { table: table.name, what: "a batch without mutations" });
    }
    at_most(table, "number of mutations", mutations.len(), limits::MUTATIONS)?;
    let mut size = key.as_slice().iter().map(Value::size).sum();
    for mutation in mutations {
        size += match mutation {
            Mutation::Upsert(change) => upsert(table, change)?,
            Mutation::Delete(key) => {
                clustering_key(table, key)?;
                key.as_slice().iter().map(Value::size).sum()
            }
            Mutation::DeleteRange(deleted) => {
                range(table, deleted)?;
                if table.clustering.is_empty() {
                    return Err(Error::Request {
                        table: table.name,
                        what: "a range in a table without clustering key",
                    });
                }
                0
            }
        };
    }
    at_most(table, "batch size", size, limits::BATCH_BYTES)?;
    if mutations.len() > 1 {
        disjoint(table, mutations)?;
    }
    Ok(size)
}

fn upsert(table: &'static Table, upsert: &Upsert) -> Result<usize, Error> {
    let mut size = match &upsert.target {
        Target::Row(key) => {
            clustering_key(table, key)?;
            key.as_slice().iter().map(Value::size).sum()
        }
        Target::Statics if upsert.set.is_empty() => {
            return Err(Error::Request { table: table.name, what: "an upsert of statics without columns" });
        }
        Target::Statics => {
            statics(table)?;
            0
        }
    };
    for (position, (name, value)) in upsert.set.iter().enumerate() {
        let column = settable(table, &upsert.target, name)?;
        typed(table, column, value)?;
        at_most(table, "value size", value.size(), limits::VALUE_BYTES)?;
        if upsert.set[..position].iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::Request { table: table.name, what: "a column is set twice" });
        }
        size += value.size();
    }
    Ok(size)
}

fn settable(table: &'static Table, target: &Target, name: &str) -> Result<Column, Error> {
    let columns = match target {
        Target::Row(_) => table.values,
        Target::Statics => table.statics,
    };
    columns
        .iter()
        .find(|column| column.name == name)
        .copied()
        .ok_or_else(|| Error::NoSuchColumn { table: table.name, column: name.to_owned() })
}

fn typed(table: &'static Table, column: Column, value: &Value) -> Result<(), Error> {
    match value.kind() {
        Some(actual) if actual != column.kind => {
            Err(Error::WrongType { table: table.name, column: column.name, expected: column.kind, actual })
        }
        _ => Ok(()),
    }
}

fn at_most(table: &'static Table, what: &'static str, actual: usize, limit: usize) -> Result<(), Error> {
    if actual <= limit { Ok(()) } else { Err(Error::TooLarge { table: table.name, what, actual, limit }) }
}

/// Refuses a batch that touches one row, or the statics, twice.
fn disjoint(table: &'static Table, mutations: &[Mutation]) -> Result<(), Error> {
    let twice = || Error::Request { table: table.name, what: "a batch changes one row twice" };
    let mut statics = false;
    let mut rows = HashSet::with_capacity(mutations.len());
    for mutation in mutations {
        let fresh = match mutation {
            Mutation::Upsert(Upsert { target: Target::Row(key), .. }) | Mutation::Delete(key) => {
                rows.insert(key)
            }
            Mutation::Upsert(_) => !std::mem::replace(&mut statics, true),
            Mutation::DeleteRange(_) => true,
        };
        if !fresh {
            return Err(twice());
        }
    }
    for mutation in mutations {
        let Mutation::DeleteRange(range) = mutation else { continue };
        let (start, end) = clustering::bounds(table, range);
        let mut encoded = Vec::with_capacity(32);
        for key in &rows {
            encoded.clear();
            clustering::encode(table, key, &mut encoded);
            if encoded >= start && end.as_ref().is_none_or(|end| encoded < *end) {
                return Err(twice());
            }
        }
    }
    Ok(())
}
