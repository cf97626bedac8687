//! The contract: Protobuf messages, gRPC service traits and clients, the descriptor set, the table of methods with their policies,
//! and the validation of requests. All of it is generated from `proto/` at build time, but for what every service says alike: times,
//! pages, patches and entity tags.
//!
//! Packages carry versions, and so do modules: [`analytics::v1`] and [`analytics::v2`] live side by side.

pub mod codec;
pub mod etag;
pub mod method;
pub mod page;
pub mod patch;
pub mod spelling;
pub mod validate;

pub use method::Method;
pub use spelling::Spelled;
pub use validate::Validate;

/// The compiled contract: a serialised `google.protobuf.FileDescriptorSet` with all options and comments.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/riskmesh.binpb"));

macro_rules! packages {
    ($($(#[$doc:meta])* $service:ident { $($version:ident = $package:literal),* })*) => {
        $(
            $(#[$doc])*
            pub mod $service {
                $(
                    /// This version of the package.
                    #[allow(clippy::all, clippy::pedantic, clippy::expect_used, missing_docs, unreachable_pub)]
                    pub mod $version {
                        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
                    }
                )*
            }
        )*
    };
}

packages! {
    /// What all services share.
    common { v1 = "riskmesh.common.v1" }
    /// Clients, accounts, addresses.
    clients { v1 = "riskmesh.clients.v1" }
    /// Entries on accounts.
    transactions { v1 = "riskmesh.transactions.v1" }
    /// Orders to move money.
    payments { v1 = "riskmesh.payments.v1" }
    /// Portfolios, their trades and positions.
    portfolios { v1 = "riskmesh.portfolios.v1" }
    /// Instruments, their prices, and the risk of portfolios by them.
    market { v1 = "riskmesh.market.v1" }
    /// Risk scores.
    analytics { v1 = "riskmesh.analytics.v1", v2 = "riskmesh.analytics.v2" }
    /// Users of a tenant.
    users { v1 = "riskmesh.users.v1" }
    /// Countries, currencies, exchange rates, risk lists.
    reference { v1 = "riskmesh.reference.v1" }
    /// What services tell each other through the log.
    events { v1 = "riskmesh.events.v1" }
    /// What whoever runs a deployment does with it.
    operator { v1 = "riskmesh.operator.v1" }
}

/// Conversions between our time and the contract's.
pub mod time {
    use riskmesh_core::Timestamp;

    /// As the contract has it.
    pub fn to_proto(at: Timestamp) -> prost_types::Timestamp {
        prost_types::Timestamp {
            seconds: at.0.div_euclid(1000),
            nanos: i32::try_from(at.0.rem_euclid(1000) * 1_000_000).unwrap_or(0),
        }
    }

    /// As we have it, finer than a millisecond cut off; validation has bounded it before.
    pub fn from_proto(at: &prost_types::Timestamp) -> Timestamp {
        Timestamp(at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos / 1_000_000)))
    }
}
