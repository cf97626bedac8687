//! Reading entries: by page over one or several accounts, the latest first, and as a stream over one account, the oldest first.
//!
//! An offset costs no more than a page: the exact hour counts beside each month say in which hour it falls, and rows are read from
//! there on. A cursor is the (time, id) of the last entry shown.

use crate::domain::entry::Entry;
use crate::domain::hours::Hours;
use crate::error::Error;
use crate::repo::buckets::Buckets;
use crate::repo::transactions::{Month, Transactions};
use riskmesh_core::clock::HOUR_MS;
use riskmesh_core::{AccountId, TenantId, Timestamp};
use std::collections::BTreeMap;
use store::Range;

/// Rows read at a time from one account.
const CHUNK: usize = 256;

/// Reads entries.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) buckets: Buckets,
    pub(crate) transactions: Transactions,
}

/// Where a page starts.
pub(crate) enum From {
    Offset(u64),
    After(Timestamp, String),
}

/// A page of entries.
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) total: u64,
    pub(crate) more: bool,
}

/// The months of some accounts, the latest first, with their counts.
struct Index {
    months: BTreeMap<i32, Vec<(AccountId, Hours)>>,
}

impl Index {
    fn total(&self) -> u64 {
        self.months.values().flatten().map(|(_, hours)| hours.total()).sum()
    }

    /// The hour in which the entry at `offset` lies, and how many entries of that hour come before it.
    fn find(&self, mut offset: u64) -> Option<(i64, u64)> {
        for accounts in self.months.values().rev() {
            let in_month: u64 = accounts.iter().map(|(_, hours)| hours.total()).sum();
            if offset >= in_month {
                offset -= in_month;
                continue;
            }
            let mut merged = Hours::default();
            for (_, hours) in accounts {
                merged.merge(hours);
            }
            for (hour, count) in merged.latest_first() {
                if offset < u64::from(count) {
                    return Some((hour, offset));
                }
                offset -= u64::from(count);
            }
        }
        None
    }
}

impl Ledger {
    /// A page over the entries of these accounts, ordered by (time, id), the latest first.
    pub(crate) async fn page(
        &self,
        tenant: &TenantId,
        accounts: &[AccountId],
        from: From,
        limit: usize,
    ) -> Result<Page, Error> {
        let index = self.index(tenant, accounts).await?;
        let total = index.total();
        let (upto, after, skip) = match from {
            From::Offset(offset) => match index.find(offset) {
                Some((hour, skip)) => {
                    (Timestamp((hour + 1) * HOUR_MS - 1), None, usize::try_from(skip).unwrap_or(usize::MAX))
                }
                None => return Ok(Page { entries: Vec::new(), total, more: false }),
            },
            From::After(at, id) => (at, Some((at, id)), 0),
        };
        let mut entries = self.merge(tenant, &index, upto, after, skip.saturating_add(limit + 1)).await?;
        entries.drain(..skip.min(entries.len()));
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok(Page { entries, total, more })
    }

    /// One chunk of an account's entries in `[from, until)`, the oldest first, after the entry at (time, id).
    pub(crate) async fn chunk(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        months: &mut Vec<i32>,
        span: (Timestamp, Timestamp),
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries: Vec<Entry> = Vec::new();
        // `months` is a stack with the earliest on top; a month is popped when it has been read to its end.
        while let Some(bucket) = months.last().copied() {
            let month = Month { account: account.clone(), bucket };
            let range = Range::all().at_least(span.0).below(span.1);
            let last =
                entries.last().map(|entry| (entry.booked_at, entry.id.to_string())).or_else(|| after.clone());
            let last = last.filter(|(at, _)| at.month() == bucket);
            let after = last.as_ref().map(|(at, id)| (*at, id.as_str()));
            let (rows, more) =
                self.transactions.scan(tenant, &month, range, after, true, limit - entries.len()).await?;
            entries.extend(rows);
            if !more {
                months.pop();
            }
            if entries.len() >= limit {
                break;
            }
        }
        Ok(entries)
    }

    /// The months in which an account may have entries in `[from, until)`, the earliest last.
    pub(crate) async fn months(
        &self,
        tenant: &TenantId,
        account: &AccountId,
        span: (Timestamp, Timestamp),
    ) -> Result<Vec<i32>, Error> {
        let mut months = self.buckets.months(tenant, account).await?;
        months.retain(|month| (span.0.month()..=span.1.month()).contains(month));
        Ok(months)
    }

    async fn index(&self, tenant: &TenantId, accounts: &[AccountId]) -> Result<Index, Error> {
        let mut all = Vec::new();
        for account in accounts {
            for bucket in self.buckets.months(tenant, account).await? {
                all.push(Month { account: account.clone(), bucket });
            }
        }
        let summaries = self.transactions.summaries(tenant, &all).await?;
        let mut months: BTreeMap<i32, Vec<(AccountId, Hours)>> = BTreeMap::new();
        for (month, summary) in all.into_iter().zip(summaries) {
            if !summary.hours.is_empty() {
                months.entry(month.bucket).or_default().push((month.account, summary.hours));
            }
        }
        Ok(Index { months })
    }

    /// The first `limit` entries not later than `upto`, after (time, id) where that is given, over all accounts of the index.
    async fn merge(
        &self,
        tenant: &TenantId,
        index: &Index,
        upto: Timestamp,
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let mut merged = Vec::new();
        for (bucket, accounts) in index.months.range(..=upto.month()).rev() {
            let mut month_entries = Vec::new();
            for (account, _) in accounts {
                let month = Month { account: account.clone(), bucket: *bucket };
                // Ids are unique in the tenant, so (time, id) orders entries of all accounts alike.
                let wanted = limit - merged.len();
                let mut found: Vec<Entry> = Vec::new();
                while found.len() < wanted {
                    let last = found.last().map(|entry| (entry.booked_at, entry.id.to_string()));
                    let last = last.or_else(|| after.clone().filter(|(at, _)| at.month() == *bucket));
                    let after = last.as_ref().map(|(at, id)| (*at, id.as_str()));
                    let range = Range::all().at_most(upto);
                    let chunk = CHUNK.min(wanted - found.len());
                    let (rows, more) =
                        self.transactions.scan(tenant, &month, range, after, false, chunk).await?;
                    found.extend(rows);
                    if !more {
                        break;
                    }
                }
                month_entries.extend(found);
            }
            month_entries.sort_unstable_by(|a, b| (b.booked_at, &b.id).cmp(&(a.booked_at, &a.id)));
            merged.extend(month_entries);
            if merged.len() >= limit {
                merged.truncate(limit);
                break;
            }
        }
        Ok(merged)
    }
}
