//! The reference data that scores are made with: the files that `[analytics]` names, and for what it names none, what is in force. When
//! that changes, all scores are computed anew by the sweep, while everything goes on.

use refdata::Live;
use risk::RefData;
use risk::fx::{FxTable, Rates};
use risk::refdata::CountryLists;
use risk::time::Day;
use riskmesh_core::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is asked whether another day has brought other lists into force.
const LOOK: Duration = Duration::from_secs(1);

/// What does not change while the program runs.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    pub(crate) lists: Option<Arc<CountryLists>>,
    pub(crate) rates: Option<Arc<FxTable>>,
}

/// The reference data in use; cheap to clone.
#[derive(Clone)]
pub(crate) struct InUse(Arc<Inner>);

struct Inner {
    pinned: Pinned,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    now: watch::Sender<Arc<RefData>>,
}

impl InUse {
    /// What is in use at the start.
    pub(crate) fn new(pinned: Pinned, live: Arc<Live>, clock: Arc<dyn Clock>) -> Self {
        let now = watch::Sender::new(Arc::new(of(&pinned, &live, &*clock)));
        Self(Arc::new(Inner { pinned, live, clock, now }))
    }

    /// What is in use now.
    pub(crate) fn current(&self) -> Arc<RefData> {
        self.0.now.borrow().clone()
    }

    /// Whether this is what is in use now.
    pub(crate) fn is_current(&self, refdata: &RefData) -> bool {
        self.0.now.borrow().version() == refdata.version()
    }

    /// Tells when something else comes into use.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<RefData>> {
        self.0.now.subscribe()
    }

    /// Follows files and days for ever.
    pub(crate) async fn follow(&self) {
        let Inner { pinned, live, clock, now } = &*self.0;
        let mut sets = live.changes();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                // The sender lives as long as `live`.
                _ = sets.changed() => {}
            }
            let next = of(pinned, live, &**clock);
            if !self.is_current(&next) {
                tracing::info!(
                    refdata = next.version(),
                    "scores are computed anew with other reference data"
                );
                now.send_replace(Arc::new(next));
            }
        }
    }
}

fn of(pinned: &Pinned, live: &Live, clock: &dyn Clock) -> RefData {
    let set = live.current();
    let rates: Arc<dyn Rates> = match &pinned.rates {
        Some(rates) => rates.clone(),
        None => set.shared_rates(),
    };
    if let Some(lists) = &pinned.lists {
        return RefData::new(lists.clone(), rates);
    }
    let list = set.for_scores(Day::of(clock.now().millis()));
    RefData::named(&list.name(), list.lists.clone(), rates)
}
