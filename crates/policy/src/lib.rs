//! Who may do what. Cedar policies (`cedar/`) are the one place that says so; deny is the default. What the contract calls
//! public is not asked about: it is for everybody.
//!
//! Two questions, one source. [`Policy::allows`]: may this caller call this method? Asked on every call, so every role and workload
//! is asked about every permission of the contract once, at start, and the answers lie in an array. [`Policy::resource`]: may it do
//! that to this resource? Asked by handlers that know the resource, decided by Cedar then.

mod compiled;
mod engine;
mod layer;

pub use compiled::{Policy, WORKLOADS};
pub use engine::{Denied, Invalid, Resource};
pub use layer::{MethodPolicy, MethodPolicyLayer};
