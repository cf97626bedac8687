//! Clients, their addresses and accounts, the entries on those accounts, payments, portfolios and their trades: the master data and
//! the ledger that everything else is computed from.
//!
//! [`Service::new`] makes the gRPC services of the role `clients`. State is in the store only: any replica serves any request.

mod domain;
mod error;
mod events;
mod ingest;
mod ledger;
mod masters;
mod opening;
mod payments;
mod portfolios;
mod preferences;
mod repair;
mod repo;
mod rpc;
mod tables;
#[cfg(test)]
mod tests;
mod trades;

pub use tables::ALL as TABLES;

use ::cache::Cache;
use api::clients::v1::accounts_service_server::AccountsServiceServer;
use api::clients::v1::clients_service_server::ClientsServiceServer;
use api::clients::v1::preferences_service_server::PreferencesServiceServer;
use api::payments::v1::payments_service_server::PaymentsServiceServer;
use api::portfolios::v1::portfolios_service_server::PortfoliosServiceServer;
use api::portfolios::v1::trades_service_server::TradesServiceServer;
use api::transactions::v1::transactions_service_server::TransactionsServiceServer;
use bus::{Bus, Outbox, PendingSource};
use events::Events;
use idempotency::Keys;
use ingest::Ingest;
use ledger::Ledger;
use masters::Masters;
use payments::Payments;
use policy::Policy;
use portfolios::Portfolios;
use preferences::Preferences;
use repair::Repair;
use repo::accounts::Accounts;
use repo::buckets::Buckets;
use repo::clients::Clients;
use repo::lists::Lists;
use repo::transactions::Transactions;
use riskmesh_core::Clock;
use riskmesh_core::cipher::ColumnCipher;
use riskmesh_core::cursor::Cursors;
use rpc::{AccountsRpc, ClientsRpc, PaymentsRpc, PortfoliosRpc, PreferencesRpc, TradesRpc, TransactionsRpc};
use std::sync::Arc;
use store::Store;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use trades::Trades;

/// Accounts that a process remembers to exist.
const KNOWN_ACCOUNTS: u64 = 1_000_000;
/// The largest request: a batch of 10,000 entries with every field filled.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// What the service works with.
pub struct Deps {
    /// Where its tables are.
    pub store: Arc<dyn Store>,
    /// Where its events go.
    pub bus: Arc<dyn Bus>,
    /// Pointers to events under way.
    pub outbox: Outbox,
    /// Lists in constant time at any offset; one for all services of a process.
    pub lists: store::list::Lists,
    /// Keeps preferences that are asked for often.
    pub cache: Arc<dyn Cache>,
    /// Idempotency keys.
    pub keys: Keys,
    /// Seals personal data.
    pub cipher: ColumnCipher,
    /// Seals page cursors.
    pub cursors: Cursors,
    /// Permissions beyond the method's own.
    pub policy: Arc<Policy>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The role `clients`.
pub struct Service {
    clients: ClientsRpc,
    accounts: AccountsRpc,
    transactions: TransactionsRpc,
    payments: PaymentsRpc,
    portfolios: PortfoliosRpc,
    preferences: PreferencesRpc,
    trades: TradesRpc,
    events: Arc<Events>,
}

impl Service {
    /// The service on these dependencies.
    pub fn new(deps: Deps) -> Self {
        let Deps { store, bus, outbox, lists, cache, keys, cipher, cursors, policy, clock } = deps;
        let clients = Clients::new(store.clone(), cipher.clone());
        let accounts = Accounts::new(store.clone());
        let buckets = Buckets::new(store.clone());
        let transactions = Transactions::new(store.clone(), cipher.clone());
        let rows = repo::payments::Payments::new(store.clone(), lists.clone(), cipher.clone());
        let portfolio_rows = repo::portfolios::Portfolios::new(store.clone(), lists.clone(), cipher.clone());
        let trade_rows = repo::trades::Trades::new(store.clone(), lists.clone());
        let lists = Lists::new(lists);
        let events = Arc::new(Events {
            clients: clients.clone(),
            accounts: accounts.clone(),
            transactions: transactions.clone(),
            lists: lists.clone(),
            outbox,
            bus,
            clock: clock.clone(),
            tasks: TaskTracker::new(),
            telling: Events::permits(),
            under_way: tokio::sync::watch::Sender::new(0),
        });
        let owners = moka::sync::Cache::new(KNOWN_ACCOUNTS);
        let masters = Masters {
            clients,
            accounts: accounts.clone(),
            buckets: buckets.clone(),
            lists,
            events: events.clone(),
            owners: owners.clone(),
            clock: clock.clone(),
        };
        let ingest = Ingest {
            accounts: accounts.clone(),
            buckets: buckets.clone(),
            transactions: transactions.clone(),
            events: events.clone(),
            owners,
            clock: clock.clone(),
        };
        let payments = Payments {
            accounts,
            rows,
            ingest: ingest.clone(),
            keys,
            events: events.clone(),
            clock: clock.clone(),
        };
        let portfolios = Portfolios { rows: portfolio_rows, events: events.clone(), clock: clock.clone() };
        let trades = Trades { portfolios: portfolios.clone(), rows: trade_rows, events: events.clone() };
        let preferences = Preferences::new(masters.clone(), store, cipher, cache, clock.clone());
        let ledger = Ledger { buckets, transactions };
        Self {
            clients: ClientsRpc { masters: masters.clone(), cursors: cursors.clone() },
            accounts: AccountsRpc { masters: masters.clone(), cursors: cursors.clone() },
            payments: PaymentsRpc { payments, cursors: cursors.clone() },
            preferences: PreferencesRpc { preferences },
            portfolios: PortfoliosRpc { portfolios, masters: masters.clone(), cursors: cursors.clone() },
            trades: TradesRpc { trades, cursors: cursors.clone(), clock },
            transactions: TransactionsRpc { masters, ingest, ledger, cursors, policy },
            events,
        }
    }

    /// The gRPC services, for a server stack.
    pub fn routes(&self) -> Routes {
        Routes::new(ClientsServiceServer::new(self.clients.clone()))
            .add_service(AccountsServiceServer::new(self.accounts.clone()))
            .add_service(PreferencesServiceServer::new(self.preferences.clone()))
            .add_service(PaymentsServiceServer::new(self.payments.clone()))
            .add_service(PortfoliosServiceServer::new(self.portfolios.clone()))
            .add_service(
                TradesServiceServer::new(self.trades.clone()).max_decoding_message_size(MAX_REQUEST_BYTES),
            )
            .add_service(
                TransactionsServiceServer::new(self.transactions.clone())
                    .max_decoding_message_size(MAX_REQUEST_BYTES),
            )
    }

    /// What finds events that a crash left behind.
    pub fn sources(&self) -> Vec<Arc<dyn PendingSource>> {
        let mut sources = self.events.sources();
        sources.push(Arc::new(Repair(self.payments.payments.clone())));
        sources.push(Arc::new(Repair(self.portfolios.portfolios.clone())));
        sources.push(Arc::new(Repair(self.trades.trades.clone())));
        sources
    }

    /// Waits until everything that was acknowledged so far has been told of.
    pub async fn settle(&self) {
        self.events.settled().await;
    }

    /// Waits until everything that was acknowledged has been told of; at shutdown, after the last request.
    pub async fn drain(&self) {
        self.events.tasks.close();
        self.events.tasks.wait().await;
    }
}
