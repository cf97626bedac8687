//! The transcoder from outside: against prost-reflect as the oracle, and over HTTP before a service of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod behavior;
mod bodies;
mod broken_uploads;
mod codings;
mod conformance;
mod connect;
mod connect_streams;
mod deadlines;
mod details;
mod differential;
mod etag;
mod features;
mod forms;
mod grpc_web;
mod hostile;
mod json;
#[cfg(feature = "openapi")]
mod openapi;
mod partial;
mod policy;
mod pool;
mod ports;
#[cfg(feature = "reflection")]
mod reflection;
mod rest;
mod routing_headers;
mod rule_files;
mod rules;
mod streams;
mod swap;
#[cfg(feature = "websocket")]
mod websocket;
#[cfg(feature = "websocket")]
mod websocket_bounds;
#[cfg(feature = "websocket")]
mod websocket_http2;
#[cfg(feature = "websocket")]
mod websocket_pressure;
