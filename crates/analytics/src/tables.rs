//! The tables of this service. All rows are written conditionally only: a result that was computed from older inputs never stands
//! over one from newer inputs.

use store::{Table, asc, bigint, blob, boolean, int, text, timestamp};

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
]);

/// One row: how far the scores have been brought up to the model and the reference data that it names.
pub(crate) static SCORE_SWEEP: Table = Table::new("score_sweep", &[text("name")]).values(&[
    bigint("revision"),
    text("model_version"),
    text("refdata_version"),
    blob("resume"),
    boolean("done"),
]);

/// All tables of this service.
pub static ALL: &[&Table] = &[&ACCOUNT_STATE, &SCORES, &SCORE_SWEEP];
