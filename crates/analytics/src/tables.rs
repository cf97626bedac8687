//! The tables of this service. All rows but those of the history and of onlookers are written conditionally only: a result that was computed
//! from older inputs never stands over one from newer inputs.

use store::{Table, asc, bigint, blob, boolean, desc, int, text, timestamp};

/// What is kept of an account: one row a UTC hour that has entries, with the canonical bytes of its [`risk::HourState`]. An hour is
/// a pure function of its entries; it is recomputed and replaced, never incremented. `version` counts the writes to the partition.
pub(crate) static ACCOUNT_STATE: Table = Table::new("account_state", &[text("tenant"), text("account_id")])
    .clustering(&[asc(bigint("hour"))])
    .statics(&[bigint("version")])
    .values(&[blob("state")]);

/// One row a client that was ever scored. A deleted client stays as a tombstone.
pub(crate) static SCORES: Table = Table::new("scores", &[text("tenant"), text("client_id")]).values(&[
    // Every scoring counts `revision` up, also one that changes nothing: it guards the row. `version` counts what callers can
    // see: it is the ETag.
    bigint("revision"),
    bigint("version"),
    bigint("ordinal"),
    int("pending"),
    boolean("deleted"),
    int("score"),
    int("previous_score"),
    text("category"),
    int("confidence_bp"),
    blob("reasons"),
    text("model_version"),
    text("refdata_version"),
    timestamp("as_of"),
    blob("state_hash"),
    timestamp("updated_at"),
    // State of the alert, not of the score: outside of the hash.
    boolean("alerted"),
    // Numbers in the history: of the last change, and of the first one of the client that there is now.
    bigint("change"),
    bigint("born"),
]);

/// Every change of a client's risk, numbered without gaps; `bucket` is the number divided by [`HISTORY_BUCKET`]. What a number stands
/// for is settled when the score is written, so a row always has the same content and may be written again.
pub(crate) static SCORE_HISTORY: Table =
    Table::new("score_history", &[text("tenant"), text("client_id"), bigint("bucket")])
        .clustering(&[desc(bigint("change"))])
        .values(&[
            int("score"),
            int("previous_score"),
            text("category"),
            int("confidence_bp"),
            blob("reasons"),
            text("model_version"),
            text("refdata_version"),
            timestamp("as_of"),
            blob("state_hash"),
            timestamp("updated_at"),
        ]);

/// Changes of one partition: a change with many reasons takes some tens of kilobytes.
pub(crate) const HISTORY_BUCKET: i64 = 1024;

/// One row: how far the scores have been brought up to the model and the reference data that it names.
pub(crate) static SCORE_SWEEP: Table = Table::new("score_sweep", &[text("name")]).values(&[
    bigint("revision"),
    text("model_version"),
    text("refdata_version"),
    blob("resume"),
    boolean("done"),
]);

/// Clients whose scores were computed with entries of an account that is not theirs: one row a client and season of 90 days that it
/// looked at. There is nothing but keys, so it does not matter who writes a row, or how often.
pub(crate) static ONLOOKERS: Table =
    Table::new("onlookers", &[text("tenant"), text("account_id"), bigint("season")])
        .clustering(&[asc(text("client_id"))]);

/// All tables of this service.
pub static ALL: &[&Table] = &[&ACCOUNT_STATE, &SCORES, &SCORE_HISTORY, &SCORE_SWEEP, &ONLOOKERS];
