//! Opens accounts for data that come without master data: each under a client whose id is the account's without leading zeros.
//!
//! It is what creating a client and then an account does, step by step for many at once: a bulk load opens thousands. Whatever is not
//! quite new (a client that is there, or was once) goes the ordinary way, one by one.

use crate::domain::account::Account;
use crate::domain::client::{Client, Profile};
use crate::masters::Masters;
use crate::repo::rows::Written;
use api::clients::v1::{ClientStatus, ClientType};
use futures::{StreamExt as _, TryStreamExt as _};
use riskmesh_core::{AccountId, ClientId, Currency, Error, ErrorCode, TenantId};
use std::collections::BTreeMap;

/// Accounts that are opened in one go.
const TOGETHER: usize = 2_000;
/// Accounts that are opened one by one at a time.
const AT_ONCE: usize = 256;

/// An account to open, and under whom.
#[derive(Clone)]
struct Wanted {
    account: AccountId,
    client: ClientId,
    currency: Currency,
}

impl Masters {
    /// Opens those of these accounts that do not exist.
    pub(crate) async fn create_missing(
        &self,
        tenant: &TenantId,
        accounts: impl Iterator<Item = (&AccountId, Currency)>,
    ) -> Result<(), Error> {
        let mut wanted: BTreeMap<AccountId, Currency> = BTreeMap::new();
        for (id, currency) in accounts {
            if !wanted.contains_key(id) && self.owners.get(&(tenant.clone(), id.clone())).is_none() {
                wanted.insert(id.clone(), currency);
            }
        }
        let ids: Vec<AccountId> = wanted.keys().cloned().collect();
        let there = self.owners(tenant, &ids).await?;
        let missing = wanted.into_iter().filter(|(id, _)| !there.contains_key(id));
        let missing = missing.map(Wanted::new).collect::<Result<Vec<_>, _>>()?;

        let known = self.clients.find_many(tenant, missing.iter().map(|wanted| &wanted.client)).await?;
        let (new, known): (Vec<_>, Vec<_>) =
            missing.into_iter().zip(known).partition(|(_, known)| known.is_none());
        let mut one_by_one: Vec<Wanted> = known.into_iter().map(|(wanted, _)| wanted).collect();
        let new: Vec<Wanted> = new.into_iter().map(|(wanted, _)| wanted).collect();
        for new in new.chunks(TOGETHER) {
            one_by_one.extend(self.open_new(tenant, new).await?);
        }
        let opened = one_by_one.into_iter().map(|wanted| self.open_one(tenant, wanted));
        futures::stream::iter(opened).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Opens accounts under clients that never were. Gives those that somebody else is opening, too.
    async fn open_new(&self, tenant: &TenantId, wanted: &[Wanted]) -> Result<Vec<Wanted>, Error> {
        let ids: Vec<ClientId> = wanted.iter().map(|wanted| wanted.client.clone()).collect();
        let intents = self.events.intend_clients(tenant, &ids).await?;
        let now = self.clock.now();
        let mut clients = Vec::with_capacity(wanted.len());
        for id in ids {
            let (profile, ordinal) = (profile(&id), self.lists.reserve(tenant).await?);
            clients.push(Client::new(id, profile, ordinal, now));
        }
        let written = self.clients.insert(tenant, &clients).await?;
        let clients = applied(clients, &written);
        self.lists.place(tenant, &clients).await?;
        self.events.tell_clients(tenant, clients, intents);

        let (mut accounts, mut left) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (wanted, written) in wanted.iter().zip(written) {
            match written {
                Written::Applied => {
                    let Wanted { account, client, currency } = wanted.clone();
                    accounts.push(Account::new(account, client, currency, 0, 0, now));
                }
                Written::Lost(_) => left.push(wanted.clone()),
            }
        }
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id.clone()).collect();
        let intents = self.events.intend_accounts(tenant, &ids).await?;
        let written = self.accounts.insert(tenant, &accounts).await?;
        for (account, written) in accounts.iter().zip(&written) {
            // One that was deleted can be opened again; one that is there is somebody else's doing, and what was asked for.
            if matches!(written, Written::Lost(Some(there)) if there.deleted) {
                left.extend(wanted.iter().find(|wanted| wanted.account == account.id).cloned());
            }
        }
        let accounts = applied(accounts, &written);
        let listed = self.accounts.list_first(tenant, &accounts).await?;
        let mut opened = Vec::with_capacity(accounts.len());
        for (account, listed) in accounts.into_iter().zip(listed) {
            if listed || self.accounts.list(tenant, &account.client, &account.id, true).await? {
                opened.push(account);
            } else {
                // The client was deleted in between: take the account back.
                let intents = self.events.intend_accounts(tenant, std::slice::from_ref(&account.id)).await?;
                self.remove_account(tenant, account, intents).await?;
            }
        }
        self.events.tell_accounts(tenant, opened, intents);
        Ok(left)
    }

    async fn open_one(&self, tenant: &TenantId, wanted: Wanted) -> Result<(), Error> {
        let Wanted { account, client, currency } = wanted;
        let is_there = |error: &Error| error.code == ErrorCode::AlreadyExists;
        match self.create_client(tenant, client.clone(), profile(&client)).await {
            Err(error) if !is_there(&error) => return Err(error),
            _ => {}
        }
        match self.create_account(tenant, &client, account, currency, 0, 0).await {
            Err(error) if !is_there(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Wanted {
    fn new((account, currency): (AccountId, Currency)) -> Result<Self, Error> {
        let number = account.as_str().trim_start_matches('0');
        let client = ClientId::new(if number.is_empty() { "0" } else { number })
            .map_err(|_| Error::internal("derive client id"))?;
        Ok(Self { account, client, currency })
    }
}

fn profile(client: &ClientId) -> Profile {
    Profile {
        name: format!("Account holder {client}"),
        ..Profile::empty(ClientType::Individual, ClientStatus::Active)
    }
}

/// Those that were written.
fn applied<T>(all: Vec<T>, written: &[Written<T>]) -> Vec<T> {
    let written = written.iter().map(|written| matches!(written, Written::Applied));
    all.into_iter().zip(written).filter_map(|(one, written)| written.then_some(one)).collect()
}
