//! The HTTP front of Riskmesh: REST, gRPC, gRPC-Web and Connect on one port, everything also under `/api`.
//!
//! A request is given an id and a trace, checked against limits, routed to a method of the contract, authenticated, counted against
//! its API client's quota, and allowed or not by the policy; then REST is transcoded to gRPC, and gRPC goes on as it is, to whatever
//! serves the method. An error at any of these steps is answered in one shape. `pipeline.rs` reads in that order.
//!
//! ```ignore
//! let edge = edge::Edge::new(config.edge, edge::Deps {
//!     upstream: edge::upstream(routed),              // any gRPC service: the mesh's dispatcher, tonic::service::Routes
//!     public: edge::Public::default().with(health, &[("Check", edge::reads::<HealthCheckRequest>), …]),
//!     verifier, policy, jwks: issuer.jwks(), metrics: metrics.clone(), request_log, clock,
//! })?;
//! let listener = TcpListener::bind(config.edge.listen).await?;
//! let server = tokio::spawn(edge.serve(listener, shutdown.clone()));
//!
//! let readiness = edge::Readiness::new();            // readiness.set(true) when seeding and scoring are done
//! let admin = edge::admin(metrics, readiness.clone());
//! axum::serve(TcpListener::bind(config.admin_listen).await?, admin).await?;
//! ```
//!
//! Besides the contract's paths the edge serves `/openapi/v1.json`, `/openapi/v2.json`, `/docs` and `/.well-known/jwks.json`, to
//! anybody. [`Edge::service`] answers without a socket, for tests.
//!
//! Architecture invariant: only this crate and `transcode` know HTTP and JSON of the API; nothing here knows what a method does.
//! What differs between methods is in the contract's options.

mod activity;
mod admin;
mod body;
mod budget;
mod config;
mod contract;
mod cors;
mod deadline;
mod edge;
mod exchange;
mod fault;
mod headers;
mod leftover;
mod limiter;
mod messages;
mod openapi;
mod pace;
mod packed;
mod peer;
mod pipeline;
mod portal;
mod public;
mod request_info;
mod routes;
mod server;
mod stall;
mod translate;

pub use admin::{Readiness, admin};
pub use config::{Config, Http2, Invalid, duration};
pub use edge::{Deps, Edge, EdgeService, Error, Upstream, upstream};
pub use limiter::{Decision, RateLimiter, SharedWindow, SlidingWindow};
pub use openapi::openapi;
pub use public::{Public, Reads, reads};
