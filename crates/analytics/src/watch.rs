//! Streams of one client's changes: the risk as it stands, then each change, read from the history when the log says that there is
//! one. A stream holds one page of changes at the most, and reads on as fast as its caller takes them; none is left out.

use crate::domain::change::Change;
use crate::hub::{Hub, Place};
use crate::reader::{Reader, missing};
use futures::Stream;
use riskmesh_core::{ClientId, Detail, Error, ErrorCode, TenantId};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Changes that a stream reads at a time.
const PAGE: usize = 16;

/// Opens streams.
#[derive(Clone)]
pub(crate) struct Watcher {
    pub(crate) reader: Reader,
    pub(crate) hub: Hub,
    /// Cancelled when the process takes no more requests.
    pub(crate) stopping: CancellationToken,
}

/// A stream under way.
struct Watching {
    reader: Reader,
    tenant: TenantId,
    client: ClientId,
    place: Place,
    /// The number of the client's first change: with another one it is another client.
    born: i64,
    /// The number of the last change that was told.
    told: i64,
    ahead: VecDeque<Change>,
    until: Instant,
    stopping: CancellationToken,
}

impl Watcher {
    /// A client's changes after the one with this number; without one, what stands and then each change. Ends after `time`;
    /// with `CLIENT_NOT_FOUND` when the client is deleted, and `SERVICE_UNAVAILABLE` when the process stops.
    pub(crate) async fn watch(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        after: Option<i64>,
        time: Duration,
    ) -> Result<impl Stream<Item = Result<Change, Error>> + Send + use<>, Error> {
        let until = Instant::now() + time;
        // Before anything is read: what comes after the reading wakes.
        let place = self.hub.join(tenant, client)?;
        let standing = self.reader.standing(tenant, client).await?;
        if after.is_some_and(|after| after > standing.change) {
            return Err(Error::invalid(Detail::expected(
                "after",
                "is not the id of an event of this client",
                "eventId of an event",
            )));
        }
        let (told, ahead) = match after {
            Some(after) => (after, VecDeque::new()),
            None => (standing.change, VecDeque::from([Change::last_of(&standing)])),
        };
        let watching = Watching {
            reader: self.reader.clone(),
            tenant: tenant.clone(),
            client: client.clone(),
            place,
            born: standing.born,
            told: told.max(standing.born - 1),
            ahead,
            until,
            stopping: self.stopping.clone(),
        };
        Ok(futures::stream::try_unfold(watching, |mut watching| async move {
            Ok(watching.next().await?.map(|change| (change, watching)))
        }))
    }
}

impl Watching {
    /// The next change; none when the time is over.
    async fn next(&mut self) -> Result<Option<Change>, Error> {
        loop {
            if self.stopping.is_cancelled() {
                let stops = Error::new(ErrorCode::ServiceUnavailable).message("The server stops");
                return Err(stops.hint("Watch again, after the last event."));
            }
            if self.until <= Instant::now() {
                return Ok(None);
            }
            if let Some(change) = self.ahead.pop_front() {
                self.told = change.number;
                return Ok(Some(change));
            }
            self.read_ahead().await?;
            if self.ahead.is_empty() {
                tokio::select! {
                    () = self.place.woken() => {}
                    () = sleep_until(self.until) => {}
                    () = self.stopping.cancelled() => {}
                }
            }
        }
    }

    /// Reads changes that were not told yet, as many as there is room for.
    async fn read_ahead(&mut self) -> Result<(), Error> {
        let Self { reader, tenant, client, .. } = self;
        // The tombstone may come later than the word of it.
        if self.place.master_changed() && reader.upstream.client(tenant, client).await?.is_none() {
            return Err(missing(client));
        }
        let standing = reader.scores.get(tenant, client).await?;
        let standing = standing.filter(|standing| !standing.deleted && standing.born == self.born);
        let last = standing.ok_or_else(|| missing(client))?.change;
        let changes = reader.history.oldest_first(tenant, client, self.told + 1..=last, PAGE).await?;
        self.ahead.extend(changes);
        Ok(())
    }
}
