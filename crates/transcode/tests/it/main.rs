//! The transcoder from outside: against prost-reflect as the oracle, and over HTTP before a service of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod bodies;
mod codings;
mod conformance;
mod details;
mod differential;
mod forms;
mod json;
mod pool;
mod rest;
mod rules;
mod streams;
