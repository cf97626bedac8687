//! What every backend must pass: records and their places ([`log`]), limits and what is not there ([`edges`]), consumers, quarantine
//! and relay over it ([`groups`]), and replay ([`replay`]). A backend's tests say `bus::bus_suite!(async |topic| …);` with a closure that opens the backend with
//! that topic and gives a [`Subject`], and get one `#[test]` a behaviour. Every test has a topic of its own.

pub mod edges;
pub mod groups;
pub mod log;
pub mod replay;
mod support;

use crate::topic::Topic;
use crate::traits::Bus;
use riskmesh_core::ManualClock;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Store, Table};

/// State rows of a service, for the outbox.
pub static STATE: Table = Table::new("suite_state", &[store::text("name")])
    .values(&[store::bigint("version"), store::boolean("pending")]);

/// A backend under test.
pub struct Subject {
    /// The backend, with [`topic`](Self::topic).
    pub bus: Arc<dyn Bus>,
    /// A store with the tables of this crate and [`STATE`].
    pub store: Arc<dyn Store>,
    /// What the backend takes the time from. It begins at about the time of the machine: a broker drops what is old.
    pub clock: Arc<ManualClock>,
    /// Three partitions, and nobody else's.
    pub topic: Topic,
    /// Lives as long as the test: a directory.
    pub keep: Arc<dyn Any + Send + Sync>,
}

/// A topic that no test has used.
pub fn fresh_topic() -> Topic {
    static TOPICS: AtomicU64 = AtomicU64::new(0);
    let name = format!("suite-{}-{}", std::process::id(), TOPICS.fetch_add(1, Ordering::Relaxed));
    // A declaration lives as long as its process.
    Topic { name: name.leak(), partitions: 3, retention: Duration::from_hours(24) }
}

/// Declares one `#[test]` for each behaviour of a bus. The argument is an async closure or function that takes a [`Topic`] and gives a
/// [`Subject`] that was opened with it.
#[macro_export]
macro_rules! bus_suite {
    ($factory:expr) => {
        $crate::bus_suite! { @tests $factory; log;
            a_record_comes_back_as_it_was_published
            records_of_a_key_keep_their_order_in_the_partition_of_java
            records_without_a_key_spread_over_partitions
            concurrent_publishers_keep_their_order
            a_large_publication_is_appended_in_order
            a_fetch_waits_for_the_next_record
            a_fetch_keeps_to_its_bounds
            reading_on_from_the_last_record_misses_nothing
            readers_of_a_partition_do_not_hinder_each_other
            offsets_are_found_by_time
        }
        $crate::bus_suite! { @tests $factory; edges;
            what_is_not_there_is_an_error
            what_is_too_large_is_refused_and_nothing_of_it_is_published
            the_largest_record_is_taken
            calls_that_are_dropped_do_no_harm
        }
        $crate::bus_suite! { @tests $factory; groups;
            a_group_handles_everything_and_goes_on_where_it_was
            two_members_share_the_partitions
            poison_is_quarantined_and_the_others_go_on
            the_relay_publishes_what_was_left_behind
        }
        $crate::bus_suite! { @tests $factory; replay;
            what_is_replayed_is_published_again_as_it_was
            offsets_bound_a_replay_within_a_partition
            times_bound_a_replay_whether_or_not_a_record_has_them
            consumers_get_what_is_replayed_beside_what_is_new
            poison_that_is_replayed_goes_back_to_its_topic
            a_group_that_is_rewound_handles_everything_again_from_there
            what_cannot_be_replayed_is_told
        }
    };
    (@tests $factory:expr; $module:ident; $($name:ident)*) => { $(
        #[test]
        fn $name() {
            let runtime = ::tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let subject = ($factory)($crate::suite::fresh_topic()).await;
                $crate::suite::$module::$name(&subject).await;
            });
        }
    )* };
}
