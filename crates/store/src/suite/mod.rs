//! What every backend must pass: behaviour by behaviour ([`conformance`], [`conditions`], [`expiry`], [`tables`]), random
//! operations against a model ([`model`]), many writers of one row ([`races`]), and callers that live with unknown outcomes ([`unknown`]). A backend's tests say
//! `store::store_suite!(async || …);` with a closure that gives a [`Subject`], and get one `#[test]` a behaviour. The macro uses
//! the caller's `tokio` and `proptest`, so nothing of the kind is linked into a product. Every test works in a space of its own,
//! so the factory may give the same store each time.

pub mod conditions;
pub mod conformance;
pub mod expiry;
pub mod model;
pub mod races;
mod support;
pub mod tables;
pub mod unknown;

use crate::store::Store;
use crate::table::{Table, asc, bigint, blob, boolean, desc, int, text, timestamp, uuid};
use crate::value::Values;
use futures::future::BoxFuture;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A table with everything: several key columns of both orders, statics, values of every type.
pub static WIDE: Table = Table::new("suite_wide", &[text("space"), int("part")])
    .clustering(&[asc(text("a")), desc(bigint("b"))])
    .statics(&[text("s_text"), bigint("s_number")])
    .values(&[
        text("v_text"),
        bigint("v_number"),
        int("v_small"),
        blob("v_blob"),
        boolean("v_flag"),
        timestamp("v_at"),
        uuid("v_id"),
    ]);

/// A table with one row a partition.
pub static PLAIN: Table =
    Table::new("suite_plain", &[text("space"), text("id")]).values(&[text("v_text"), bigint("v_number")]);

/// A table without value columns, whose partition key is one text.
pub static INDEX: Table = Table::new("suite_index", &[text("id")]).clustering(&[desc(uuid("member"))]);

/// The tables that the store under test must be opened with.
pub const TABLES: [&Table; 3] = [&WIDE, &PLAIN, &INDEX];

/// Moves the time of the store under test.
type Advance = Arc<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>;

/// A store under test.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    advance: Advance,
    fake_time: bool,
    space: String,
    keep: Arc<dyn Any + Send + Sync>,
}

impl Subject {
    /// A store whose clock the test moves: `advance` moves it by whole seconds. `keep` lives as long as the test (a directory).
    pub fn with_fake_time(
        store: Arc<dyn Store>,
        advance: impl Fn(u32) + Send + Sync + 'static,
        keep: impl Any + Send + Sync,
    ) -> Self {
        let advance = move |seconds| -> BoxFuture<'static, ()> {
            advance(seconds);
            Box::pin(std::future::ready(()))
        };
        Self::new(store, Arc::new(advance), true, Arc::new(keep))
    }

    /// A store on the machine's clock: tests of time take their time, and random ones leave it alone.
    pub fn with_real_time(store: Arc<dyn Store>, keep: impl Any + Send + Sync) -> Self {
        let advance = |seconds| -> BoxFuture<'static, ()> {
            Box::pin(tokio::time::sleep(std::time::Duration::from_secs(u64::from(seconds))))
        };
        Self::new(store, Arc::new(advance), false, Arc::new(keep))
    }

    fn new(
        store: Arc<dyn Store>,
        advance: Advance,
        fake_time: bool,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        static SPACES: AtomicU64 = AtomicU64::new(0);
        let space = format!("{}-{}", std::process::id(), SPACES.fetch_add(1, Ordering::Relaxed));
        Self { store, advance, fake_time, space, keep }
    }

    /// The same store, in a space that nobody has used.
    #[must_use]
    pub fn in_fresh_space(&self) -> Self {
        Self::new(self.store.clone(), self.advance.clone(), self.fake_time, self.keep.clone())
    }

    /// Waits, or pretends to.
    pub async fn advance(&self, seconds: u32) {
        (self.advance)(seconds).await;
    }

    /// A partition of [`WIDE`] in this test's space.
    pub fn part(&self, part: i32) -> Values {
        (self.space.as_str(), part).into()
    }

    /// A partition of [`PLAIN`] in this test's space.
    pub fn plain(&self, id: &str) -> Values {
        (self.space.as_str(), id).into()
    }

    /// A partition of [`INDEX`] in this test's space.
    pub fn index(&self, id: &str) -> Values {
        format!("{}/{id}", self.space).into()
    }

    /// This test's space.
    pub fn space(&self) -> &str {
        &self.space
    }
}

/// Declares one `#[test]` for each behaviour of a store. The argument is an async closure or function without parameters that
/// gives a [`Subject`], opened with [`TABLES`].
#[macro_export]
macro_rules! store_suite {
    ($factory:expr) => {
        $crate::store_suite! { @tests $factory; conformance;
            rows_of_every_type_read_back
            upserts_keep_other_columns_and_nulls_delete
            a_row_of_keys_alone_exists
            a_table_without_values_is_a_set
            deleting_a_row_leaves_its_neighbours_and_the_statics
            scans_go_in_clustering_order_both_ways
            scans_keep_to_their_range
            scans_page_by_key
            range_deletions_keep_to_their_range
            many_point_reads_answer_in_order
            requests_that_no_backend_can_answer_are_refused
        }
        $crate::store_suite! { @tests $factory; conditions;
            a_conditional_insert_happens_once
            conditions_on_columns_hold_or_show_the_row
            conditions_on_statics_guard_other_rows
            conditions_see_nulls_and_missing_rows
            a_conflict_changes_nothing
            many_conditional_writes_are_independent
            concurrent_counters_lose_no_increment
        }
        $crate::store_suite! { @tests $factory; expiry;
            cells_and_rows_expire
            an_expired_row_can_be_inserted_again
            statics_expire_by_themselves
        }
        $crate::store_suite! { @tests $factory; tables;
            table_scans_yield_every_partition_in_token_order
            table_scans_resume_after_every_row
            table_scans_split_into_ranges
            partition_scans_yield_keys_and_statics
        }
        $crate::store_suite! { @tests $factory; races;
            nobody_is_crowded_out
        }
        $crate::store_suite! { @tests $factory; unknown;
            unknown_conditional_writes_are_settled_by_a_serial_read
            unknown_plain_writes_can_be_repeated
        }

        #[test]
        fn random_operations_agree_with_the_model() {
            let runtime = $crate::store_suite!(@runtime);
            let subject = runtime.block_on(async { ($factory)().await });
            let config = ::proptest::test_runner::Config { cases: 96, ..Default::default() };
            ::proptest::proptest!(config, |(
                script in ::proptest::collection::vec(::proptest::prelude::any::<u128>(), 1..60)
            )| {
                let subject = subject.in_fresh_space();
                let outcome = runtime.block_on($crate::suite::model::run(&subject, &script));
                ::proptest::prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
            });
        }
    };
    (@tests $factory:expr; $module:ident; $($name:ident)*) => { $(
        #[test]
        fn $name() {
            $crate::store_suite!(@runtime).block_on(async {
                let subject = ($factory)().await;
                $crate::suite::$module::$name(&subject).await;
            });
        }
    )* };
    (@runtime) => {
        ::tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    };
}
