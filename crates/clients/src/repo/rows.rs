//! Rows that are written whole, each under a condition on itself, one or many in a call.

use crate::error::{Doing as _, Error};
use store::race::Race;
use store::{Cas, Get, Outcome, Row, Store, Table, Values, upsert};

/// What became of a conditional write.
pub(crate) enum Written<T> {
    /// It is in the store.
    Applied,
    /// Something else is there; this.
    Lost(Option<Box<T>>),
}

impl<T: PartialEq> Written<T> {
    /// From what was to be written and what is there. Where it is unknown who wrote, the same content is as good as one's own.
    pub(crate) fn of(came: &Came, after: &T, there: Option<T>) -> Self {
        match came {
            Came::Applied => Self::Applied,
            Came::Unknown(_) if there.as_ref() == Some(after) => Self::Applied,
            Came::Conflict(_) | Came::Unknown(_) => Self::Lost(there.map(Box::new)),
        }
    }
}

/// What a conditional write came to, with the row that is there instead.
pub(crate) enum Came {
    Applied,
    Conflict(Option<Row>),
    /// Nobody knows whether it was applied; the row is as of after it.
    Unknown(Option<Row>),
}

impl Came {
    /// The row that is there.
    pub(crate) fn row(&self) -> Option<&Row> {
        match self {
            Self::Applied => None,
            Self::Conflict(row) | Self::Unknown(row) => row.as_ref(),
        }
    }
}

/// Writes rows of tables without a clustering key, each under its condition. `key` is that of the write at a position.
pub(crate) async fn write(
    store: &dyn Store,
    doing: &'static str,
    writes: Vec<Cas>,
    key: impl Fn(usize) -> Get,
) -> Result<Vec<Came>, Error> {
    let outcomes = store.cas_many(writes).await.doing(doing)?;
    let mut all = Vec::with_capacity(outcomes.len());
    for (at, outcome) in outcomes.into_iter().enumerate() {
        all.push(match outcome {
            Outcome::Applied => Came::Applied,
            Outcome::Conflict(current) => Came::Conflict(current.rows.into_iter().next()),
            Outcome::Unknown => {
                let latest = key(at).latest();
                Came::Unknown(store.get(latest).await.doing(doing)?)
            }
        });
    }
    Ok(all)
}

/// Marks changes as told, where they still are the last ones of their rows: of a table, its partition keys, each with the version.
pub(crate) async fn told(
    store: &dyn Store,
    doing: &'static str,
    table: &'static Table,
    changes: impl Iterator<Item = (Values, i64)>,
) -> Result<(), Error> {
    let writes = changes.map(|(key, version)| {
        Cas::new(table, key).if_equals((), "version", version).with(upsert(()).set("pending", None::<bool>))
    });
    let mut writes: Vec<Cas> = writes.collect();
    let mut race = Race::default();
    while race.again_at(None::<()>).await {
        let mut outcomes = store.cas_many(writes.clone()).await.doing(doing)?.into_iter();
        // The same write again does no harm.
        writes.retain(|_| matches!(outcomes.next(), Some(Outcome::Unknown)));
        if writes.is_empty() {
            return Ok(());
        }
    }
    Err(Error::Contended { doing })
}
