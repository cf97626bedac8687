//! Writes: of one partition, together; plain or under conditions.
//!
//! In CQL only INSERT makes a row that lives without cells, and only UPDATE and DELETE can test columns. So a row that is written
//! under tests of its columns is written twice in its batch: by the INSERT, and by an UPDATE of one of the same cells that carries the
//! tests. All writes of a batch have one timestamp, so the second says nothing new.

use crate::cql::{self, Statement};
use crate::failure::{self, Fate};
use crate::read;
use crate::session::{self, Cluster};
use store::{
    Batch, Cas, Condition, Current, Error, Get, Mutation, Outcome, Row, Target, Test, Upsert, Value,
    upsert_statics,
};

/// How often a conditional write is tried that lost to something which was gone when it was looked for.
const TRIES: usize = 4;
const DOING: &str = "conditional write";

/// Carries out a plain batch.
pub(crate) async fn apply(cluster: &Cluster, batch: &Batch) -> Result<(), Error> {
    let statements = batch.mutations.iter().map(|mutation| plain(batch.table, &batch.partition, mutation));
    let statements: Vec<Statement> = statements.collect();
    let written = cluster.write("write", &statements).await?;
    written.map(drop).map_err(|error| failure::of_write("write", error))
}

fn plain(table: &store::Table, partition: &store::Values, mutation: &Mutation) -> Statement {
    match mutation {
        Mutation::Upsert(upsert) => match upsert.target {
            Target::Row(_) => cql::insert(table, partition, upsert, false),
            Target::Statics => cql::update(table, partition, &Target::Statics, upsert, &[]),
        },
        Mutation::Delete(key) => cql::delete(table, partition, key, &[]),
        Mutation::DeleteRange(range) => cql::delete_range(table, partition, range),
    }
}

/// Carries out a conditional batch.
pub(crate) async fn cas(cluster: &Cluster, cas: &Cas) -> Result<Outcome, Error> {
    let statements = conditional(cas);
    for _ in 0..TRIES {
        let Some(statements) = &statements else { break };
        let answer = match cluster.write(DOING, statements).await? {
            Ok(answer) => answer,
            Err(error) => {
                return match failure::fate(&error) {
                    Fate::Unknown => Ok(Outcome::Unknown),
                    Fate::NotNow | Fate::Refused => Err(failure::of_write(DOING, error)),
                };
            }
        };
        let rows = session::rows(DOING, answer)?;
        match rows.first().and_then(crate::cells::Raw::applied) {
            Some(true) => return Ok(Outcome::Applied),
            Some(false) => {}
            None => return Err(failure::other(DOING, "the answer does not say whether it was applied")),
        }
        let current = current(cluster, cas).await?;
        if !cas.conditions.iter().all(|condition| holds(condition, &current)) {
            return Ok(Outcome::Conflict(current));
        }
        // What stood in the way has gone in between: it was no conflict that a caller could see.
    }
    Ok(Outcome::Conflict(current(cluster, cas).await?))
}

/// The statements of a conditional batch; none where the conditions contradict each other.
fn conditional(cas: &Cas) -> Option<Vec<Statement>> {
    let mut statements = Vec::with_capacity(cas.mutations.len() + cas.conditions.len());
    for mutation in &cas.mutations {
        match mutation {
            Mutation::Upsert(upsert) => {
                let tests = tests(cas, &upsert.target)?;
                if tests.first() == Some(&&Test::NotExists) {
                    statements.push(cql::insert(cas.table, &cas.partition, upsert, true));
                } else if upsert.target == Target::Statics {
                    statements.push(cql::update(cas.table, &cas.partition, &upsert.target, upsert, &tests));
                } else {
                    statements.push(cql::insert(cas.table, &cas.partition, upsert, false));
                    if !tests.is_empty() {
                        statements.push(carrier(cas, upsert, &tests));
                    }
                }
            }
            Mutation::Delete(key) => {
                let tests = tests(cas, &Target::Row(key.clone()))?;
                statements.push(cql::delete(cas.table, &cas.partition, key, &tests));
            }
            Mutation::DeleteRange(range) => {
                statements.push(cql::delete_range(cas.table, &cas.partition, range));
            }
        }
    }
    let writes_statics = cas
        .mutations
        .iter()
        .any(|mutation| matches!(mutation, Mutation::Upsert(upsert) if upsert.target == Target::Statics));
    let tests = tests(cas, &Target::Statics)?;
    if !writes_statics && !tests.is_empty() {
        statements.push(carrier(cas, &upsert_statics(), &tests));
    }
    Some(statements)
}

/// The tests of one row or of the statics: [`Test::NotExists`] alone, or what else there is; none where they contradict each other.
fn tests<'a>(cas: &'a Cas, target: &Target) -> Option<Vec<&'a Test>> {
    let of_it = cas.conditions.iter().filter(|condition| condition.target == *target);
    let tests: Vec<&Test> = of_it.map(|condition| &condition.test).collect();
    if !tests.contains(&&Test::NotExists) {
        return Some(tests);
    }
    let all_null = tests.iter().all(|test| matches!(test, Test::NotExists | Test::IsNull(_)));
    all_null.then(|| tests.into_iter().filter(|test| **test == Test::NotExists).take(1).collect())
}

/// A statement that carries tests and writes what is written, or stands there, anyway.
fn carrier(cas: &Cas, of: &Upsert, tests: &[&Test]) -> Statement {
    let same = of.set.first().cloned();
    let expected = || {
        tests.iter().find_map(|test| match test {
            Test::Equals(name, value) => Some((*name, value.clone())),
            Test::IsNull(name) => Some((*name, Value::Null)),
            Test::Exists | Test::NotExists => None,
        })
    };
    let set = same.or_else(expected).into_iter().collect();
    let upsert = Upsert { set, ..of.clone() };
    cql::update(cas.table, &cas.partition, &of.target, &upsert, tests)
}

/// What stands where the conditions look.
async fn current(cluster: &Cluster, cas: &Cas) -> Result<Current, Error> {
    let mut current = Current::default();
    for condition in &cas.conditions {
        if let Target::Row(key) = &condition.target
            && current.row(key).is_none()
        {
            let get = Get::row(cas.table, &cas.partition, key).latest();
            current.rows.extend(read::get(cluster, &get).await?);
        }
    }
    current.statics = read::get(cluster, &Get::statics(cas.table, &cas.partition).latest()).await?;
    Ok(current)
}

fn holds(condition: &Condition, current: &Current) -> bool {
    let row: Option<&Row> = match &condition.target {
        Target::Row(key) => current.row(key),
        Target::Statics => current.statics.as_ref(),
    };
    let cell = |name: &str| row.and_then(|row| row.value(name).ok()).unwrap_or(&Value::Null);
    match &condition.test {
        Test::NotExists => row.is_none(),
        Test::Exists => row.is_some(),
        Test::Equals(name, value) => cell(name) == value,
        Test::IsNull(name) => cell(name).is_null(),
    }
}
