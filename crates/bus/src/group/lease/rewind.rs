//! Moves an offset back from outside of the group.

use super::{Held, Part};
use crate::error::Error;
use crate::group::LEASES;
use store::{Cas, Get, Outcome, Store, Values, upsert};

/// How often somebody may come in between.
const TRIES: usize = 16;

/// What became of a group's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// The offset that the group had committed.
    pub was: i64,
    /// From where on it handles records again.
    pub now: i64,
}

/// Lets a group go on at an offset, or before it where it has not come so far; none if it has no offset yet.
///
/// The epoch goes up and the owner stays: its next renewal is refused, so that it begins anew, and nobody else may begin before its
/// time is over. That also holds where the offset stays, for what the owner has handled beyond and not committed yet.
pub(crate) async fn rewind(
    store: &dyn Store,
    group: &str,
    part: &Part,
    offset: i64,
) -> Result<Option<Rewound>, Error> {
    let failed = Error::store("rewind a group");
    let key = || Values::from((group, &*part.topic, part.partition as i32));
    let mut first = None;
    let mut unknown = None;
    for _ in 0..TRIES {
        let row = store.get(Get::row(&LEASES, key(), ()).latest()).await.map_err(&failed)?;
        let Some(row) = row else { return Ok(None) };
        let held = Held::read(&row)?;
        let was = *first.get_or_insert(held.next_offset);
        let now = held.next_offset.min(offset);
        // Whoever raised the epoch after a write of unknown outcome, the owner of before is fenced off.
        let fenced = unknown.is_some_and(|epoch| held.epoch > epoch) || held.owner.is_none();
        if fenced && held.next_offset <= offset {
            return Ok(Some(Rewound { was, now }));
        }
        let write = Cas::new(&LEASES, key())
            .if_equals((), "epoch", held.epoch)
            .with(upsert(()).set("epoch", held.epoch + 1).set("next_offset", now));
        match store.cas(write).await.map_err(&failed)? {
            Outcome::Applied => return Ok(Some(Rewound { was, now })),
            Outcome::Conflict(_) => {}
            Outcome::Unknown => unknown = Some(held.epoch),
        }
    }
    Err(failed(store::Error::Unknown { operation: "rewind", source: None }))
}
