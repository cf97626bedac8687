//! What the service is about, without I/O.

pub(crate) mod account;
pub(crate) mod client;
pub(crate) mod entry;
pub(crate) mod hours;
