//! How services call each other: every call goes through a [`Channel`] and arrives at a server made by [`serve`], in one process as
//! over the network, with the same deadline, credentials, trace and checks. A local channel skips sockets, nothing else.
//!
//! ```text
//! generated client -> Channel: span + RED -> deadline -> credentials -> transport (local | remote)
//!                                                                          |
//! handler <- method policy <- authentication <- context <- deadline <- panics <- span + RED
//! ```
//!
//! What a handler was called with (deadline, caller's token, trace, request id) is its task's [`Inbound`] context, and the calls that
//! it makes carry it on. Code that runs for nobody in particular (consumers, jobs) names a tenant with [`OnBehalf`] and calls with
//! the workload's own token.
//!
//! Architecture invariant: there is no way around this crate. A service gets channels, never addresses, and its server never runs
//! without [`serve`]'s layers.

mod body;
mod channel;
mod context;
pub mod deadline;
mod layer;
mod listener;
mod observe;
mod panic;
mod routed;
mod server;
mod status;
mod transport;

pub use channel::{Caller, Channel, OnBehalf};
pub use context::Inbound;
pub use deadline::DEFAULT_TIMEOUT;
pub use listener::{Listening, listen};
pub use routed::{Directory, Routed};
pub use server::{Deps, Server, serve};
pub use status::{answer, code_name};
pub use transport::Error;
