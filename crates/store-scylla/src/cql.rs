//! Statements. Names come from declared tables, which have no quotes in them; values are bound.

use crate::cells::Bound;
use crate::pages::Slice;
use bytes::Bytes;
use riskmesh_core::Timestamp;
use std::fmt::Write as _;
use std::ops;
use store::{Column, Direction, Order, Range, Role, Table, Target, Test, Type, Upsert, Value, Values};
use uuid::Uuid;

/// A statement with its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    pub(crate) cql: String,
    pub(crate) values: Vec<Bound>,
}

impl Statement {
    fn new(cql: String) -> Self {
        Self { cql, values: Vec::with_capacity(16) }
    }

    fn push(&mut self, text: &str) {
        self.cql.push_str(text);
    }

    fn bind(&mut self, value: impl Into<Bound>) {
        self.values.push(value.into());
    }

    /// Adds the columns of a partition key, as conditions after WHERE.
    fn partition(&mut self, table: &Table, key: &Values) {
        for (at, (column, value)) in table.partition.iter().zip(key.as_slice()).enumerate() {
            self.push(if at == 0 { " WHERE " } else { " AND " });
            self.equals(*column, value);
        }
    }

    /// Adds columns of the clustering key.
    fn clustering(&mut self, table: &Table, key: &[Value]) {
        for (key, value) in table.clustering.iter().zip(key) {
            self.push(" AND ");
            self.equals(key.column, value);
        }
    }

    fn equals(&mut self, column: Column, value: &Value) {
        quote(&mut self.cql, column.name);
        self.push(" = ?");
        self.bind(value);
    }

    fn bound(&mut self, column: Column, operator: [&str; 2], bound: &ops::Bound<Value>) {
        let (operator, value) = match bound {
            ops::Bound::Unbounded => return,
            ops::Bound::Included(value) => (operator[1], value),
            ops::Bound::Excluded(value) => (operator[0], value),
        };
        self.push(" AND ");
        quote(&mut self.cql, column.name);
        self.push(operator);
        self.bind(value);
    }

    fn slice(&mut self, table: &Table, slice: &Slice) {
        self.clustering(table, &slice.prefix);
        if let Some(key) = table.clustering.get(slice.prefix.len()) {
            self.bound(key.column, [" > ?", " >= ?"], &slice.low);
            self.bound(key.column, [" < ?", " <= ?"], &slice.high);
        }
    }

    fn limit(&mut self, rows: usize) {
        self.push(" LIMIT ?");
        self.values.push(Bound::Int(i32::try_from(rows).unwrap_or(i32::MAX)));
    }

    fn time_to_live(&mut self, upsert: &Upsert) {
        if let Some(ttl) = upsert.ttl {
            self.push(" USING TTL ?");
            self.values.push(Bound::Int(i32::try_from(ttl.get()).unwrap_or(i32::MAX)));
        }
    }

    fn sets(&mut self, set: &[(&'static str, Value)]) {
        for (at, (name, value)) in set.iter().enumerate() {
            self.push(if at == 0 { " SET " } else { ", " });
            quote(&mut self.cql, name);
            self.push(" = ?");
            self.bind(value);
        }
    }

    /// Adds IF with these tests: existence alone, or tests of columns, which existence follows from.
    fn conditions(&mut self, tests: &[&Test]) {
        let mut word = " IF ";
        for test in tests {
            let (name, value) = match test {
                Test::Equals(name, value) => (name, value),
                Test::IsNull(name) => (name, &Value::Null),
                Test::Exists | Test::NotExists => continue,
            };
            self.push(word);
            quote(&mut self.cql, name);
            self.push(" = ?");
            self.bind(value);
            word = " AND ";
        }
        if word == " IF " {
            self.push(" IF EXISTS");
        }
    }
}

fn quote(cql: &mut String, name: &str) {
    // Writing to a String cannot fail.
    let _ = write!(cql, "\"{name}\"");
}

/// Which columns a statement selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Select {
    /// Of one row: everything but the partition key, which is known.
    Row,
    /// Of rows of a partition: without its statics.
    Rows,
    /// Of rows of a partition, each with its statics.
    RowsWithStatics,
    /// Everything.
    All,
    /// The partition key and the statics, once a partition.
    Partition,
}

impl Select {
    /// The selected columns, each with its position among [`Table::columns`].
    pub(crate) fn columns(self, table: &Table) -> Vec<(usize, Column)> {
        let wanted = |role| match self {
            Self::Row | Self::RowsWithStatics => role != Role::Partition,
            Self::Rows => matches!(role, Role::Clustering | Role::Value),
            Self::All => true,
            Self::Partition => matches!(role, Role::Partition | Role::Static),
        };
        let all = table.columns().enumerate();
        let mut columns: Vec<_> =
            all.filter(|(_, (role, _))| wanted(*role)).map(|(at, (_, column))| (at, column)).collect();
        if columns.is_empty() {
            // A statement has to select something.
            columns.extend(table.partition.first().map(|column| (0, *column)));
        }
        columns
    }

    fn from(self, table: &Table) -> Statement {
        let mut cql = String::with_capacity(256);
        cql.push_str(if self == Self::Partition { "SELECT DISTINCT " } else { "SELECT " });
        for (at, (_, column)) in self.columns(table).into_iter().enumerate() {
            if at > 0 {
                cql.push_str(", ");
            }
            quote(&mut cql, column.name);
        }
        cql.push_str(" FROM ");
        quote(&mut cql, table.name);
        Statement::new(cql)
    }
}

pub(crate) fn select_row(table: &Table, partition: &Values, clustering: &Values) -> Statement {
    let mut statement = Select::Row.from(table);
    statement.partition(table, partition);
    statement.clustering(table, clustering.as_slice());
    statement
}

pub(crate) fn select_partition(table: &Table, partition: &Values) -> Statement {
    let mut statement = Select::Partition.from(table);
    statement.partition(table, partition);
    statement
}

/// Rows of a partition in a direction.
pub(crate) fn select_slice(
    table: &Table,
    select: Select,
    partition: &Values,
    slice: &Slice,
    direction: Direction,
    limit: usize,
) -> Statement {
    let mut statement = select.from(table);
    statement.partition(table, partition);
    statement.slice(table, slice);
    if direction == Direction::Reverse {
        for (at, key) in table.clustering.iter().enumerate() {
            statement.push(if at == 0 { " ORDER BY " } else { ", " });
            quote(&mut statement.cql, key.column.name);
            statement.push(match key.order {
                Order::Asc => " DESC",
                Order::Desc => " ASC",
            });
        }
    }
    statement.limit(limit);
    statement
}

/// Rows or partitions with tokens above the first, up to the second and with it.
pub(crate) fn select_tokens(table: &Table, select: Select, after: i64, upto: i64, limit: usize) -> Statement {
    tokens(select.from(table), table, ">", after, upto, limit)
}

/// The partitions of one token.
pub(crate) fn select_token(table: &Table, token: i64, limit: usize) -> Statement {
    tokens(Select::Partition.from(table), table, ">=", token, token, limit)
}

fn tokens(
    mut statement: Statement,
    table: &Table,
    low: &str,
    after: i64,
    upto: i64,
    limit: usize,
) -> Statement {
    let mut token = "token(".to_owned();
    for (at, column) in table.partition.iter().enumerate() {
        if at > 0 {
            token.push_str(", ");
        }
        quote(&mut token, column.name);
    }
    token.push(')');
    // Writing to a String cannot fail.
    let _ = write!(statement.cql, " WHERE {token} {low} ? AND {token} <= ?");
    statement.values.extend([Bound::BigInt(after), Bound::BigInt(upto)]);
    statement.limit(limit);
    statement
}

/// Writes columns of a row, which exists then.
pub(crate) fn insert(table: &Table, partition: &Values, upsert: &Upsert, if_absent: bool) -> Statement {
    let clustering = match &upsert.target {
        Target::Row(key) => key.as_slice(),
        Target::Statics => &[],
    };
    let keys = table.partition.iter().map(|column| column.name).zip(partition.as_slice());
    let keys = keys.chain(table.clustering.iter().map(|key| key.column.name).zip(clustering));
    let mut statement = Statement::new(String::with_capacity(256));
    statement.push("INSERT INTO ");
    quote(&mut statement.cql, table.name);
    let mut marks = String::new();
    for (at, (name, value)) in keys.chain(upsert.set.iter().map(|(name, value)| (*name, value))).enumerate() {
        statement.push(if at == 0 { " (" } else { ", " });
        quote(&mut statement.cql, name);
        statement.bind(value);
        marks.push_str(if at == 0 { "?" } else { ", ?" });
    }
    let _ = write!(statement.cql, ") VALUES ({marks})");
    if if_absent {
        statement.push(" IF NOT EXISTS");
    }
    statement.time_to_live(upsert);
    statement
}

/// Writes columns of a row or of the statics, under tests if there are any; a row that it makes lives by its cells only.
pub(crate) fn update(
    table: &Table,
    partition: &Values,
    target: &Target,
    upsert: &Upsert,
    tests: &[&Test],
) -> Statement {
    let mut statement = Statement::new(String::with_capacity(256));
    statement.push("UPDATE ");
    quote(&mut statement.cql, table.name);
    statement.time_to_live(upsert);
    statement.sets(&upsert.set);
    statement.partition(table, partition);
    if let Target::Row(key) = target {
        statement.clustering(table, key.as_slice());
    }
    if !tests.is_empty() {
        statement.conditions(tests);
    }
    statement
}

/// Deletes a row, under tests if there are any.
pub(crate) fn delete(table: &Table, partition: &Values, clustering: &Values, tests: &[&Test]) -> Statement {
    let mut statement = delete_from(table, partition);
    statement.clustering(table, clustering.as_slice());
    if !tests.is_empty() {
        statement.conditions(tests);
    }
    statement
}

/// Deletes the rows of a range.
pub(crate) fn delete_range(table: &Table, partition: &Values, range: &Range) -> Statement {
    let mut statement = delete_from(table, partition);
    statement.slice(table, &Slice::of(range));
    if let ([], Some(key)) = (range.prefix.as_slice(), table.clustering.first())
        && (&range.low, &range.high) == (&ops::Bound::Unbounded, &ops::Bound::Unbounded)
    {
        // Without a bound it would be the partition that is deleted, and its statics with it.
        statement.bound(key.column, [" > ?", " >= ?"], &ops::Bound::Included(smallest(key.column)));
    }
    statement
}

/// The value that all others of a column are above.
fn smallest(column: Column) -> Value {
    match column.kind {
        Type::Text => Value::Text("".into()),
        Type::Blob => Value::Blob(Bytes::new()),
        Type::BigInt => Value::BigInt(i64::MIN),
        Type::Int => Value::Int(i32::MIN),
        Type::Boolean => Value::Boolean(false),
        Type::Timestamp => Value::Timestamp(Timestamp(i64::MIN)),
        Type::Uuid => Value::Uuid(Uuid::nil()),
    }
}

fn delete_from(table: &Table, partition: &Values) -> Statement {
    let mut statement = Statement::new(String::with_capacity(128));
    statement.push("DELETE FROM ");
    quote(&mut statement.cql, table.name);
    statement.partition(table, partition);
    statement
}
