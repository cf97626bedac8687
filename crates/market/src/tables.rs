//! The tables of this service. Rows are written conditionally only.

use store::{Table, asc, bigint, text, timestamp};

/// One row an instrument.
pub(crate) static INSTRUMENTS: Table = Table::new("instruments", &[text("tenant"), text("instrument_id")])
    .values(&[
        bigint("version"),
        bigint("ordinal"),
        text("name"),
        text("currency"),
        text("country"),
        text("sector"),
        timestamp("created_at"),
        timestamp("updated_at"),
    ]);

/// An instrument's prices, one a day, in 10^-8 of its currency. `version` counts the writes to the partition: a corrected price is
/// replaced, and whoever corrects has seen what was there.
pub(crate) static PRICES: Table = Table::new("prices", &[text("tenant"), text("instrument_id")])
    .clustering(&[asc(text("date"))])
    .statics(&[bigint("version")])
    .values(&[bigint("price")]);

/// All tables of this service.
pub static ALL: &[&Table] = &[&INSTRUMENTS, &PRICES];
