//! The one binary as a library.
