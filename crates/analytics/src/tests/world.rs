//! The service as it runs: on an embedded store and bus in a directory, beside a fake of the role `clients`.

use super::fake::{self, Fake};
use crate::consume::{Consume, Handled};
use crate::{Config, Deps, Handle, Service};
use api::analytics::v1::analytics_service_client::AnalyticsServiceClient as V1Client;
use api::analytics::v1::simulation_service_client::SimulationServiceClient as SimulationClient;
use api::analytics::v2::analytics_service_client::AnalyticsServiceClient as V2Client;
use api::analytics::{v1, v2};
use api::events::v1::{ClientChanged, RiskScoreChanged, TransactionsRecorded};
use api::transactions::v1::Transaction;
use authn::Role;
use bus::consumer::Takeover;
use bus::outbox::{self, Relay};
use bus::{Bus, Event, Fetch, Kind, Outbox, Record, event, kinds, topic};
use cache::Memory;
use prost::Message;
use refdata::Live;
use riskmesh_core::cipher::Key;
use riskmesh_core::cursor::Cursors;
use riskmesh_core::{ManualClock, TenantId, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::list::{self, Lists};
use store::{Store, Table};
use store_embedded::{Embedded, Options};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// The tenant of most tests.
pub(super) const TENANT: &str = "acme";
/// 2026-02-01T00:00:00Z, when every test begins.
pub(super) const NOW: Timestamp = Timestamp(1_769_904_000_000);

/// The service with what it stands on.
pub(super) struct World {
    pub(super) fake: Arc<Fake>,
    pub(super) store: Arc<dyn Store>,
    pub(super) bus: Arc<bus::Embedded>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) handle: Handle,
    /// Ends streams, as a stop of the process begins.
    pub(super) stopping: CancellationToken,
    consume: Consume,
    routes: Routes,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Opens the store in a directory.
pub(super) fn open(directory: &Path) -> Embedded {
    let tables: Vec<&'static Table> = [crate::TABLES, bus::TABLES, list::TABLES].concat();
    // Not abort: a test that failed takes its directory away under a store that still runs, and must be able to say why.
    let options = Options::new(directory, tables).on_fatal(|error| eprintln!("the store is closed: {error}"));
    Embedded::open(options).unwrap()
}

impl World {
    /// Starts the service in a directory with its usual settings.
    pub(super) async fn start(directory: &Path, fake: &Arc<Fake>) -> Self {
        Self::start_on(Arc::new(open(directory)), fake, &Config::default()).await
    }

    pub(super) async fn start_on(store: Arc<dyn Store>, fake: &Arc<Fake>, config: &Config) -> Self {
        let reference = Arc::new(Live::open(None).unwrap());
        Self::start_with(store, fake, config, reference).await
    }

    pub(super) async fn start_with(
        store: Arc<dyn Store>,
        fake: &Arc<Fake>,
        config: &Config,
        reference: Arc<Live>,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let bus = bus::Embedded::open(store.clone(), clock.clone(), topic::ALL).await.unwrap();
        let outbox = Outbox::new(store.clone(), clock.clone(), "test");
        let stopping = CancellationToken::new();
        let deps = Deps {
            store: store.clone(),
            lists: Lists::new(store.clone(), clock.clone()),
            bus: bus.clone(),
            outbox: outbox.clone(),
            cache: Arc::new(Memory::new(clock.clone(), 1 << 20)),
            cursors: Cursors::new(Key::new(&[7; 32]).unwrap()),
            clients: fake.channel(),
            member: "test".into(),
            takeover: Takeover::Immediate,
            reference,
            clock: clock.clone(),
            stopping: stopping.clone(),
        };
        let service = Service::new(config, deps).unwrap();
        let relay = outbox::Config { takeover: Takeover::Immediate, ..outbox::Config::default() };
        let relay = Relay::new(outbox, bus.clone(), service.sources(), relay).unwrap();
        let Consume { refresh, scorer, onlookers, .. } = &service.consume;
        let consume = Consume {
            refresh: refresh.clone(),
            scorer: scorer.clone(),
            onlookers: onlookers.clone(),
            handled: Handled::default(),
            at_once: 4,
        };
        let (handle, routes, stop) = (service.handle(), service.routes(), CancellationToken::new());
        let run = service.run(stop.clone());
        let tasks =
            vec![tokio::spawn(relay.run(stop.clone())), tokio::spawn(async move { run.await.unwrap() })];
        Self { fake: fake.clone(), store, bus, clock, handle, stopping, consume, routes, stop, tasks }
    }

    /// Stops as on SIGTERM.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.bus.close().await;
    }

    /// Handles events as the service does, by the hand of a test.
    pub(super) fn consume(&self) -> &Consume {
        &self.consume
    }

    /// Waits until every event is applied.
    pub(super) async fn caught_up(&self) {
        eventually("the service has caught up", async || self.handle.caught_up().await.unwrap()).await;
    }

    /// Records entries with the role `clients`, which tells of them.
    pub(super) async fn record(&self, client: &str, entries: &[Transaction]) {
        for entry in entries {
            self.fake.record(TENANT, entry.clone());
        }
        self.publish(entries.iter().map(|entry| recorded(client, entry)).collect()).await;
    }

    /// Puts a client, which is told of.
    pub(super) async fn put_client(&self, id: &str, country: &str) {
        self.fake.put_client(TENANT, fake::client(id, country, NOW));
        self.publish(vec![changed(id)]).await;
    }

    pub(super) async fn publish(&self, records: Vec<(&'static str, Record)>) {
        for (topic, record) in records {
            self.bus.publish(topic, vec![record]).await.unwrap();
        }
    }

    pub(super) async fn v1(&self, client: &str) -> Result<Response<v1::GetAnalyticsResponse>, Status> {
        let request = v1::GetAnalyticsRequest { client_id: client.into() };
        V1Client::new(self.routes.clone()).get_analytics(by(TENANT, request)).await
    }

    pub(super) async fn v2(&self, client: &str) -> Result<Response<v2::GetAnalyticsResponse>, Status> {
        self.v2_of(TENANT, client).await
    }

    pub(super) async fn v2_of(
        &self,
        tenant: &str,
        client: &str,
    ) -> Result<Response<v2::GetAnalyticsResponse>, Status> {
        let request = v2::GetAnalyticsRequest { client_id: client.into() };
        V2Client::new(self.routes.clone()).get_analytics(by(tenant, request)).await
    }

    pub(super) async fn simulate(
        &self,
        request: v1::SimulateAnalyticsRequest,
    ) -> Result<v1::SimulateAnalyticsResponse, Status> {
        let mut client = SimulationClient::new(self.routes.clone());
        Ok(client.simulate_analytics(by(TENANT, request)).await?.into_inner())
    }

    /// A client's risk, which it must have.
    pub(super) async fn risk(&self, client: &str) -> v2::Analytics {
        self.v2(client).await.unwrap().into_inner().analytics.unwrap()
    }

    pub(super) async fn list_v1(
        &self,
        request: v1::ListAnalyticsRequest,
    ) -> Result<v1::ListAnalyticsResponse, Status> {
        let response = V1Client::new(self.routes.clone()).list_analytics(by(TENANT, request)).await?;
        Ok(response.into_inner())
    }

    pub(super) async fn list(
        &self,
        tenant: &str,
        request: v2::ListAnalyticsRequest,
    ) -> Result<v2::ListAnalyticsResponse, Status> {
        let response = V2Client::new(self.routes.clone()).list_analytics(by(tenant, request)).await?;
        Ok(response.into_inner())
    }

    pub(super) async fn history(
        &self,
        request: v2::ListAnalyticsHistoryRequest,
    ) -> Result<v2::ListAnalyticsHistoryResponse, Status> {
        let response = V2Client::new(self.routes.clone()).list_analytics_history(by(TENANT, request)).await?;
        Ok(response.into_inner())
    }

    pub(super) async fn watch(
        &self,
        request: v2::WatchAnalyticsRequest,
    ) -> Result<Streaming<v2::WatchAnalyticsResponse>, Status> {
        self.watch_of(TENANT, request).await
    }

    pub(super) async fn watch_of(
        &self,
        tenant: &str,
        request: v2::WatchAnalyticsRequest,
    ) -> Result<Streaming<v2::WatchAnalyticsResponse>, Status> {
        let response = V2Client::new(self.routes.clone()).watch_analytics(by(tenant, request)).await?;
        Ok(response.into_inner())
    }

    /// All risks of the tenant by client.
    pub(super) async fn risks(&self) -> Vec<v2::Analytics> {
        let request = v2::ListAnalyticsRequest { limit: Some(1000), ..v2::ListAnalyticsRequest::default() };
        let mut risks = self.list(TENANT, request).await.unwrap().analytics;
        risks.sort_by(|a, b| a.client_id.cmp(&b.client_id));
        risks
    }

    /// The events of a kind that were published so far, in the order of their partitions.
    pub(super) async fn published(&self, kind: &Kind<RiskScoreChanged>) -> Vec<Event<RiskScoreChanged>> {
        let mut events = Vec::new();
        for partition in 0..self.bus.partitions(kind.topic.name).await.unwrap() {
            let fetch = Fetch { max_records: 100_000, ..Fetch::new(kind.topic.name, partition, 0) };
            let batch = self.bus.fetch(fetch).await.unwrap();
            let of_kind = batch.records.iter().filter(|stored| kind.is(&stored.record));
            events.extend(of_kind.map(|stored| kind.decode(&stored.record).unwrap()));
        }
        events
    }
}

/// As an analyst of the tenant.
fn by<T: Message>(tenant: &str, message: T) -> Request<T> {
    testkit::service::request_of(Role::Analyst, TenantId::new(tenant).unwrap(), message)
}

/// The event that tells of an entry.
pub(super) fn recorded(client: &str, entry: &Transaction) -> (&'static str, Record) {
    let data = TransactionsRecorded {
        tenant: TENANT.into(),
        client_id: client.into(),
        account_id: entry.account_id.clone(),
        hours: vec![Timestamp(fake::booked_at(entry)).hour()],
    };
    let key = format!("{TENANT}/{}", entry.account_id);
    let event = Event::new(event::id(&[entry.transaction_id.as_bytes()]), "/riskmesh/clients", NOW, data);
    (kinds::TRANSACTIONS_RECORDED.topic.name, kinds::TRANSACTIONS_RECORDED.encode(key, &event))
}

/// The event that tells of a changed client.
pub(super) fn changed(client: &str) -> (&'static str, Record) {
    let data = ClientChanged { tenant: TENANT.into(), client_id: client.into(), ..ClientChanged::default() };
    let event = Event::new(event::id(&[client.as_bytes()]), "/riskmesh/clients", NOW, data);
    (kinds::CLIENT_CHANGED.topic.name, kinds::CLIENT_CHANGED.encode(format!("{TENANT}/{client}"), &event))
}

/// Waits for a condition.
pub(super) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        while !condition().await {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "{what}: not within 30 s");
}
