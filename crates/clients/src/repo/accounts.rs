//! Account rows, and the list of a client's accounts with its exact count.

use super::rows::{self, Came, Written};
use crate::domain::account::{Account, kind_or_default, status_or_default};
use crate::error::{Doing as _, Error};
use crate::tables::{ACCOUNTS, ACCOUNTS_BY_CLIENT};
use riskmesh_core::{AccountId, ClientId, Currency, TenantId};
use std::sync::Arc;
use store::race::Race;
use store::{Cas, Get, Outcome, Row, Scan, Store, Target, Test, Upsert, delete, upsert, upsert_statics};

const WRITING: &str = "write account";

/// Reads and writes accounts.
#[derive(Clone)]
pub(crate) struct Accounts {
    store: Arc<dyn Store>,
}

impl Accounts {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The account's row, tombstones too.
    pub(crate) async fn get(&self, tenant: &TenantId, id: &AccountId) -> Result<Option<Account>, Error> {
        read(self.store.get(key(tenant, id)).await.doing("read account")?.as_ref())
    }

    /// The same by a serial read.
    pub(crate) async fn latest(&self, tenant: &TenantId, id: &AccountId) -> Result<Option<Account>, Error> {
        read(self.store.get(key(tenant, id).latest()).await.doing("read account")?.as_ref())
    }

    /// Many rows in the order of the ids.
    pub(crate) async fn get_many(
        &self,
        tenant: &TenantId,
        ids: &[AccountId],
    ) -> Result<Vec<Option<Account>>, Error> {
        let rows = self
            .store
            .get_many(ids.iter().map(|id| key(tenant, id)).collect())
            .await
            .doing("read accounts")?;
        rows.iter().map(|row| read(row.as_ref())).collect()
    }

    /// Inserts accounts whose ids were never used.
    pub(crate) async fn insert(
        &self,
        tenant: &TenantId,
        accounts: &[Account],
    ) -> Result<Vec<Written<Account>>, Error> {
        let writes = accounts.iter().map(|account| {
            let cas = Cas::new(&ACCOUNTS, (tenant.as_str(), account.id.as_str())).if_absent(());
            cas.with(columns(account))
        });
        let key = |at: usize| key(tenant, &accounts[at].id);
        let came = rows::write(&*self.store, WRITING, writes.collect(), key).await?;
        came.into_iter().zip(accounts).map(|(came, account)| written(&came, account)).collect()
    }

    /// Replaces the row if it still has version `expected`.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        account: &Account,
        expected: i64,
    ) -> Result<Written<Account>, Error> {
        let cas = Cas::new(&ACCOUNTS, (tenant.as_str(), account.id.as_str()))
            .if_equals((), "version", expected)
            .with(columns(account));
        let came = rows::write(&*self.store, WRITING, vec![cas], |_| key(tenant, &account.id)).await?.pop();
        written(&came.ok_or(Error::Contended { doing: WRITING })?, account)
    }

    /// Marks the last changes as told, where they still are the last ones.
    pub(crate) async fn told(&self, tenant: &TenantId, accounts: &[Account]) -> Result<(), Error> {
        let changes =
            accounts.iter().map(|account| ((tenant.as_str(), account.id.as_str()).into(), account.version));
        rows::told(&*self.store, "mark accounts as told", &ACCOUNTS, changes).await
    }

    /// Puts the first accounts of clients on their lists, all in one call; false where something was or is on a list, or it is closed.
    pub(crate) async fn list_first(
        &self,
        tenant: &TenantId,
        accounts: &[Account],
    ) -> Result<Vec<bool>, Error> {
        let writes = accounts.iter().map(|account| {
            Cas::new(&ACCOUNTS_BY_CLIENT, (tenant.as_str(), account.client.as_str()))
                .if_static("count", None::<i32>)
                .if_static("closed", None::<bool>)
                .if_absent(account.id.as_str())
                .with(upsert(account.id.as_str()).set("listed", true))
                .with(upsert_statics().set("count", 1))
        });
        let outcomes = self.store.cas_many(writes.collect()).await.doing("write account lists")?;
        Ok(outcomes.iter().map(Outcome::is_applied).collect())
    }

    /// Puts an account on its client's list, once, or takes it off. False where the list is closed to new ones.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        account: &AccountId,
        listed: bool,
    ) -> Result<bool, Error> {
        let partition = (tenant.as_str(), client.as_str());
        let mut race = Race::default();
        while race.again(partition).await {
            let get = Get::row(&ACCOUNTS_BY_CLIENT, partition, account.as_str()).latest();
            let on_list = self.store.get(get).await.doing("read account list")?.is_some();
            if on_list == listed {
                return Ok(true);
            }
            let statics = self.statics(tenant, client).await?;
            if listed && statics.closed {
                return Ok(false);
            }
            let count = if listed { statics.count + 1 } else { (statics.count - 1).max(0) };
            let cas = Cas::new(&ACCOUNTS_BY_CLIENT, partition).if_static("count", statics.stored_count);
            let cas = if listed {
                cas.if_static("closed", None::<bool>)
                    .if_absent(account.as_str())
                    .with(upsert(account.as_str()).set("listed", true))
            } else {
                cas.if_exists(account.as_str()).with(delete(account.as_str()))
            };
            let cas = cas.with(upsert_statics().set("count", count));
            if self.store.cas(cas).await.doing("write account list")?.is_applied() {
                return Ok(true);
            }
        }
        Err(Error::Contended { doing: "write account list" })
    }

    /// Closes a client's list to new accounts if it is empty, before the client is deleted; false where it is not.
    pub(crate) async fn close(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        closed: bool,
    ) -> Result<bool, Error> {
        let partition = (tenant.as_str(), client.as_str());
        let mut race = Race::default();
        while race.again(partition).await {
            let statics = self.statics(tenant, client).await?;
            if statics.closed == closed {
                return Ok(true);
            }
            if closed && statics.count > 0 {
                return Ok(false);
            }
            let cas = Cas::new(&ACCOUNTS_BY_CLIENT, partition)
                .if_static("count", statics.stored_count)
                .when(Target::Statics, Test::Equals("closed", statics.closed.then_some(true).into()))
                .with(upsert_statics().set("closed", closed.then_some(true)));
            if self.store.cas(cas).await.doing("close account list")?.is_applied() {
                return Ok(true);
            }
        }
        Err(Error::Contended { doing: "close account list" })
    }

    /// How many accounts a client has.
    pub(crate) async fn count(&self, tenant: &TenantId, client: &ClientId) -> Result<u64, Error> {
        Ok(u64::try_from(self.statics(tenant, client).await?.count).unwrap_or(0))
    }

    /// Ids of a client's accounts in order, after one of them, with whether there are more.
    pub(crate) async fn ids(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<AccountId>, bool), Error> {
        let mut scan = Scan::new(&ACCOUNTS_BY_CLIENT, (tenant.as_str(), client.as_str()), limit);
        if let Some(after) = after {
            scan = scan.after(after);
        }
        let page = self.store.scan(scan).await.doing("read account list")?;
        let ids = page
            .rows
            .iter()
            .map(|row| {
                AccountId::new(row.text("account_id").doing("read account list")?)
                    .map_err(|_| Error::Corrupt { table: ACCOUNTS_BY_CLIENT.name, column: "account_id" })
            })
            .collect::<Result<_, _>>()?;
        Ok((ids, page.more))
    }

    async fn statics(&self, tenant: &TenantId, client: &ClientId) -> Result<Statics, Error> {
        let get = Get::statics(&ACCOUNTS_BY_CLIENT, (tenant.as_str(), client.as_str())).latest();
        let Some(row) = self.store.get(get).await.doing("read account list")? else {
            return Ok(Statics { count: 0, stored_count: None, closed: false });
        };
        let stored_count = row.int_opt("count").doing("read account list")?;
        Ok(Statics {
            count: stored_count.unwrap_or(0),
            stored_count,
            closed: row.boolean_opt("closed").doing("read account list")?.unwrap_or(false),
        })
    }
}

struct Statics {
    count: i32,
    stored_count: Option<i32>,
    closed: bool,
}

fn key(tenant: &TenantId, id: &AccountId) -> Get {
    Get::row(&ACCOUNTS, (tenant.as_str(), id.as_str()), ())
}

fn written(came: &Came, account: &Account) -> Result<Written<Account>, Error> {
    let there = read(came.row())?;
    Ok(Written::of(came, account, there))
}

fn columns(account: &Account) -> Upsert {
    upsert(())
        .set("version", account.version)
        .set("pending", account.pending.then_some(true))
        .set("deleted", account.deleted.then_some(true))
        .set("client_id", account.client.as_str())
        .set("currency", account.currency.code())
        .set("type", i32::from(account.kind))
        .set("status", i32::from(account.status))
        .set("created_at", account.created_at)
        .set("updated_at", account.updated_at)
}

fn read(row: Option<&Row>) -> Result<Option<Account>, Error> {
    let Some(row) = row else { return Ok(None) };
    let corrupt = |column| Error::Corrupt { table: ACCOUNTS.name, column };
    let text = |column| row.text(column).doing("read account");
    Ok(Some(Account {
        id: AccountId::new(text("account_id")?).map_err(|_| corrupt("account_id"))?,
        client: ClientId::new(text("client_id")?).map_err(|_| corrupt("client_id"))?,
        currency: Currency::new(text("currency")?).ok_or_else(|| corrupt("currency"))?,
        kind: kind_or_default(row.int("type").doing("read account")?),
        status: status_or_default(row.int("status").doing("read account")?),
        created_at: row.timestamp("created_at").doing("read account")?,
        updated_at: row.timestamp("updated_at").doing("read account")?,
        version: row.bigint("version").doing("read account")?,
        pending: row.boolean_opt("pending").doing("read account")?.unwrap_or(false),
        deleted: row.boolean_opt("deleted").doing("read account")?.unwrap_or(false),
    }))
}
