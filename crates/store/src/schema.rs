//! The stored schema, and how it may change. A backend keeps a [`Catalog`] of what its tables look like on disk. When it opens,
//! [`Catalog::reconcile`] compares that with the declared tables: new tables are created, declared changes need a
//! [`Migration`], and any other difference is an error, so that a process never reads rows by a wrong declaration.

use crate::error::Error;
use crate::table::{Column, Order, Role, Table};
use crate::token::Token;
use crate::value::Type;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One step of the schema's history. Steps are only ever added, with rising versions; one that was applied cannot be edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its place in the history; versions rise strictly.
    pub version: u32,
    /// What it is for.
    pub name: &'static str,
    /// What it changes.
    pub changes: &'static [Change],
}

/// A change to a table that exists. Keys never change: that is a new table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new value column, null in every row.
    AddColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: Column,
    },
    /// A new static column, null in every partition.
    AddStatic {
        /// The table.
        table: &'static str,
        /// The column.
        column: Column,
    },
    /// Drops a value or static column with its data.
    DropColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

/// What a backend has to do after a reconciliation, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create this table.
    Create(&'static Table),
    /// Perform this change.
    Alter(Change),
}

/// The schema as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    migrations: Vec<Applied>,
    tables: BTreeMap<String, Entry>,
}

/// An applied migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Applied {
    version: u32,
    checksum: String,
}

/// A stored table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    partition: Vec<Key>,
    clustering: Vec<Key>,
    columns: Vec<Cell>,
    next_id: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    kind: Type,
    order: Order,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cell {
    id: u8,
    name: String,
    kind: Type,
    is_static: bool,
}

impl Catalog {
    /// Brings the catalog to the declared tables: gives the steps to perform. Tables that are stored but not declared stay (they
    /// belong to another role). The catalog must be stored durably before the first row is written by it.
    pub fn reconcile(
        &mut self,
        tables: &[&'static Table],
        migrations: &[Migration],
    ) -> Result<Vec<Step>, Error> {
        for table in tables {
            table.validate()?;
        }
        let mut steps = self.migrate(migrations)?;
        for table in tables {
            if let Some(entry) = self.tables.get(table.name) {
                entry.compare(table)?;
            } else {
                self.tables.insert(table.name.to_owned(), Entry::of(table));
                steps.push(Step::Create(table));
            }
        }
        Ok(steps)
    }

    /// The ids under which the columns of a table stand in stored rows, in the order of the given columns. Ids are never used
    /// again for another column.
    pub fn column_ids(&self, table: &'static Table, columns: &[Column]) -> Result<Vec<u8>, Error> {
        let entry = self.tables.get(table.name).ok_or(Error::UnknownTable { table: table.name })?;
        let id =
            |column: &Column| entry.columns.iter().find(|cell| cell.name == column.name).map(|cell| cell.id);
        columns
            .iter()
            .map(|column| {
                id(column)
                    .ok_or_else(|| Error::NoSuchColumn { table: table.name, column: column.name.to_owned() })
            })
            .collect()
    }

    fn migrate(&mut self, migrations: &[Migration]) -> Result<Vec<Step>, Error> {
        let refuse = |what: String| Error::Schema { table: "(migrations)".to_owned(), what };
        if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version >= pair[1].version) {
            return Err(refuse(format!("version {} follows version {}", pair[1].version, pair[0].version)));
        }
        for applied in &self.migrations {
            let known = migrations.iter().find(|migration| migration.version == applied.version);
            match known {
                Some(migration) if migration.checksum() == applied.checksum => {}
                Some(_) => {
                    return Err(refuse(format!(
                        "version {} was changed after it was applied",
                        applied.version
                    )));
                }
                None => return Err(refuse(format!("applied version {} is unknown here", applied.version))),
            }
        }
        let last = self.migrations.last().map_or(0, |applied| applied.version);
        let mut steps = Vec::new();
        for migration in migrations {
            if self.migrations.iter().any(|applied| applied.version == migration.version) {
                continue;
            }
            if migration.version <= last {
                return Err(refuse(format!("version {} comes after {last} was applied", migration.version)));
            }
            for change in migration.changes {
                // A table that is not there yet will be created as it is declared now, with all its changes.
                if let Some(entry) = self.tables.get_mut(change.table()) {
                    entry.change(*change)?;
                    steps.push(Step::Alter(*change));
                }
            }
            self.migrations.push(Applied { version: migration.version, checksum: migration.checksum() });
        }
        Ok(steps)
    }
}

impl Change {
    const fn table(&self) -> &'static str {
        match self {
            Self::AddColumn { table, .. }
            | Self::AddStatic { table, .. }
            | Self::DropColumn { table, .. } => table,
        }
    }

    /// The CQL that performs this change.
    pub fn ddl(&self) -> String {
        match self {
            Self::AddColumn { table, column } => {
                format!("ALTER TABLE \"{table}\" ADD \"{}\" {};\n", column.name, column.kind)
            }
            Self::AddStatic { table, column } => {
                format!("ALTER TABLE \"{table}\" ADD \"{}\" {} static;\n", column.name, column.kind)
            }
            Self::DropColumn { table, column } => format!("ALTER TABLE \"{table}\" DROP \"{column}\";\n"),
        }
    }
}

impl Migration {
    fn checksum(&self) -> String {
        let cql: String = self.changes.iter().map(Change::ddl).collect();
        format!("{:016x}", Token::of(cql.as_bytes()).0)
    }
}

impl Entry {
    fn of(table: &Table) -> Self {
        let key = |column: Column, order| Key { name: column.name.to_owned(), kind: column.kind, order };
        let mut entry = Self {
            partition: table.partition.iter().map(|column| key(*column, Order::Asc)).collect(),
            clustering: table.clustering.iter().map(|c| key(c.column, c.order)).collect(),
            columns: Vec::new(),
            next_id: 0,
        };
        for (role, column) in table.columns() {
            if matches!(role, Role::Static | Role::Value) {
                entry.add(column, role == Role::Static);
            }
        }
        entry
    }

    fn add(&mut self, column: Column, is_static: bool) {
        let name = column.name.to_owned();
        self.columns.push(Cell { id: self.next_id, name, kind: column.kind, is_static });
        self.next_id += 1;
    }

    fn change(&mut self, change: Change) -> Result<(), Error> {
        let refuse = |what: String| Error::Schema { table: change.table().to_owned(), what };
        match change {
            Change::AddColumn { column, .. } | Change::AddStatic { column, .. } => {
                if self.columns.iter().any(|cell| cell.name == column.name) {
                    return Err(refuse(format!("column {} exists already", column.name)));
                }
                if self.next_id == u8::MAX {
                    return Err(refuse("has had too many columns".to_owned()));
                }
                self.add(column, matches!(change, Change::AddStatic { .. }));
            }
            Change::DropColumn { column, .. } => {
                let before = self.columns.len();
                self.columns.retain(|cell| cell.name != column);
                if self.columns.len() == before {
                    return Err(refuse(format!("column {column} does not exist")));
                }
            }
        }
        Ok(())
    }

    fn compare(&self, table: &'static Table) -> Result<(), Error> {
        let declared = Self::of(table);
        let refuse = |what: String| Err(Error::Schema { table: table.name.to_owned(), what });
        if self.partition != declared.partition || self.clustering != declared.clustering {
            return refuse("the declared key is not the stored one".to_owned());
        }
        for cell in &declared.columns {
            match self.columns.iter().find(|stored| stored.name == cell.name) {
                None => return refuse(format!("column {} is declared but not stored", cell.name)),
                Some(stored) if (stored.kind, stored.is_static) != (cell.kind, cell.is_static) => {
                    return refuse(format!("column {} is stored with another type", cell.name));
                }
                Some(_) => {}
            }
        }
        match self.columns.iter().find(|stored| !declared.columns.iter().any(|cell| cell.name == stored.name))
        {
            Some(stored) => refuse(format!("column {} is stored but not declared", stored.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{asc, bigint, desc, int, text, timestamp};

    static V1: Table =
        Table::new("t", &[text("p")]).clustering(&[asc(int("c"))]).values(&[text("a"), bigint("b")]);
    static V2: Table = Table::new("t", &[text("p")])
        .clustering(&[asc(int("c"))])
        .statics(&[int("s")])
        .values(&[timestamp("d"), text("a")]);
    const MIGRATION: Migration = Migration {
        version: 1,
        name: "dates instead of b",
        changes: &[
            Change::AddColumn { table: "t", column: timestamp("d") },
            Change::AddStatic { table: "t", column: int("s") },
            Change::DropColumn { table: "t", column: "b" },
        ],
    };

    #[test]
    fn unchanged_tables_need_nothing() {
        let mut catalog = Catalog::default();
        assert_eq!(catalog.reconcile(&[&V1], &[]).unwrap(), [Step::Create(&V1)]);
        assert_eq!(catalog.reconcile(&[&V1], &[]).unwrap(), []);
        assert_eq!(catalog.reconcile(&[], &[]).unwrap(), [], "tables of other roles stay");
    }

    #[test]
    fn a_changed_declaration_needs_a_migration() {
        let mut catalog = Catalog::default();
        catalog.reconcile(&[&V1], &[]).unwrap();
        let before = catalog.column_ids(&V1, V1.values).unwrap();
        let error = catalog.clone().reconcile(&[&V2], &[]).unwrap_err();
        assert_eq!(error.to_string(), "schema of table t: column s is declared but not stored");

        let steps = catalog.reconcile(&[&V2], &[MIGRATION]).unwrap();
        assert_eq!(steps, MIGRATION.changes.iter().copied().map(Step::Alter).collect::<Vec<_>>());
        let after = catalog.column_ids(&V2, V2.values).unwrap();
        assert_eq!(after[1], before[0], "column a keeps its id");
        assert!(!before.contains(&after[0]), "a new column gets a new id");
        assert_eq!(catalog.reconcile(&[&V2], &[MIGRATION]).unwrap(), []);
    }

    #[test]
    fn a_key_cannot_change() {
        static OTHER: Table =
            Table::new("t", &[text("p")]).clustering(&[desc(int("c"))]).values(&[text("a"), bigint("b")]);
        let mut catalog = Catalog::default();
        catalog.reconcile(&[&V1], &[]).unwrap();
        let error = catalog.reconcile(&[&OTHER], &[]).unwrap_err();
        assert_eq!(error.to_string(), "schema of table t: the declared key is not the stored one");
    }

    #[test]
    fn history_cannot_be_edited_or_forgotten() {
        let edited = Migration { changes: &MIGRATION.changes[..1], ..MIGRATION };
        let late = Migration { version: 2, ..edited };
        let mut catalog = Catalog::default();
        catalog.reconcile(&[&V2], &[late]).unwrap();
        for (history, complaint) in [
            (vec![], "schema of table (migrations): applied version 2 is unknown here"),
            (vec![MIGRATION, late], "schema of table (migrations): version 1 comes after 2 was applied"),
            (
                vec![Migration { version: 2, ..MIGRATION }],
                "schema of table (migrations): version 2 was changed after it was applied",
            ),
            (vec![late, edited], "schema of table (migrations): version 1 follows version 2"),
        ] {
            let error = catalog.clone().reconcile(&[&V2], &history).unwrap_err();
            assert_eq!(error.to_string(), complaint);
        }
    }

    #[test]
    fn the_ddl_of_changes() {
        let cql: String = MIGRATION.changes.iter().map(Change::ddl).collect();
        insta::assert_snapshot!(cql, @r#"
        ALTER TABLE "t" ADD "d" timestamp;
        ALTER TABLE "t" ADD "s" int static;
        ALTER TABLE "t" DROP "b";
        "#);
    }
}
