//! Faults that take minutes: `cargo xtask soak`. Its last result is in docs/faults.md.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "helpers of the end-to-end tests are shared, not all of them used"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod engines;
#[path = "../e2e/paying.rs"]
mod paying;
#[path = "../e2e/scoring.rs"]
mod scoring;
#[path = "../e2e/support.rs"]
mod support;
#[path = "../e2e/world.rs"]
mod world;
