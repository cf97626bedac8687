//! How the stored schema has changed: one history for the tables of all crates. A directory that is new starts at its end.

use store::bigint;
use store::schema::{Change, Migration};

/// Steps are only ever added.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "the outbox pointer holds what is to be told of recorded entries",
        changes: &[Change::DropColumn { table: "transactions", column: "pending" }],
    },
    Migration {
        version: 2,
        name: "scores have a history, whose changes are numbered",
        changes: &[
            Change::AddColumn { table: "scores", column: bigint("change") },
            Change::AddColumn { table: "scores", column: bigint("born") },
        ],
    },
];
