//! The suite that every bus passes, over the embedded one.
#![allow(clippy::unwrap_used, reason = "tests")]

use riskmesh_bus as bus;
use riskmesh_bus::suite::{STATE, Subject};
use riskmesh_bus::{Embedded, TABLES, Topic};
use riskmesh_core::{Clock as _, ManualClock, SystemClock};
use std::sync::Arc;

async fn embedded(topic: Topic) -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let tables = TABLES.iter().copied().chain([&STATE]);
    let options =
        store_embedded::Options::new(directory.path(), tables).clock(clock.clone()).sweep_every(None);
    let store: Arc<dyn store::Store> = Arc::new(store_embedded::Embedded::open(options).unwrap());
    let bus = Embedded::open(store.clone(), clock.clone(), &[topic]).await.unwrap();
    Subject { bus, store, clock, topic, keep: Arc::new(directory) }
}

bus::bus_suite!(async |topic| embedded(topic).await);
