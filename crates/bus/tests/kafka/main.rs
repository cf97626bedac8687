//! The bus on a real Kafka: the suite that every bus passes, Java's clients beside it (`interop`), and a broker that is killed and
//! stopped in the middle of it all (`faults`). One broker for the tests of this program, which ends with it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod broker;
mod faults;
mod interop;

use riskmesh_bus as bus;
use riskmesh_bus::Topic;
use riskmesh_bus::suite::Subject;
use std::sync::Arc;
use std::time::Duration;

/// One broker does not hurry while everybody wants it.
const TIMEOUT: Duration = Duration::from_secs(30);

async fn kafka(topic: Topic) -> Subject {
    let broker = broker::shared().await;
    let world = broker::World::new();
    let bus = world.open(broker::options(&broker).timeout(TIMEOUT), topic).await;
    let (store, clock) = (world.store.clone(), world.clock.clone());
    Subject { bus, store, clock, topic, keep: Arc::new((world, broker)) }
}

bus::bus_suite!(async |topic| kafka(topic).await);
