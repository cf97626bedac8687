//! Who may do what. Cedar policies (`cedar/`) are the one place that says so; deny is the default. What the contract calls
//! public is not asked about: it is for everybody.
//!
//! [`Policy::allows`]: may this caller call this method? Asked on every call, so every role and workload is asked about every
//! permission of the contract once, at start, and the answers lie in an array. Whose data a call may see is no question of policy: the
//! tenant is the boundary, and services read and write within that of the caller's token.

mod compiled;
mod engine;
mod layer;

pub use compiled::{Policy, WORKLOADS};
pub use engine::Invalid;
pub use layer::{MethodPolicy, MethodPolicyLayer};
