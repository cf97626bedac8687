//! The suite that every store passes, over the embedded one.
#![allow(clippy::expect_used, reason = "tests")]

use riskmesh_core::{ManualClock, Timestamp};
use riskmesh_store_embedded::{Embedded, Options};
use std::sync::Arc;
use std::time::Duration;
use store::suite::{Subject, TABLES};

fn embedded() -> Subject {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
    let options = Options::new(directory.path(), TABLES).clock(clock.clone()).sweep_every(None);
    let store = Embedded::open(options).expect("a store");
    let advance = move |seconds| clock.advance(Duration::from_secs(u64::from(seconds)));
    Subject::with_fake_time(Arc::new(store), advance, directory)
}

store::store_suite!(async || embedded());
