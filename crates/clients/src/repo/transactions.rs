//! Entry rows: one partition an account and month, its hour counts in statics that change with the rows.

use super::rows::{self, Came};
use crate::domain::entry::{Content, Entry};
use crate::domain::hours::Hours;
use crate::error::{Doing as _, Error};
use crate::tables::{TRANSACTION_IDS, TRANSACTIONS};
use api::transactions::v1::{Channel, Direction, TransactionType};
use riskmesh_core::cipher::{ColumnCipher, Place};
use riskmesh_core::{AccountId, ClientId, Currency, Money, TenantId, Timestamp, TransactionId};
use std::sync::Arc;
use store::{Cas, Get, Outcome, Range, Row, Scan, Store, upsert, upsert_statics};

/// Reads and writes entries.
#[derive(Clone)]
pub(crate) struct Transactions {
    store: Arc<dyn Store>,
    cipher: ColumnCipher,
}

/// One account's month.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Month {
    pub(crate) account: AccountId,
    pub(crate) bucket: i32,
}

/// What the claim of an id found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody had it: there is no row of it yet.
    New,
    /// It stands for this very entry, finished or not.
    Same,
    /// It stands for another content.
    Other,
}

/// The statics of a month's partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Counts changes; `None` where there never was one.
    pub(crate) version: Option<i64>,
    /// Entries by hour.
    pub(crate) hours: Hours,
    /// Whose account it is.
    pub(crate) client: Option<ClientId>,
}

impl Summary {
    /// The month after entries in these hours were added.
    pub(crate) fn with(&self, hours: &[i64], client: Option<&ClientId>) -> Self {
        let mut after = self.clone();
        after.version = Some(self.version.unwrap_or(0) + 1);
        for hour in hours {
            after.hours.add(*hour);
        }
        after.client = client.cloned().or(after.client);
        after
    }
}

impl Transactions {
    pub(crate) fn new(store: Arc<dyn Store>, cipher: ColumnCipher) -> Self {
        Self { store, cipher }
    }

    /// By what an entry is recognised. Among it is the account of the other side, so it takes a key to try values out.
    pub(crate) fn content(&self, entry: &Entry) -> Content {
        self.cipher.index(TRANSACTION_IDS.name, "content", &entry.content())
    }

    /// Claims the ids of entries, each with its content, in their order.
    pub(crate) async fn claim(
        &self,
        tenant: &TenantId,
        entries: &[(&Entry, Content)],
    ) -> Result<Vec<Claim>, Error> {
        const DOING: &str = "claim transaction ids";
        let writes = entries.iter().map(|(entry, content)| {
            Cas::new(&TRANSACTION_IDS, (tenant.as_str(), entry.id.as_str())).if_absent(()).with(
                upsert(())
                    .set("account_id", entry.account.as_str())
                    .set("booked_at", entry.booked_at)
                    .set("content", content.as_slice()),
            )
        });
        let key = |at: usize| id_key(tenant, &entries[at].0.id);
        let came = rows::write(&*self.store, DOING, writes.collect(), key).await?;
        let mut claims = Vec::with_capacity(came.len());
        for ((_, content), came) in entries.iter().zip(came) {
            if matches!(came, Came::Applied) {
                claims.push(Claim::New);
                continue;
            }
            let row = came.row().ok_or(Error::Contended { doing: DOING })?;
            let same = row.blob("content").doing(DOING)?.as_ref() == content.as_slice();
            claims.push(if same { Claim::Same } else { Claim::Other });
        }
        Ok(claims)
    }

    /// For each of these entries whether its row is there.
    pub(crate) async fn present(
        &self,
        tenant: &TenantId,
        entries: &[(&Month, &Entry)],
    ) -> Result<Vec<bool>, Error> {
        let gets = entries.iter().map(|(month, entry)| {
            let key = (entry.booked_at, entry.id.as_str());
            Get::row(&TRANSACTIONS, partition(tenant, month), key).latest()
        });
        let rows = self.store.get_many(gets.collect()).await.doing("read transactions")?;
        Ok(rows.iter().map(Option::is_some).collect())
    }

    /// The conditional write that adds entries to a month that still is as `before` says; `after` counts them.
    pub(crate) fn add(
        &self,
        tenant: &TenantId,
        month: &Month,
        entries: &[&Entry],
        before: &Summary,
        after: &Summary,
    ) -> Result<Cas, Error> {
        let mut cas =
            Cas::new(&TRANSACTIONS, partition(tenant, month)).if_static("version", before.version).with(
                upsert_statics()
                    .set("version", after.version)
                    .set("hours", after.hours.encode())
                    .set("client_id", after.client.as_ref().map(ClientId::as_str)),
            );
        for entry in entries {
            let counterparty = if entry.counterparty_account.is_empty() {
                None
            } else {
                let key = format!("{tenant}/{}/{}", entry.account, entry.id);
                let place = Place { table: TRANSACTIONS.name, key: &key, column: "counterparty_account" };
                Some(self.cipher.seal(place, entry.counterparty_account.as_bytes()).map_err(Error::Seal)?)
            };
            let text = |value: &String| (!value.is_empty()).then(|| value.clone());
            cas = cas.with(
                upsert((entry.booked_at, entry.id.as_str()))
                    .set("transfer_id", text(&entry.transfer))
                    .set("direction", i32::from(entry.direction))
                    .set("amount_minor", entry.amount.minor)
                    .set("currency", entry.amount.currency.code())
                    .set("counterparty_account", counterparty)
                    .set("counterparty_country", text(&entry.counterparty_country))
                    .set("type", i32::from(entry.kind))
                    .set("channel", i32::from(entry.channel)),
            );
        }
        Ok(cas)
    }

    /// Sends conditional writes.
    pub(crate) async fn write(&self, writes: Vec<Cas>) -> Result<Vec<Outcome>, Error> {
        self.store.cas_many(writes).await.doing("write transactions")
    }

    /// The summaries of months, as they stand.
    pub(crate) async fn summaries(&self, tenant: &TenantId, months: &[Month]) -> Result<Vec<Summary>, Error> {
        let gets = months
            .iter()
            .map(|month| Get::statics(&TRANSACTIONS, partition(tenant, month)).latest())
            .collect();
        let rows = self.store.get_many(gets).await.doing("read transaction counts")?;
        rows.iter().map(|row| summary(row.as_ref())).collect()
    }

    /// Entries of a month in the order of its rows (latest first), or the other way round.
    pub(crate) async fn scan(
        &self,
        tenant: &TenantId,
        month: &Month,
        range: Range,
        after: Option<(Timestamp, &str)>,
        oldest_first: bool,
        limit: usize,
    ) -> Result<(Vec<Entry>, bool), Error> {
        let mut scan = Scan::new(&TRANSACTIONS, partition(tenant, month), limit).range(range);
        if let Some((at, id)) = after {
            scan = scan.after((at, id));
        }
        if oldest_first {
            scan = scan.reverse();
        }
        let page = self.store.scan(scan).await.doing("read transactions")?;
        let entries = page.rows.iter().map(|row| self.entry(tenant, row)).collect::<Result<_, _>>()?;
        Ok((entries, page.more))
    }

    /// The entry with this id, wherever it lives.
    pub(crate) async fn find(&self, tenant: &TenantId, id: &TransactionId) -> Result<Option<Entry>, Error> {
        const DOING: &str = "read transaction";
        let Some(row) = self.store.get(id_key(tenant, id)).await.doing(DOING)? else { return Ok(None) };
        let booked_at = row.timestamp("booked_at").doing(DOING)?;
        let account = AccountId::new(row.text("account_id").doing(DOING)?)
            .map_err(|_| Error::Corrupt { table: TRANSACTION_IDS.name, column: "account_id" })?;
        let month = Month { account, bucket: booked_at.month() };
        let get = Get::row(&TRANSACTIONS, partition(tenant, &month), (booked_at, id.as_str()));
        // A claimed id without a row belongs to an attempt that is not finished: the entry is not there yet.
        let row = self.store.get(get).await.doing(DOING)?;
        row.map(|row| self.entry(tenant, &row)).transpose()
    }

    fn entry(&self, tenant: &TenantId, row: &Row) -> Result<Entry, Error> {
        const DOING: &str = "read transaction";
        let corrupt = |column| Error::Corrupt { table: TRANSACTIONS.name, column };
        let text = |column| Ok::<_, Error>(row.text_opt(column).doing(DOING)?.unwrap_or_default().to_owned());
        let account =
            AccountId::new(row.text("account_id").doing(DOING)?).map_err(|_| corrupt("account_id"))?;
        let id = TransactionId::new(row.text("transaction_id").doing(DOING)?)
            .map_err(|_| corrupt("transaction_id"))?;
        let counterparty = match row.blob_opt("counterparty_account").doing(DOING)? {
            None => String::new(),
            Some(sealed) => {
                let key = format!("{tenant}/{account}/{id}");
                let place = Place { table: TRANSACTIONS.name, key: &key, column: "counterparty_account" };
                let plain = self.cipher.open(place, sealed).map_err(|_| corrupt("counterparty_account"))?;
                String::from_utf8(plain).map_err(|_| corrupt("counterparty_account"))?
            }
        };
        let currency = row.text("currency").doing(DOING)?;
        Ok(Entry {
            id,
            account,
            transfer: text("transfer_id")?,
            direction: Direction::try_from(row.int("direction").doing(DOING)?)
                .map_err(|_| corrupt("direction"))?,
            amount: Money {
                minor: row.bigint("amount_minor").doing(DOING)?,
                currency: Currency::new(currency).ok_or_else(|| corrupt("currency"))?,
            },
            booked_at: row.timestamp("booked_at").doing(DOING)?,
            counterparty_account: counterparty,
            counterparty_country: text("counterparty_country")?,
            kind: TransactionType::try_from(row.int("type").doing(DOING)?).map_err(|_| corrupt("type"))?,
            channel: Channel::try_from(row.int("channel").doing(DOING)?).map_err(|_| corrupt("channel"))?,
        })
    }
}

fn id_key(tenant: &TenantId, id: &TransactionId) -> Get {
    Get::row(&TRANSACTION_IDS, (tenant.as_str(), id.as_str()), ())
}

fn partition(tenant: &TenantId, month: &Month) -> (String, String, i32) {
    (tenant.as_str().to_owned(), month.account.as_str().to_owned(), month.bucket)
}

fn summary(row: Option<&Row>) -> Result<Summary, Error> {
    const DOING: &str = "read transaction counts";
    let corrupt = |column| Error::Corrupt { table: TRANSACTIONS.name, column };
    let Some(row) = row else { return Ok(Summary::default()) };
    let hours = match row.blob_opt("hours").doing(DOING)? {
        None => Hours::default(),
        Some(bytes) => Hours::decode(bytes).ok_or_else(|| corrupt("hours"))?,
    };
    Ok(Summary {
        version: row.bigint_opt("version").doing(DOING)?,
        hours,
        client: row
            .text_opt("client_id")
            .doing(DOING)?
            .map(|id| ClientId::new(id).map_err(|_| corrupt("client_id")))
            .transpose()?,
    })
}
