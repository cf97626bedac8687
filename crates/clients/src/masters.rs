//! Master data: clients, their addresses, their accounts. Each operation reads, decides, and writes on the version it read; whoever
//! loses a race reads again.

use crate::domain::account::Account;
use crate::domain::client::{Client, Profile};
use crate::error::Error as ServiceError;
use crate::events::Events;
use crate::ingest::Owners;
use crate::repo::accounts::Accounts;
use crate::repo::buckets::Buckets;
use crate::repo::clients::Clients;
use crate::repo::lists::Lists;
use crate::repo::rows::Written;
use api::clients::v1::{Address, ClientStatus, PatchAccount, PatchClient};
use api::etag::IfMatch;
use bus::outbox::Intents;
use riskmesh_core::{AccountId, ClientId, Clock, Currency, Detail, Error, ErrorCode, TenantId};
use std::collections::HashMap;
use std::sync::Arc;
use store::list::{Listed, Start};
use store::race::Race;

/// The most accounts that one client can have.
const MAX_ACCOUNTS: u64 = 1000;

/// Reads and maintains master data.
#[derive(Clone)]
pub(crate) struct Masters {
    pub(crate) clients: Clients,
    pub(crate) accounts: Accounts,
    pub(crate) buckets: Buckets,
    pub(crate) lists: Lists,
    pub(crate) events: Arc<Events>,
    pub(crate) owners: Owners,
    pub(crate) clock: Arc<dyn Clock>,
}

fn client_not_found(id: &ClientId) -> Error {
    Error::not_found(ErrorCode::ClientNotFound, "clientId", id.as_str())
}

fn account_not_found(id: &AccountId) -> Error {
    Error::not_found(ErrorCode::AccountNotFound, "accountId", id.as_str())
}

fn exists(field: &'static str, id: &str) -> Error {
    Error::new(ErrorCode::AlreadyExists).detail(Detail::new(field, format!("{id} exists already")))
}

fn contended(doing: &'static str) -> Error {
    ServiceError::Contended { doing }.into()
}

impl Masters {
    /// The client, if it is there and not deleted.
    pub(crate) async fn client(&self, tenant: &TenantId, id: &ClientId) -> Result<Client, Error> {
        let client = self.clients.get(tenant, id).await?;
        client.filter(|client| !client.deleted).ok_or_else(|| client_not_found(id))
    }

    /// A new client. The id of a deleted one may be used again; the new client takes its place.
    pub(crate) async fn create_client(
        &self,
        tenant: &TenantId,
        id: ClientId,
        profile: Profile,
    ) -> Result<Client, Error> {
        let mut before = self.clients.get(tenant, &id).await?;
        let pointer = self.events.intend_clients(tenant, std::slice::from_ref(&id)).await?;
        let mut race = Race::default();
        while race.again((tenant, &id)).await {
            if before.as_ref().is_some_and(|before| !before.deleted) {
                return Err(exists("clientId", id.as_str()));
            }
            let now = self.clock.now();
            let ordinal = match &before {
                Some(before) => before.ordinal,
                None => self.lists.reserve(tenant).await?,
            };
            let mut client = Client::new(id.clone(), profile.clone(), ordinal, now);
            client.version = before.as_ref().map_or(1, |before| before.version + 1);
            let written = match &before {
                None => one(self.clients.insert(tenant, std::slice::from_ref(&client)).await?)?,
                Some(before) => {
                    self.accounts.close(tenant, &id, false).await?;
                    self.clients.replace(tenant, &client, before.version).await?
                }
            };
            match written {
                Written::Applied => {
                    self.lists.place(tenant, std::slice::from_ref(&client)).await?;
                    self.events.tell_clients(tenant, vec![client.clone()], pointer);
                    return Ok(client);
                }
                Written::Lost(now) => before = now.map(|now| *now),
            }
        }
        Err(contended("create client"))
    }

    /// Changes a client's profile.
    pub(crate) async fn update_client(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        patch: &PatchClient,
        mask: Option<&[String]>,
        if_match: &IfMatch,
    ) -> Result<Client, Error> {
        self.change_client(tenant, id, if_match, |client| client.profile.patch(patch, mask)).await
    }

    /// Sets a client's whole address.
    pub(crate) async fn put_address(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        address: Address,
        if_match: &IfMatch,
    ) -> Result<Client, Error> {
        self.change_client(tenant, id, if_match, |client| {
            client.address = Some(address.clone());
            Ok(())
        })
        .await
    }

    async fn change_client(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        if_match: &IfMatch,
        change: impl Fn(&mut Client) -> Result<(), Error>,
    ) -> Result<Client, Error> {
        let mut before = self.client(tenant, id).await?;
        let pointer = self.events.intend_clients(tenant, std::slice::from_ref(id)).await?;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            if_match.check(before.version)?;
            let mut client = before.clone();
            change(&mut client)?;
            if client == before {
                self.events.drop_pointer(pointer);
                return Ok(before);
            }
            client.version = before.version + 1;
            client.updated_at = self.clock.now();
            client.pending = true;
            match self.clients.replace(tenant, &client, before.version).await? {
                Written::Applied => {
                    self.lists.place(tenant, std::slice::from_ref(&client)).await?;
                    self.events.tell_clients(tenant, vec![client.clone()], pointer);
                    return Ok(client);
                }
                Written::Lost(now) => {
                    before =
                        now.map(|now| *now).filter(|now| !now.deleted).ok_or_else(|| client_not_found(id))?;
                }
            }
        }
        Err(contended("update client"))
    }

    /// Deletes a client that has no accounts. Its personal data go; a tombstone without them stays.
    pub(crate) async fn delete_client(
        &self,
        tenant: &TenantId,
        id: &ClientId,
        if_match: &IfMatch,
    ) -> Result<(), Error> {
        let mut before = self.clients.get(tenant, id).await?.ok_or_else(|| client_not_found(id))?;
        if before.deleted {
            return Ok(());
        }
        if_match.check(before.version)?;
        if !self.accounts.close(tenant, id, true).await? {
            return Err(Error::new(ErrorCode::PreconditionFailed)
                .message("The client still has accounts")
                .hint("Delete its accounts first; accounts with transactions cannot be deleted.")
                .detail(Detail::expected("clientId", "has accounts", "a client without accounts")));
        }
        let pointer = self.events.intend_clients(tenant, std::slice::from_ref(id)).await?;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            let mut gone = before.clone();
            gone.profile = Profile::empty(before.profile.kind, before.profile.status);
            gone.address = None;
            gone.version = before.version + 1;
            gone.updated_at = self.clock.now();
            gone.pending = true;
            gone.deleted = true;
            match self.clients.replace(tenant, &gone, before.version).await? {
                Written::Applied => {
                    self.lists.place(tenant, std::slice::from_ref(&gone)).await?;
                    self.events.tell_clients(tenant, vec![gone], pointer);
                    return Ok(());
                }
                Written::Lost(Some(now)) if now.deleted => return Ok(()),
                Written::Lost(now) => before = *now.ok_or_else(|| client_not_found(id))?,
            }
        }
        Err(contended("delete client"))
    }

    /// A page of clients in the order of their creation, all or those of one status.
    pub(crate) async fn list_clients(
        &self,
        tenant: &TenantId,
        status: Option<ClientStatus>,
        start: Start,
        limit: usize,
    ) -> Result<Listed<Client>, Error> {
        let page = self.lists.page(tenant, status, start, limit).await?;
        let clients = self.clients.get_many(tenant, &page.items).await?;
        Ok(page.with(clients))
    }

    /// A new account of an existing client.
    pub(crate) async fn create_account(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        id: AccountId,
        currency: Currency,
        kind: i32,
        status: i32,
    ) -> Result<Account, Error> {
        self.client(tenant, client).await?;
        if self.accounts.count(tenant, client).await? >= MAX_ACCOUNTS {
            return Err(Error::new(ErrorCode::PreconditionFailed)
                .message("The client has as many accounts as a client can have")
                .hint(format!("A client has at most {MAX_ACCOUNTS} accounts."))
                .detail(Detail::expected(
                    "clientId",
                    "has as many accounts as it can",
                    format!("< {MAX_ACCOUNTS} accounts"),
                )));
        }
        let now = self.clock.now();
        let mut account = Account::new(id, client.clone(), currency, kind, status, now);
        let pointer = self.events.intend_accounts(tenant, std::slice::from_ref(&account.id)).await?;
        let mut written = one(self.accounts.insert(tenant, std::slice::from_ref(&account)).await?)?;
        let mut race = Race::default();
        while race.again((tenant, &account.id)).await {
            match written {
                Written::Applied => {
                    if !self.accounts.list(tenant, client, &account.id, true).await? {
                        // The client was deleted in between: take the account back.
                        self.remove_account(tenant, account.clone(), pointer).await?;
                        return Err(client_not_found(client));
                    }
                    self.events.tell_accounts(tenant, vec![account.clone()], pointer);
                    return Ok(account);
                }
                Written::Lost(Some(there)) if there.deleted => {
                    account.version = there.version + 1;
                    self.buckets.reopen(tenant, &account.id).await?;
                    written = self.accounts.replace(tenant, &account, there.version).await?;
                }
                Written::Lost(_) => return Err(exists("accountId", account.id.as_str())),
            }
        }
        Err(contended("create account"))
    }

    /// The account, if it is there, not deleted, and the client's.
    pub(crate) async fn account(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        id: &AccountId,
    ) -> Result<Account, Error> {
        let account = self.accounts.get(tenant, id).await?;
        match account.filter(|account| !account.deleted && account.client == *client) {
            Some(account) => Ok(account),
            // Which of the two is missing decides what the caller is told.
            None => self.client(tenant, client).await.and(Err(account_not_found(id))),
        }
    }

    /// Changes an account.
    pub(crate) async fn update_account(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        patch: &PatchAccount,
        id: &AccountId,
        mask: Option<&[String]>,
        if_match: &IfMatch,
    ) -> Result<Account, Error> {
        let mut before = self.account(tenant, client, id).await?;
        let pointer = self.events.intend_accounts(tenant, std::slice::from_ref(id)).await?;
        let mut race = Race::default();
        while race.again((tenant, id)).await {
            if_match.check(before.version)?;
            let mut account = before.clone();
            account.patch(patch, mask)?;
            if account == before {
                self.events.drop_pointer(pointer);
                return Ok(before);
            }
            account.version = before.version + 1;
            account.updated_at = self.clock.now();
            account.pending = true;
            match self.accounts.replace(tenant, &account, before.version).await? {
                Written::Applied => {
                    self.events.tell_accounts(tenant, vec![account.clone()], pointer);
                    return Ok(account);
                }
                Written::Lost(now) => {
                    before = now
                        .map(|now| *now)
                        .filter(|now| !now.deleted)
                        .ok_or_else(|| account_not_found(id))?;
                }
            }
        }
        Err(contended("update account"))
    }

    /// Deletes an account that never had a transaction.
    pub(crate) async fn delete_account(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        id: &AccountId,
        if_match: &IfMatch,
    ) -> Result<(), Error> {
        let found = self.accounts.get(tenant, id).await?.filter(|account| account.client == *client);
        let Some(account) = found else {
            return self.client(tenant, client).await.and(Err(account_not_found(id)));
        };
        if account.deleted {
            return Ok(());
        }
        if_match.check(account.version)?;
        if !self.buckets.close(tenant, id).await? {
            return Err(Error::new(ErrorCode::PreconditionFailed)
                .message("The account has transactions")
                .hint("PATCH its status to closed instead; what was booked stays on record.")
                .detail(Detail::expected(
                    "accountId",
                    "has transactions",
                    "an account without transactions",
                )));
        }
        let pointer = self.events.intend_accounts(tenant, std::slice::from_ref(id)).await?;
        self.remove_account(tenant, account, pointer).await
    }

    pub(crate) async fn remove_account(
        &self,
        tenant: &TenantId,
        mut before: Account,
        pointer: Intents,
    ) -> Result<(), Error> {
        let mut race = Race::default();
        while race.again((tenant, &before.id)).await {
            let mut gone = before.clone();
            gone.version = before.version + 1;
            gone.updated_at = self.clock.now();
            gone.pending = true;
            gone.deleted = true;
            match self.accounts.replace(tenant, &gone, before.version).await? {
                Written::Applied => {
                    self.owners.invalidate(&(tenant.clone(), gone.id.clone()));
                    self.accounts.list(tenant, &gone.client, &gone.id, false).await?;
                    self.events.tell_accounts(tenant, vec![gone], pointer);
                    return Ok(());
                }
                Written::Lost(Some(now)) if now.deleted => return Ok(()),
                Written::Lost(now) => before = *now.ok_or_else(|| account_not_found(&before.id))?,
            }
        }
        Err(contended("delete account"))
    }

    /// A page of a client's accounts in the order of their ids, how many there are, and whether more follow.
    pub(crate) async fn list_accounts(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        start: AccountStart,
        limit: usize,
    ) -> Result<(Vec<Account>, u64, bool), Error> {
        self.client(tenant, client).await?;
        let (ids, more) = match start {
            AccountStart::After(id) => self.accounts.ids(tenant, client, Some(&id), limit).await?,
            AccountStart::Offset(offset) => {
                // A client has at most MAX_ACCOUNTS accounts: skipping in memory is one bounded read.
                let skip = usize::try_from(offset.min(MAX_ACCOUNTS)).unwrap_or(usize::MAX);
                let (mut ids, more) = self.accounts.ids(tenant, client, None, skip + limit).await?;
                (ids.split_off(skip.min(ids.len())), more)
            }
        };
        let rows = self.accounts.get_many(tenant, &ids).await?;
        let accounts = rows.into_iter().flatten().filter(|account| !account.deleted).collect();
        Ok((accounts, self.accounts.count(tenant, client).await?, more))
    }

    /// All account ids of an existing client.
    pub(crate) async fn account_ids(
        &self,
        tenant: &TenantId,
        client: &ClientId,
    ) -> Result<Vec<AccountId>, Error> {
        self.client(tenant, client).await?;
        Ok(self.accounts.ids(tenant, client, None, MAX_ACCOUNTS as usize + 1).await?.0)
    }

    /// Whose accounts these are; those that do not exist are absent.
    pub(crate) async fn owners(
        &self,
        tenant: &TenantId,
        ids: &[AccountId],
    ) -> Result<HashMap<AccountId, ClientId>, ServiceError> {
        let accounts = self.accounts.get_many(tenant, ids).await?;
        let living = accounts.into_iter().flatten().filter(|account| !account.deleted);
        Ok(living.map(|account| (account.id, account.client)).collect())
    }
}

/// The outcome of the one write of a call.
fn one<T>(mut written: Vec<Written<T>>) -> Result<Written<T>, Error> {
    written.pop().ok_or_else(|| Error::internal("write one row"))
}

/// Where a page of accounts starts.
pub(crate) enum AccountStart {
    Offset(u64),
    After(String),
}
