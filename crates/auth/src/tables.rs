//! The tables of this service. Rows are written conditionally only.

use store::{Table, bigint, blob, int, text, timestamp};

/// One row a user. Name, display name and the password's hash are sealed; the id is the blind index of the name, so that a name is
/// taken once and found by one read.
pub(crate) static USERS: Table = Table::new("users", &[text("tenant"), text("user_id")]).values(&[
    bigint("version"),
    bigint("ordinal"),
    blob("user_name"),
    blob("display_name"),
    int("role"),
    int("status"),
    blob("password"),
    timestamp("created_at"),
    timestamp("updated_at"),
]);

/// All tables of this service.
pub static ALL: &[&Table] = &[&USERS];
