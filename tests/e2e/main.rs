//! The product from outside: a real process on a temporary directory, called through its sockets. One binary, a module a behaviour.

#![allow(unreachable_pub, reason = "nothing of a test binary is reachable")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod admin;
mod command_line;
mod contract;
mod durability;
mod engines;
mod events;
mod grpc;
mod import;
mod paying;
mod payments;
mod portfolio;
mod quotas;
mod reference;
mod rest;
mod scoring;
mod support;
mod sweep;
mod users;
mod watch;
mod worked_example;
mod world;
