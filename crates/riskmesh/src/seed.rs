//! The sandbox tenant: generated clients, accounts and transactions, a market with portfolios, recorded through the same services as
//! anybody's. What was planned is noted in the store first, so a start that is cut off goes on where it stopped, with the same data, and
//! several processes that start at once do the same.

mod market;

use crate::admin_socket::AnyChannel;
use crate::deployment::{self, Deployment};
use api::clients::v1::accounts_service_client::AccountsServiceClient;
use api::clients::v1::clients_service_client::ClientsServiceClient;
use api::clients::v1::{
    Account, AccountStatus, Address, Client, ClientStatus, ClientType, CreateAccountRequest,
    CreateClientRequest, PutAddressRequest,
};
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use api::transactions::v1::{
    BatchCreateTransactionsRequest, Channel, Direction, Transaction, TransactionType,
};
use futures::{StreamExt as _, TryStreamExt as _};
use generate::{Generator, Plan};
use riskmesh_core::clock::DAY_MS;
use riskmesh_core::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};

/// The sandbox's tenant.
pub const TENANT: &str = "sandbox";
/// The notes in the store.
const KIND: &str = "sandbox";
const PLAN: &str = "plan";
const DONE: &str = "done";
/// Where they were before.
const FILE: &str = "sandbox.toml";
/// Calls under way at a time.
const AT_ONCE: usize = 64;
/// Entries of one batch.
const BATCH: usize = 5_000;
/// Batches under way at a time.
const BATCHES_AT_ONCE: usize = 2;

/// What was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Planned {
    seed: u64,
    end_ms: i64,
}

/// Why the sandbox could not be seeded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The notes cannot be read or written.
    #[error("keep note of the sandbox")]
    Note(#[from] deployment::Error),
    /// They are not what this program writes.
    #[error("read the notes of the sandbox")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The plan cannot be generated.
    #[error("plan the sandbox")]
    Plan(#[from] generate::Error),
    /// A service refused.
    #[error("seed the sandbox: {0}")]
    Service(Box<riskmesh_core::Error>),
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Service(Box::new(riskmesh_core::Error::from_status(&status)))
    }
}

/// The sandbox of a store.
pub struct Sandbox {
    deployment: Deployment,
    /// Has the note of a directory that an earlier release seeded.
    data_dir: PathBuf,
}

impl Sandbox {
    pub(crate) fn new(deployment: Deployment, data_dir: &Path) -> Self {
        Self { deployment, data_dir: data_dir.to_owned() }
    }

    /// Whether it has been seeded, as far as it wants to be.
    pub(crate) async fn is_done(&self) -> Result<bool, Error> {
        self.take_over().await?;
        Ok(self.deployment.noted(KIND, DONE).await?.is_some())
    }

    /// Seeds it, or finishes seeding it.
    pub(crate) async fn seed(
        &self,
        seed: u64,
        now: Timestamp,
        channel: AnyChannel,
        authorization: MetadataValue<Ascii>,
    ) -> Result<(), Error> {
        let end_ms = now.millis().div_euclid(DAY_MS) * DAY_MS;
        let planned = self.plan(Planned { seed, end_ms }).await?;
        let generator = Generator::new(Plan::sandbox(planned.seed, planned.end_ms))?;
        let call = Call { channel, authorization };
        let plan = *generator.plan();
        futures::stream::iter((0..plan.clients).map(|index| call.client(&generator, index)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        futures::stream::iter((0..plan.accounts).map(|index| call.account(&generator, index)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        market::seed(&call, planned.seed, planned.end_ms).await?;
        let batches = Batches { entries: generator.entries() };
        futures::stream::iter(batches.map(|batch| call.transactions(batch)))
            .buffer_unordered(BATCHES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.deployment.note(KIND, DONE, "").await?;
        Ok(())
    }

    /// The plan that was first.
    async fn plan(&self, planned: Planned) -> Result<Planned, Error> {
        let text = toml::to_string(&planned).map_err(malformed)?;
        toml::from_str(&self.deployment.note(KIND, PLAN, &text).await?).map_err(malformed)
    }

    /// Takes the note of an earlier release into the store.
    async fn take_over(&self) -> Result<(), Error> {
        let path = self.data_dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(malformed)?,
        };
        let Former { seed, end_ms, done } = toml::from_str(&text).map_err(malformed)?;
        self.plan(Planned { seed, end_ms }).await?;
        if done {
            self.deployment.note(KIND, DONE, "").await?;
        }
        std::fs::remove_file(&path).map_err(malformed)
    }
}

/// The note of an earlier release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Former {
    seed: u64,
    end_ms: i64,
    done: bool,
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Malformed(error.into())
}

/// Entries in batches.
struct Batches<I> {
    entries: I,
}

impl<I: Iterator<Item = risk::Entry>> Iterator for Batches<I> {
    type Item = Vec<Transaction>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Vec<_> = self.entries.by_ref().take(BATCH).map(|entry| transaction(&entry)).collect();
        (!batch.is_empty()).then_some(batch)
    }
}

struct Call {
    channel: AnyChannel,
    authorization: MetadataValue<Ascii>,
}

/// What is there already was made by an earlier start.
fn or_there<T>(answer: Result<T, Status>) -> Result<(), Status> {
    match answer {
        Err(status) if status.code() != Code::AlreadyExists => Err(status),
        _ => Ok(()),
    }
}

impl Call {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    async fn client(&self, generator: &Generator, index: u64) -> Result<(), Error> {
        let generated = generator.client(index);
        let profile = &generated.profile;
        let country =
            |country: Option<risk::Country>| country.map(|code| code.to_string()).unwrap_or_default();
        let day =
            |ms: Option<i64>| ms.map(|ms| Timestamp(ms).to_string()[..10].to_owned()).unwrap_or_default();
        let client = Client {
            client_id: generated.id.to_string(),
            name: generated.name.clone(),
            r#type: match profile.client_type {
                Some(risk::ClientType::Company) => ClientType::Company,
                _ => ClientType::Individual,
            }
            .into(),
            status: ClientStatus::Active.into(),
            residence_country: country(profile.residence),
            nationality: country(profile.nationality),
            incorporation_country: country(profile.incorporation),
            industry: profile.industry.as_ref().map(ToString::to_string).unwrap_or_default(),
            onboarded_on: day(profile.onboarded_at_ms),
            reviewed_on: day(profile.last_reviewed_at_ms),
            create_time: None,
            update_time: None,
            ownership_layers: profile.ownership_layers.map(i32::from),
        };
        let mut clients = ClientsServiceClient::new(self.channel.clone());
        or_there(clients.create_client(self.request(CreateClientRequest { client: Some(client) })).await)?;
        if let Some(residence) = profile.residence {
            let address = Address {
                lines: vec![format!("{} Sample Street", index % 200 + 1)],
                city: "Sampleton".into(),
                region: String::new(),
                postal_code: format!("{:05}", index * 7 % 100_000),
                country: residence.to_string(),
            };
            let put = PutAddressRequest { client_id: generated.id.to_string(), address: Some(address) };
            clients.put_address(self.request(put)).await?;
        }
        Ok(())
    }

    async fn account(&self, generator: &Generator, index: u64) -> Result<(), Error> {
        let generated = generator.account(index);
        let client = generator.client(generated.client);
        // A client's first account is one it can use: dormant ones are silent, not blocked.
        let account = Account {
            account_id: generated.id.to_string(),
            currency: generated.currency.to_string(),
            r#type: if client.profile.private_banking == Some(true) { 3 } else { 1 },
            status: AccountStatus::Active.into(),
            ..Account::default()
        };
        let create = CreateAccountRequest { client_id: client.id.to_string(), account: Some(account) };
        let mut accounts = AccountsServiceClient::new(self.channel.clone());
        Ok(or_there(accounts.create_account(self.request(create)).await)?)
    }

    async fn transactions(&self, batch: Vec<Transaction>) -> Result<(), Error> {
        let mut transactions = TransactionsServiceClient::new(self.channel.clone());
        let request = self.request(BatchCreateTransactionsRequest { transactions: batch });
        let answer = transactions.batch_create_transactions(request).await?.into_inner();
        match answer.rejected.first() {
            None => Ok(()),
            Some(rejection) => Err(Error::Service(Box::new(
                riskmesh_core::Error::internal("seed transactions").because(rejection.message.clone()),
            ))),
        }
    }
}

/// A generated entry as the contract has it.
pub fn transaction(entry: &risk::Entry) -> Transaction {
    let amount = Currency::new(entry.currency.as_str())
        .map_or_else(String::new, |currency| Money { minor: entry.amount.minor(), currency }.to_string());
    Transaction {
        transaction_id: entry.id.to_string(),
        account_id: entry.account.to_string(),
        client_id: String::new(),
        transfer_id: entry.transfer_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        direction: match entry.direction {
            risk::Direction::Debit => Direction::Debit,
            risk::Direction::Credit => Direction::Credit,
        }
        .into(),
        amount,
        currency: entry.currency.to_string(),
        booked_at: Some(api::time::to_proto(Timestamp(entry.at_ms))),
        counterparty_account: entry.counterparty.as_ref().map(ToString::to_string).unwrap_or_default(),
        counterparty_country: entry.counterparty_country.map(|code| code.to_string()).unwrap_or_default(),
        r#type: match entry.kind {
            risk::Kind::Cash => TransactionType::Cash,
            risk::Kind::Transfer => TransactionType::Transfer,
            risk::Kind::Card => TransactionType::Card,
            risk::Kind::DirectDebit => TransactionType::DirectDebit,
            risk::Kind::Fee => TransactionType::Fee,
            risk::Kind::Crypto => TransactionType::Crypto,
        }
        .into(),
        channel: match entry.channel {
            None => Channel::Unspecified,
            Some(risk::Channel::Branch) => Channel::Branch,
            Some(risk::Channel::Atm) => Channel::Atm,
            Some(risk::Channel::Online) => Channel::Online,
            Some(risk::Channel::Mobile) => Channel::Mobile,
            Some(risk::Channel::Intermediary) => Channel::Intermediary,
        }
        .into(),
    }
}
