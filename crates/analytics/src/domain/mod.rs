//! What the service is about, without I/O.

pub(crate) mod assessment;
pub(crate) mod change;
pub(crate) mod dirty;
pub(crate) mod entry;
pub(crate) mod profile;
pub(crate) mod standing;
