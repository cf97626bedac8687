//! Recording trades: each exactly once, whatever is repeated, raced or cut off; and reading them.
//!
//! A batch is divided by partition. Each part is one conditional write on the partition's version: the rows that are not there, and
//! the holdings with them. A row with the same content is a duplicate, with another a conflict. Then the rows are put on the
//! portfolio's list; cut off in between, the relay does it at the pointer that was left before.

use crate::domain::holdings::Holdings;
use crate::domain::trade::Trade;
use crate::error::Error as ServiceError;
use crate::events::Events;
use crate::ingest::Recorded;
use crate::portfolios::Portfolios;
use crate::repo::trades::{Kept, Owner, SHARDS, Sum, Trades as Repo, shard};
use api::portfolios::v1::Position;
use riskmesh_core::{Detail, Error, ErrorCode, PortfolioId, TenantId, TradeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::Outcome;
use store::list::{Listed, Start};
use store::race::Race;

/// Rows that one conditional write has at the most.
const GROUP: usize = 1000;
/// Instruments and currencies of one partition: its sum is written with each change.
const MAX_HOLDINGS: usize = 4096;
/// Rows read at a time where all are read.
const SCAN: usize = 1000;

/// Records and reads trades.
#[derive(Clone)]
pub(crate) struct Trades {
    pub(crate) portfolios: Portfolios,
    pub(crate) rows: Repo,
    pub(crate) events: Arc<Events>,
}

/// A trade on its way, with its place in the batch.
struct Work {
    index: usize,
    trade: Trade,
    /// Its place in the list, once it was found to be new.
    ordinal: Option<u64>,
}

fn not_found(id: &TradeId) -> Error {
    Error::not_found(ErrorCode::TradeNotFound, "tradeId", id.as_str())
}

impl Trades {
    /// The owner of an existing portfolio's trades.
    pub(crate) async fn owner(&self, tenant: &TenantId, id: &PortfolioId) -> Result<Owner, Error> {
        let portfolio = self.portfolios.get(tenant, id).await?;
        Ok(Owner { tenant: tenant.clone(), portfolio: portfolio.id })
    }

    /// Records a batch; when this returns, what it counts is durable and listed.
    pub(crate) async fn record(
        &self,
        owner: &Owner,
        batch: Vec<(usize, Trade)>,
        recorded: &mut Recorded,
    ) -> Result<(), Error> {
        let mut parts: BTreeMap<i32, Vec<Work>> = BTreeMap::new();
        let mut first: HashMap<TradeId, Trade> = HashMap::new();
        for (index, trade) in batch {
            match first.get(&trade.id) {
                None => drop(first.insert(trade.id.clone(), trade.clone())),
                Some(other) if *other == trade => {
                    recorded.duplicates += 1;
                    continue;
                }
                Some(_) => {
                    reject_other(recorded, index, &trade);
                    continue;
                }
            }
            parts.entry(shard(&trade.id)).or_default().push(Work { index, trade, ordinal: None });
        }
        let pointer = self.events.intend_trades(owner, parts.keys().copied()).await?;
        let parts = parts.into_iter().flat_map(|(shard, work)| groups(work).map(move |work| (shard, work)));
        for (shard, mut work) in parts {
            let rows = self.add(owner, shard, &mut work, recorded).await?;
            self.rows.place(owner, &rows).await?;
        }
        self.events.drop_pointer(pointer);
        recorded.rejected.sort_by_key(|rejected| rejected.index);
        Ok(())
    }

    /// Adds what is not there to one partition. Gives all rows of the work that are there now.
    async fn add(
        &self,
        owner: &Owner,
        shard: i32,
        work: &mut [Work],
        recorded: &mut Recorded,
    ) -> Result<Vec<Kept>, Error> {
        let mut race = Race::default();
        while race.again((owner, shard)).await {
            // The sum first: a row that comes later comes with another version.
            let before = self.sum(owner, shard).await?;
            let there = self.rows.latest(owner, work.iter().map(|work| &work.trade.id)).await?;
            let mut after = before.holdings.clone();
            let mut new = Vec::new();
            let mut full = Vec::new();
            for (at, (work, there)) in work.iter_mut().zip(&there).enumerate() {
                if there.is_some() {
                    continue;
                }
                let ordinal = match work.ordinal {
                    Some(ordinal) => ordinal,
                    None => *work.ordinal.insert(self.rows.reserve(owner).await?),
                };
                after.add(&work.trade);
                if after.len() > MAX_HOLDINGS {
                    after.take_back(&work.trade);
                    full.push(at);
                    continue;
                }
                new.push(Kept { trade: work.trade.clone(), ordinal, deleted: false });
            }
            if !new.is_empty() {
                match self.rows.write(owner, shard, &new, &before, &after).await? {
                    Outcome::Applied => {}
                    Outcome::Conflict(_) | Outcome::Unknown => continue,
                }
            }
            return Ok(tell(work, &there, &full, new, recorded));
        }
        Err(ServiceError::Contended { doing: "write trades" }.into())
    }

    async fn sum(&self, owner: &Owner, shard: i32) -> Result<Sum, Error> {
        let sums = self.rows.sums(owner, &[shard]).await?;
        sums.into_iter().next().ok_or_else(|| Error::internal("read the sum of trades"))
    }

    /// One trade.
    pub(crate) async fn get(&self, owner: &Owner, id: &TradeId) -> Result<Trade, Error> {
        let kept = self.rows.get(owner, id).await?.filter(|kept| !kept.deleted);
        kept.map(|kept| kept.trade).ok_or_else(|| not_found(id))
    }

    /// Takes a trade back; a tombstone stays.
    pub(crate) async fn delete(&self, owner: &Owner, id: &TradeId) -> Result<(), Error> {
        let shard = shard(id);
        let pointer = self.events.intend_trades(owner, std::iter::once(shard)).await?;
        let mut race = Race::default();
        while race.again((owner, shard)).await {
            let before = self.sum(owner, shard).await?;
            let there = self.rows.latest(owner, std::iter::once(id)).await?.pop().flatten();
            let there = there.ok_or_else(|| not_found(id))?;
            let mut done = there.deleted;
            let gone = Kept { deleted: true, ..there };
            if !done {
                let mut after = before.holdings.clone();
                after.take_back(&gone.trade);
                let rows = std::slice::from_ref(&gone);
                done = self.rows.write(owner, shard, rows, &before, &after).await?.is_applied();
            }
            if done {
                self.rows.place(owner, std::slice::from_ref(&gone)).await?;
                self.events.drop_pointer(pointer);
                return Ok(());
            }
        }
        Err(ServiceError::Contended { doing: "delete trade" }.into())
    }

    /// Brings the list in line with the rows of a partition, whatever was cut off.
    pub(crate) async fn relist(&self, owner: &Owner, shard: i32) -> Result<(), Error> {
        let mut race = Race::default();
        while race.again((owner, shard)).await {
            let before = self.sum(owner, shard).await?;
            let mut after = None;
            loop {
                let (rows, more) = self.rows.scan(owner, shard, after.as_ref(), SCAN).await?;
                self.rows.place(owner, &rows).await?;
                after = rows.last().map(|row| row.trade.id.clone());
                if !more {
                    break;
                }
            }
            // Placed by rows that are still the last ones, the list is right; otherwise a slow look may just have undone a change.
            if self.sum(owner, shard).await?.version == before.version {
                return Ok(());
            }
        }
        Err(ServiceError::Contended { doing: "list trades" }.into())
    }

    /// A page of trades in the order in which they were recorded.
    pub(crate) async fn list(
        &self,
        owner: &Owner,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Trade>, Error> {
        Ok(self.rows.page(owner, start, limit).await?)
    }

    /// What a portfolio's trades add up to.
    pub(crate) async fn holdings(&self, owner: &Owner) -> Result<Holdings, Error> {
        let shards: Vec<i32> = (0..SHARDS).collect();
        let mut all = Holdings::default();
        for sum in self.rows.sums(owner, &shards).await? {
            all.merge(&sum.holdings);
        }
        Ok(all)
    }

    /// The positions of a portfolio, in the order of their instruments.
    pub(crate) async fn positions(&self, owner: &Owner) -> Result<Vec<Position>, Error> {
        Ok(self.holdings(owner).await?.positions().collect())
    }

    /// The next trades of a scan over all of a portfolio, from a partition and an id on; none at the end.
    pub(crate) async fn chunk(
        &self,
        owner: &Owner,
        at: &mut (i32, Option<TradeId>),
    ) -> Result<Vec<Trade>, Error> {
        while at.0 < SHARDS {
            let (rows, more) = self.rows.scan(owner, at.0, at.1.as_ref(), SCAN).await?;
            let last = rows.last().map(|row| row.trade.id.clone());
            *at = if more { (at.0, last) } else { (at.0 + 1, None) };
            let trades: Vec<Trade> =
                rows.into_iter().filter(|row| !row.deleted).map(|row| row.trade).collect();
            if !trades.is_empty() {
                return Ok(trades);
            }
        }
        Ok(Vec::new())
    }
}

/// Work in parts that one conditional write holds.
fn groups(work: Vec<Work>) -> impl Iterator<Item = Vec<Work>> {
    let mut work = work.into_iter().peekable();
    std::iter::from_fn(move || work.peek().is_some().then(|| work.by_ref().take(GROUP).collect()))
}

/// Counts what became of a part: of those that were there before, of those for which there is no room, and of the new ones. Gives the
/// rows that are there now.
fn tell(
    work: &[Work],
    there: &[Option<Kept>],
    full: &[usize],
    new: Vec<Kept>,
    recorded: &mut Recorded,
) -> Vec<Kept> {
    let mut rows = new;
    recorded.created += rows.len() as u64;
    for (at, (work, there)) in work.iter().zip(there).enumerate() {
        match there {
            None if full.contains(&at) => recorded.reject(
                work.index,
                work.trade.id.to_string(),
                Error::new(ErrorCode::PreconditionFailed)
                    .message("The portfolio has as many instruments as a portfolio can have")
                    .hint("Record the trade in another portfolio.")
                    .detail(Detail::expected(
                        "instrumentId",
                        "is one too many",
                        "an instrument that is held",
                    )),
            ),
            None => {}
            // Our own write, of which nobody knew.
            Some(there) if Some(there.ordinal) == work.ordinal && !there.deleted => {
                recorded.created += 1;
                rows.push(there.clone());
            }
            Some(there) if there.trade == work.trade && !there.deleted => {
                recorded.duplicates += 1;
                rows.push(there.clone());
            }
            Some(_) => reject_other(recorded, work.index, &work.trade),
        }
    }
    rows
}

fn reject_other(recorded: &mut Recorded, index: usize, trade: &Trade) {
    recorded.reject(
        index,
        trade.id.to_string(),
        Error::new(ErrorCode::AlreadyExists)
            .message("Another trade has this id, or had it before it was taken back")
            .hint("Record it under another id: a trade does not change, it is taken back by DELETE.")
            .detail(Detail::expected("tradeId", "is the id of another trade", "an id that no trade had")),
    );
}
