//! Calls between services, in one process and over loopback: what holds for one must hold for the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate riskmesh_mesh as mesh;

mod context;
mod credentials;
mod deadlines;
mod failures;
mod listening;
mod parity;
mod routing;
mod world;

/// Makes two tests of an `async fn(Wire)`: the same, over each transport.
macro_rules! over_both {
    ($($(#[$doc:meta])* async fn $name:ident($wire:ident: $kind:ty) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$doc])*
            async fn run($wire: $kind) $body

            #[tokio::test]
            async fn local() {
                run($crate::world::Wire::Local).await;
            }

            #[tokio::test]
            async fn remote() {
                run($crate::world::Wire::Remote).await;
            }
        }
    )*};
}
pub(crate) use over_both;
