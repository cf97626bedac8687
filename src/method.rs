//! What holds for each method, read from the proto options at build time: the only list of permissions, limits and timeouts.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

/// One method of the contract.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own in the protos")]
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// The gRPC path: `/riskmesh.clients.v1.ClientsService/GetClient`.
    pub path: &'static str,
    /// The full name of its service.
    pub service: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What a caller must be permitted: `clients.read`; empty where the method is [public](Self::public).
    pub permission: &'static str,
    /// Whether anybody may call it, without a token.
    pub public: bool,
    /// Which quota it counts against.
    pub rate_limit: RateLimit,
    /// The HTTP status of success.
    pub success_status: u16,
    /// The longest a call may take, in milliseconds; 0 is the server's default.
    pub timeout_ms: u32,
    /// Whether repeating it is safe.
    pub idempotency: Idempotency,
    /// Whether an `Idempotency-Key` is taken.
    pub idempotency_key: bool,
    /// How answers may be cached.
    pub cache: Cache,
    /// Set when a newer version replaces it.
    pub deprecation: Option<Deprecation>,
    /// Whether the caller streams.
    pub client_streaming: bool,
    /// Whether the server streams.
    pub server_streaming: bool,
    /// Whether it is reachable over REST; the others are between services.
    pub http: bool,
}

/// Which quota a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// The API client's.
    Standard,
    /// None.
    Exempt,
}

/// Whether repeating a call is safe (`idempotency_level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Not said: it is not.
    Unknown,
    /// It changes nothing.
    NoSideEffects,
    /// Twice is as once.
    Idempotent,
}

/// How answers may be cached by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// `no-store`.
    NoStore,
    /// `private, no-cache`, with an ETag.
    Revalidate,
    /// `public`.
    Public,
}

/// A method that a newer one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Since when, YYYY-MM-DD.
    pub since: &'static str,
    /// When it goes away, YYYY-MM-DD.
    pub sunset: &'static str,
    /// Its successor's path.
    pub successor: &'static str,
}

impl Method {
    /// The method at a gRPC path.
    pub fn find(path: &str) -> Option<&'static Self> {
        static BY_PATH: LazyLock<HashMap<&'static str, &'static Method>> =
            LazyLock::new(|| METHODS.iter().map(|method| (method.path, method)).collect());
        BY_PATH.get(path).copied()
    }

    /// Whether a call of this path needs no token. One that is sent all the same must be valid.
    pub fn is_public(path: &str) -> bool {
        Self::find(path).is_some_and(|method| method.public)
    }

    /// The longest a call may take where the method says so.
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(u64::from(self.timeout_ms)))
    }
}

#[allow(clippy::unreadable_literal, reason = "generated")]
mod table {
    use super::{Cache, Deprecation, Idempotency, Method, RateLimit};
    include!(concat!(env!("OUT_DIR"), "/methods.rs"));
}
pub use table::METHODS;
