//! The edge before services that are made for these tests: they speak the contract's traits, and answer by the ids they are asked for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod compression;
mod connect;
mod errors;
mod framing;
mod grpc;
mod headers;
mod limits;
mod memory;
mod pages;
mod quotas;
mod reference;
mod routing;
mod server;
mod services;
mod world;
