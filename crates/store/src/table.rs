//! Table declarations: the one place where a table's columns, types and clustering order are written down. A service declares
//! `pub static CLIENTS: Table = Table::new("clients", &[text("tenant"), text("client_id")]).values(&[…]);` and both the embedded
//! key layout and the CQL `CREATE TABLE` come from it.

use crate::error::Error;
use crate::limits;
use crate::value::Type;
use std::fmt::Write as _;

/// A named, typed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Lower-case ASCII: `[a-z][a-z0-9_]*`, at most 48 bytes.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
}

/// A [`Type::Text`] column.
pub const fn text(name: &'static str) -> Column {
    Column { name, kind: Type::Text }
}

/// A [`Type::Blob`] column.
pub const fn blob(name: &'static str) -> Column {
    Column { name, kind: Type::Blob }
}

/// A [`Type::BigInt`] column.
pub const fn bigint(name: &'static str) -> Column {
    Column { name, kind: Type::BigInt }
}

/// A [`Type::Int`] column.
pub const fn int(name: &'static str) -> Column {
    Column { name, kind: Type::Int }
}

/// A [`Type::Boolean`] column.
pub const fn boolean(name: &'static str) -> Column {
    Column { name, kind: Type::Boolean }
}

/// A [`Type::Timestamp`] column.
pub const fn timestamp(name: &'static str) -> Column {
    Column { name, kind: Type::Timestamp }
}

/// A [`Type::Uuid`] column.
pub const fn uuid(name: &'static str) -> Column {
    Column { name, kind: Type::Uuid }
}

/// The order of a clustering column inside a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// A clustering column with its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clustering {
    /// The column.
    pub column: Column,
    /// Its order.
    pub order: Order,
}

/// A clustering column, smallest first.
pub const fn asc(column: Column) -> Clustering {
    Clustering { column, order: Order::Asc }
}

/// A clustering column, largest first.
pub const fn desc(column: Column) -> Clustering {
    Clustering { column, order: Order::Desc }
}

/// A table: rows live in partitions, ordered by their clustering key; static columns have one value a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// `[a-z][a-z0-9_]*`, at most 48 bytes; unique in a store.
    pub name: &'static str,
    /// The partition key: what is stored together and what a batch is atomic over. At least one column.
    pub partition: &'static [Column],
    /// The clustering key; a table without one has one row a partition.
    pub clustering: &'static [Clustering],
    /// Columns with one value a partition; only in a table with a clustering key.
    pub statics: &'static [Column],
    /// The columns of a row that are not part of its key; nullable.
    pub values: &'static [Column],
}

/// Where a column stands in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// In the partition key.
    Partition,
    /// In the clustering key.
    Clustering,
    /// A static column.
    Static,
    /// A value column.
    Value,
}

impl Table {
    /// A table with this name and partition key, and nothing else yet.
    pub const fn new(name: &'static str, partition: &'static [Column]) -> Self {
        Self { name, partition, clustering: &[], statics: &[], values: &[] }
    }

    /// With this clustering key.
    #[must_use]
    pub const fn clustering(mut self, clustering: &'static [Clustering]) -> Self {
        self.clustering = clustering;
        self
    }

    /// With these static columns.
    #[must_use]
    pub const fn statics(mut self, statics: &'static [Column]) -> Self {
        self.statics = statics;
        self
    }

    /// With these value columns.
    #[must_use]
    pub const fn values(mut self, values: &'static [Column]) -> Self {
        self.values = values;
        self
    }

    /// Every column in the order of a [`Row`](crate::Row)'s cells: partition, clustering, statics, values.
    pub fn columns(&self) -> impl Iterator<Item = (Role, Column)> + '_ {
        let partition = self.partition.iter().map(|column| (Role::Partition, *column));
        let clustering = self.clustering.iter().map(|key| (Role::Clustering, key.column));
        let statics = self.statics.iter().map(|column| (Role::Static, *column));
        let values = self.values.iter().map(|column| (Role::Value, *column));
        partition.chain(clustering).chain(statics).chain(values)
    }

    /// How many columns there are.
    pub const fn width(&self) -> usize {
        self.partition.len() + self.clustering.len() + self.statics.len() + self.values.len()
    }

    /// The position of a column among [`Table::columns`], with its type.
    pub fn position(&self, name: &str) -> Result<(usize, Column), Error> {
        self.columns()
            .enumerate()
            .find_map(|(position, (_, column))| (column.name == name).then_some((position, column)))
            .ok_or_else(|| Error::NoSuchColumn { table: self.name, column: name.to_owned() })
    }

    /// Checks the declaration itself: names, at least one partition column, no column twice, statics only with a clustering key.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Declaration { table: self.name, what });
        if !is_name(self.name) {
            return refuse("the table's name is not [a-z][a-z0-9_]{0,47}".to_owned());
        }
        if self.partition.is_empty() {
            return refuse("there is no partition column".to_owned());
        }
        if !self.statics.is_empty() && self.clustering.is_empty() {
            return refuse("static columns need a clustering key".to_owned());
        }
        if self.width() > limits::COLUMNS {
            return refuse(format!("more than {} columns", limits::COLUMNS));
        }
        let mut seen = std::collections::BTreeSet::new();
        for (_, column) in self.columns() {
            if !is_name(column.name) {
                return refuse(format!("column name {:?} is not [a-z][a-z0-9_]{{0,47}}", column.name));
            }
            if !seen.insert(column.name) {
                return refuse(format!("column {} is declared twice", column.name));
            }
        }
        Ok(())
    }

    /// The CQL that creates this table in the session's keyspace; names are quoted, so no CQL keyword can clash.
    pub fn ddl(&self) -> String {
        let mut cql = format!("CREATE TABLE IF NOT EXISTS \"{}\" (\n", self.name);
        for (role, column) in self.columns() {
            let suffix = if role == Role::Static { " static" } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(cql, "    \"{}\" {}{suffix},", column.name, column.kind.cql());
        }
        let quote = |name: &str| format!("\"{name}\"");
        let partition: Vec<_> = self.partition.iter().map(|column| quote(column.name)).collect();
        let clustering: Vec<_> = self.clustering.iter().map(|key| quote(key.column.name)).collect();
        let _ = write!(cql, "    PRIMARY KEY (({})", partition.join(", "));
        for name in &clustering {
            let _ = write!(cql, ", {name}");
        }
        cql.push_str(")\n)");
        if self.clustering.iter().any(|key| key.order == Order::Desc) {
            let orders: Vec<_> = self
                .clustering
                .iter()
                .map(|key| {
                    let order = if key.order == Order::Desc { "DESC" } else { "ASC" };
                    format!("{} {order}", quote(key.column.name))
                })
                .collect();
            let _ = write!(cql, " WITH CLUSTERING ORDER BY ({})", orders.join(", "));
        }
        cql.push_str(";\n");
        cql
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 48
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    static TRANSACTIONS: Table =
        Table::new("transactions", &[text("tenant"), text("account_id"), int("bucket")])
            .clustering(&[desc(timestamp("ts")), asc(text("txn_id"))])
            .statics(&[bigint("rows")])
            .values(&[uuid("transfer_id"), bigint("minor"), blob("note"), boolean("booked")]);
    static CLIENTS: Table =
        Table::new("clients", &[text("tenant"), text("client_id")]).values(&[bigint("version")]);

    #[test]
    fn declarations_become_typed_cql_tables() {
        insta::assert_snapshot!(format!("{}{}", TRANSACTIONS.ddl(), CLIENTS.ddl()), @r#"
        CREATE TABLE IF NOT EXISTS "transactions" (
            "tenant" text,
            "account_id" text,
            "bucket" int,
            "ts" timestamp,
            "txn_id" text,
            "rows" bigint static,
            "transfer_id" uuid,
            "minor" bigint,
            "note" blob,
            "booked" boolean,
            PRIMARY KEY (("tenant", "account_id", "bucket"), "ts", "txn_id")
        ) WITH CLUSTERING ORDER BY ("ts" DESC, "txn_id" ASC);
        CREATE TABLE IF NOT EXISTS "clients" (
            "tenant" text,
            "client_id" text,
            "version" bigint,
            PRIMARY KEY (("tenant", "client_id"))
        );
        "#);
    }

    #[test]
    fn bad_declarations_are_refused() {
        static NO_KEY: Table = Table::new("t", &[]);
        static TWICE: Table = Table::new("t", &[text("a")]).values(&[int("a")]);
        static LONELY_STATIC: Table = Table::new("t", &[text("a")]).statics(&[int("s")]);
        static SHOUTING: Table = Table::new("T", &[text("a")]);
        let complaint = |table: &'static Table| table.validate().map_err(|error| error.to_string());
        assert_eq!(complaint(&TRANSACTIONS), Ok(()));
        for (table, what) in [
            (&NO_KEY, "declaration of table t: there is no partition column"),
            (&TWICE, "declaration of table t: column a is declared twice"),
            (&LONELY_STATIC, "declaration of table t: static columns need a clustering key"),
            (&SHOUTING, "declaration of table T: the table's name is not [a-z][a-z0-9_]{0,47}"),
        ] {
            assert_eq!(complaint(table), Err(what.to_owned()));
        }
    }
}
