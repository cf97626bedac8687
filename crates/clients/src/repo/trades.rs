//! Trade rows: each portfolio has a fixed number of partitions, and each of them the sum of its trades in statics that change with
//! the rows. A trade's id says which partition it is in.

use super::lists::members;
use crate::domain::holdings::Holdings;
use crate::domain::trade::Trade;
use crate::error::{Doing as _, Error};
use crate::tables::TRADES;
use api::portfolios::v1::Side;
use aws_lc_rs::digest::{SHA256, digest};
use riskmesh_core::fixed::Fixed;
use riskmesh_core::{Currency, PortfolioId, TenantId, TradeId};
use std::sync::Arc;
use store::list::{List, Listed, Lists, Ordinal, Start};
use store::{Cas, Get, Outcome, Row, Scan, Store, Text, upsert, upsert_statics};

const READING: &str = "read trades";
const WRITING: &str = "write trades";

/// How many partitions a portfolio has. Part of how rows are stored: it never changes.
pub(crate) const SHARDS: i32 = 16;

/// Whose trades.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) tenant: TenantId,
    pub(crate) portfolio: PortfolioId,
}

/// A trade's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) trade: Trade,
    /// The place in the order in which trades were recorded.
    pub(crate) ordinal: u64,
    /// A tombstone.
    pub(crate) deleted: bool,
}

/// The statics of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Counts changes; `None` where there never was one.
    pub(crate) version: Option<i64>,
    pub(crate) holdings: Holdings,
}

/// Reads and writes trades.
#[derive(Clone)]
pub(crate) struct Trades {
    store: Arc<dyn Store>,
    lists: Lists,
}

/// The partition that a trade is in.
pub(crate) fn shard(id: &TradeId) -> i32 {
    i32::from(digest(&SHA256, id.as_str().as_bytes()).as_ref()[0]) % SHARDS
}

impl Trades {
    pub(crate) fn new(store: Arc<dyn Store>, lists: Lists) -> Self {
        Self { store, lists }
    }

    /// The sums of these partitions as they stand.
    pub(crate) async fn sums(&self, owner: &Owner, shards: &[i32]) -> Result<Vec<Sum>, Error> {
        let gets = shards.iter().map(|shard| Get::statics(&TRADES, partition(owner, *shard)).latest());
        let rows = self.store.get_many(gets.collect()).await.doing(READING)?;
        rows.iter().map(|row| sum(row.as_ref())).collect()
    }

    /// The rows of these trades, in their order, as they stand.
    pub(crate) async fn latest<'a>(
        &self,
        owner: &Owner,
        ids: impl Iterator<Item = &'a TradeId>,
    ) -> Result<Vec<Option<Kept>>, Error> {
        let gets = ids.map(|id| key(owner, id).latest()).collect();
        let rows = self.store.get_many(gets).await.doing(READING)?;
        rows.iter().map(|row| row.as_ref().map(kept).transpose()).collect()
    }

    /// One trade.
    pub(crate) async fn get(&self, owner: &Owner, id: &TradeId) -> Result<Option<Kept>, Error> {
        self.store.get(key(owner, id)).await.doing(READING)?.as_ref().map(kept).transpose()
    }

    /// Writes rows of one partition, if that is still as `before` says; `after` is the sum with them.
    pub(crate) async fn write(
        &self,
        owner: &Owner,
        shard: i32,
        rows: &[Kept],
        before: &Sum,
        after: &Holdings,
    ) -> Result<Outcome, Error> {
        let version = before.version.unwrap_or(0) + 1;
        let statics = upsert_statics().set("version", version).set("holdings", after.encode());
        let cas =
            Cas::new(&TRADES, partition(owner, shard)).if_static("version", before.version).with(statics);
        let cas = rows.iter().fold(cas, |cas, Kept { trade, ordinal, deleted }| {
            cas.with(
                upsert(trade.id.as_str())
                    .set("ordinal", ordinal.cast_signed())
                    .set("deleted", deleted.then_some(true))
                    .set("instrument_id", trade.instrument.as_str())
                    .set("side", i32::from(trade.side))
                    .set("quantity", trade.quantity.0)
                    .set("price", trade.price.0)
                    .set("currency", trade.currency.code())
                    .set("counterparty_id", Some(trade.counterparty.as_str()).filter(|id| !id.is_empty()))
                    .set("executed_at", trade.executed_at),
            )
        });
        self.store.cas(cas).await.doing(WRITING)
    }

    /// Trades of one partition after an id, tombstones too, and whether more follow.
    pub(crate) async fn scan(
        &self,
        owner: &Owner,
        shard: i32,
        after: Option<&TradeId>,
        limit: usize,
    ) -> Result<(Vec<Kept>, bool), Error> {
        let mut scan = Scan::new(&TRADES, partition(owner, shard), limit);
        if let Some(after) = after {
            scan = scan.after(after.as_str());
        }
        let page = self.store.scan(scan).await.doing(READING)?;
        Ok((page.rows.iter().map(kept).collect::<Result<_, _>>()?, page.more))
    }

    /// A place in the order of recording that nobody else gets.
    pub(crate) async fn reserve(&self, owner: &Owner) -> Result<u64, Error> {
        Ok(self.lists.reserve(&list(owner)).await.doing("reserve place in trade list")?.0)
    }

    /// Puts trades on the list, or takes them off. Doing it again changes nothing.
    pub(crate) async fn place(&self, owner: &Owner, rows: &[Kept]) -> Result<(), Error> {
        let changes = rows.iter().map(|row| {
            let member: Option<Text> = (!row.deleted).then(|| row.trade.id.as_str().into());
            (Ordinal(row.ordinal), member)
        });
        self.lists.change(&list(owner), changes).await.doing("write trade list")
    }

    /// A page of the list.
    pub(crate) async fn page(
        &self,
        owner: &Owner,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Trade>, Error> {
        let page = self.lists.page(&list(owner), start, limit).await.doing("read trade list")?;
        let gets = members(&page, TradeId::new)?.iter().map(|id| key(owner, id)).collect();
        let rows = self.store.get_many(gets).await.doing(READING)?;
        let rows = rows.iter().flatten().map(kept).collect::<Result<Vec<_>, _>>()?;
        Ok(page.with(rows.into_iter().filter(|row| !row.deleted).map(|row| row.trade).collect()))
    }
}

fn partition(owner: &Owner, shard: i32) -> (String, String, i32) {
    (owner.tenant.as_str().to_owned(), owner.portfolio.as_str().to_owned(), shard)
}

fn key(owner: &Owner, id: &TradeId) -> Get {
    Get::row(&TRADES, partition(owner, shard(id)), id.as_str())
}

fn list(owner: &Owner) -> List {
    List::new(owner.tenant.as_str(), format!("trades/{}", owner.portfolio))
}

fn sum(row: Option<&Row>) -> Result<Sum, Error> {
    let Some(row) = row else { return Ok(Sum::default()) };
    let holdings = match row.blob_opt("holdings").doing(READING)? {
        None => Holdings::default(),
        Some(bytes) => {
            Holdings::decode(bytes).ok_or(Error::Corrupt { table: TRADES.name, column: "holdings" })?
        }
    };
    Ok(Sum { version: row.bigint_opt("version").doing(READING)?, holdings })
}

fn kept(row: &Row) -> Result<Kept, Error> {
    let corrupt = |column| Error::Corrupt { table: TRADES.name, column };
    let text = |column| Ok::<_, Error>(row.text_opt(column).doing(READING)?.unwrap_or_default().to_owned());
    let trade = Trade {
        id: TradeId::new(row.text("trade_id").doing(READING)?).map_err(|_| corrupt("trade_id"))?,
        instrument: text("instrument_id")?,
        side: Side::try_from(row.int("side").doing(READING)?).map_err(|_| corrupt("side"))?,
        quantity: Fixed(row.bigint("quantity").doing(READING)?),
        price: Fixed(row.bigint("price").doing(READING)?),
        currency: Currency::new(row.text("currency").doing(READING)?).ok_or_else(|| corrupt("currency"))?,
        counterparty: text("counterparty_id")?,
        executed_at: row.timestamp("executed_at").doing(READING)?,
    };
    Ok(Kept {
        trade,
        ordinal: row.bigint("ordinal").doing(READING)?.cast_unsigned(),
        deleted: row.boolean_opt("deleted").doing(READING)?.unwrap_or(false),
    })
}
