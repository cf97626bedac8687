//! What the service is about, without I/O.

pub(crate) mod user;
