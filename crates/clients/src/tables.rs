//! The tables of this service. Rows of all but the entries' ids are written conditionally only, so that versions and counts are exact.

use store::{Table, asc, bigint, blob, boolean, desc, int, text, timestamp};

/// One row a client. A deleted client stays as a tombstone: its id answers "gone" differently from "never there".
pub(crate) static CLIENTS: Table = Table::new("clients", &[text("tenant"), text("client_id")]).values(&[
    bigint("version"),
    bigint("ordinal"),
    boolean("pending"),
    boolean("deleted"),
    blob("name"),
    blob("address"),
    int("type"),
    int("status"),
    text("residence_country"),
    text("nationality"),
    text("incorporation_country"),
    text("industry"),
    int("ownership_layers"),
    text("onboarded_on"),
    text("reviewed_on"),
    timestamp("created_at"),
    timestamp("updated_at"),
]);

/// One row an account.
pub(crate) static ACCOUNTS: Table = Table::new("accounts", &[text("tenant"), text("account_id")]).values(&[
    bigint("version"),
    boolean("pending"),
    boolean("deleted"),
    text("client_id"),
    text("currency"),
    int("type"),
    int("status"),
    timestamp("created_at"),
    timestamp("updated_at"),
]);

/// The accounts of a client. `closed` stops new ones while the client is being deleted; `count` is exact.
pub(crate) static ACCOUNTS_BY_CLIENT: Table =
    Table::new("accounts_by_client", &[text("tenant"), text("client_id")])
        .clustering(&[asc(text("account_id"))])
        .statics(&[int("count"), boolean("closed")])
        .values(&[boolean("listed")]);

/// The months in which an account has entries. `used` and `closed` exclude each other: an account with entries is not deleted.
pub(crate) static TRANSACTION_BUCKETS: Table =
    Table::new("transaction_buckets", &[text("tenant"), text("account_id")])
        .clustering(&[desc(int("bucket"))])
        .statics(&[boolean("used"), boolean("closed")])
        .values(&[boolean("present")]);

/// The entries of one account in one month. `hours` counts them by UTC hour and changes with them, so totals and offsets are
/// exact.
pub(crate) static TRANSACTIONS: Table =
    Table::new("transactions", &[text("tenant"), text("account_id"), int("bucket")])
        .clustering(&[desc(timestamp("booked_at")), desc(text("transaction_id"))])
        .statics(&[bigint("version"), blob("hours"), text("client_id")])
        .values(&[
            text("transfer_id"),
            int("direction"),
            bigint("amount_minor"),
            text("currency"),
            blob("counterparty_account"),
            text("counterparty_country"),
            int("type"),
            int("channel"),
        ]);

/// Where an entry lives, by id: look-up, and deduplication whatever its timestamp.
pub(crate) static TRANSACTION_IDS: Table =
    Table::new("transaction_ids", &[text("tenant"), text("transaction_id")]).values(&[
        text("account_id"),
        timestamp("booked_at"),
        blob("content"),
    ]);

/// One row a payment.
pub(crate) static PAYMENTS: Table = Table::new("payments", &[text("tenant"), text("payment_id")]).values(&[
    bigint("version"),
    bigint("ordinal"),
    int("status"),
    text("account_id"),
    text("client_id"),
    bigint("amount_minor"),
    text("currency"),
    blob("counterparty_account"),
    text("counterparty_country"),
    blob("reference"),
    timestamp("created_at"),
]);

/// One row a portfolio. A deleted one stays as a tombstone.
pub(crate) static PORTFOLIOS: Table = Table::new("portfolios", &[text("tenant"), text("portfolio_id")])
    .values(&[
        bigint("version"),
        bigint("ordinal"),
        boolean("deleted"),
        blob("name"),
        text("base_currency"),
        text("client_id"),
        timestamp("created_at"),
        timestamp("updated_at"),
    ]);

/// The trades of a portfolio, spread by their ids. `holdings` is what those of a partition add up to, and changes with them.
pub(crate) static TRADES: Table = Table::new("trades", &[text("tenant"), text("portfolio_id"), int("shard")])
    .clustering(&[asc(text("trade_id"))])
    .statics(&[bigint("version"), blob("holdings")])
    .values(&[
        bigint("ordinal"),
        boolean("deleted"),
        text("instrument_id"),
        int("side"),
        bigint("quantity"),
        bigint("price"),
        text("currency"),
        text("counterparty_id"),
        timestamp("executed_at"),
    ]);

/// One row a client that ever set preferences. `client_since` tells it from an earlier client of the same id.
pub(crate) static CLIENT_PREFERENCES: Table =
    Table::new("client_preferences", &[text("tenant"), text("client_id")]).values(&[
        bigint("version"),
        blob("content"),
        timestamp("client_since"),
    ]);

/// All tables of this service.
pub static ALL: &[&Table] = &[
    &CLIENTS,
    &ACCOUNTS,
    &ACCOUNTS_BY_CLIENT,
    &TRANSACTION_BUCKETS,
    &TRANSACTIONS,
    &TRANSACTION_IDS,
    &PAYMENTS,
    &PORTFOLIOS,
    &TRADES,
    &CLIENT_PREFERENCES,
];
