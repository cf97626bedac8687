//! The edge before services that are made for these tests: they speak the contract's traits, and answer by the ids they are asked for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod connect;
mod errors;
mod grpc;
mod headers;
mod limits;
mod pages;
mod reference;
mod routing;
mod server;
mod services;
mod world;
