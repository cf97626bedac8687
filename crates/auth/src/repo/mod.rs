//! The tables, read and written.

pub(crate) mod users;
