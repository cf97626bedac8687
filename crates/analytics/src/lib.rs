//! Risk scores of clients, versions 1 and 2, kept current from the event stream.
//!
//! The way of a change: an event says that an account has new entries in some hours (`consume`); these hours are read again and
//! replaced (`refresh`); the client's score, and those of others who look at the account (`repo::onlookers`), are computed anew from the
//! state of all their accounts and what is around them (`inputs`, `around`, with the maths of crate `risk`) and written with their news
//! (`scorer`); the history, the list and the bus are told (`news`). Callers read rows (`reader`), or watch them change (`watch`, woken by
//! `hub`).
//!
//! Three things make this safe to repeat, reorder and cut off anywhere. Events are invalidations: the truth is read from the services
//! that have it. An hour and a score are pure functions of what they are made of; neither depends on the clock or on what was there
//! before. And every row is written only if it is still the one that was read before its inputs were.

mod around;
mod cached;
mod config;
mod consume;
mod domain;
mod error;
mod hub;
mod inputs;
mod news;
mod reader;
mod reference;
mod refresh;
mod repo;
mod rpc;
mod scorer;
mod simulate;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod upstream;
mod watch;

pub use config::{Config, Error as ConfigError};
pub use tables::ALL as TABLES;

use ::cache::Cache;
use api::analytics::v1::analytics_service_server::AnalyticsServiceServer as V1;
use api::analytics::v1::simulation_service_server::SimulationServiceServer;
use api::analytics::v2::analytics_service_server::AnalyticsServiceServer as V2;
use bus::consumer::{Consumer, Lag, Takeover};
use bus::{Bus, Outbox, PendingSource, consumer};
use cached::ScoreCache;
use consume::{Consume, GROUP, Handled, TOPICS};
use hub::Hub;
use inputs::Gather;
use mesh::Channel;
use news::News;
use reader::Reader;
use reference::InUse;
use refresh::Refresh;
use repo::history::History;
use repo::hours::Hours;
use repo::list::List;
use repo::onlookers::Onlookers;
use repo::scores::Scores;
use repo::sweeps::Sweeps;
use riskmesh_core::cursor::Cursors;
use riskmesh_core::{Clock, Error};
use rpc::{AnalyticsRpc, SimulationRpc};
use scorer::Scorer;
use simulate::Simulator;
use std::sync::Arc;
use store::Store;
use store::list::Lists;
use sweep::Sweep;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use upstream::Upstream;
use watch::Watcher;

/// What the service works with.
pub struct Deps {
    /// Where its tables are.
    pub store: Arc<dyn Store>,
    /// The lists in it, which somebody maintains.
    pub lists: Lists,
    /// Where events come from and go to.
    pub bus: Arc<dyn Bus>,
    /// Pointers to events under way.
    pub outbox: Outbox,
    /// Keeps risks that are asked for often.
    pub cache: Arc<dyn Cache>,
    /// Seals page cursors.
    pub cursors: Cursors,
    /// The way to the role `clients`. Its credentials must let this workload read clients and scan transactions.
    pub clients: Channel,
    /// Names this start of this process among the members of the consumer group.
    pub member: Arc<str>,
    /// Whether this process is the group's only member: see [`Takeover`].
    pub takeover: Takeover,
    /// The reference data in force, for what the settings name no file for.
    pub reference: Arc<refdata::Live>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when no more requests are taken: streams under way end then.
    pub stopping: CancellationToken,
}

/// The role `analytics`.
pub struct Service {
    rpc: AnalyticsRpc,
    simulation: SimulationRpc,
    news: News,
    consume: Consume,
    consumer: Consumer,
    sweep: Sweep,
    hub: Hub,
    refdata: InUse,
    handle: Handle,
}

/// Watches a service that runs; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    bus: Arc<dyn Bus>,
    lag: Lag,
    handled: Handled,
    takeover: Takeover,
    swept: sweep::Done,
    refdata: InUse,
}

impl Service {
    /// The service with these settings, on these dependencies. It answers at once; it follows the events while it
    /// [runs](Self::run). Errors are settings that cannot work.
    pub fn new(config: &Config, deps: Deps) -> Result<Self, ConfigError> {
        config.check()?;
        let Deps {
            store,
            lists,
            bus,
            outbox,
            cache,
            cursors,
            clients,
            member,
            takeover,
            reference,
            clock,
            stopping,
        } = deps;
        let models = Arc::new(config.load_models()?);
        let model = models.default_model().clone();
        let refdata = InUse::new(config.load_pinned()?, reference, clock.clone());
        let upstream = Upstream::new(clients);
        let hours = Hours::new(store.clone());
        let scores = Scores::new(store.clone());
        let history = History::new(store.clone());
        let list = List::new(lists);
        let cache = ScoreCache::new(cache, clock.clone());
        let news = News {
            scores: scores.clone(),
            history: history.clone(),
            list: list.clone(),
            outbox,
            bus: bus.clone(),
        };
        let onlookers = Onlookers::new(store.clone());
        let gather = Gather {
            hours: hours.clone(),
            upstream: upstream.clone(),
            onlookers: Some(onlookers.clone()),
            model: model.clone(),
        };
        let simulator = Simulator { gather: gather.clone(), models, refdata: refdata.clone() };
        let scorer = Scorer {
            gather,
            scores: scores.clone(),
            news: news.clone(),
            cache: cache.clone(),
            model,
            refdata: refdata.clone(),
            clock: clock.clone(),
        };
        let reader = Reader {
            cache,
            scores: scores.clone(),
            history,
            list,
            scorer: scorer.clone(),
            upstream: upstream.clone(),
        };

        let consumer = consumer::Config {
            takeover,
            max_records: config.batch,
            ..consumer::Config::new(GROUP, member, TOPICS)
        };
        let consumer =
            Consumer::new(bus.clone(), store.clone(), clock, consumer).map_err(ConfigError::Consumer)?;
        let handled = Handled::default();
        let sweep = Sweep::new(scores, Sweeps::new(store), scorer.clone());
        let handle = Handle {
            bus,
            lag: consumer.lag(),
            handled: handled.clone(),
            takeover,
            swept: sweep.done(),
            refdata: refdata.clone(),
        };
        let refresh = Refresh { hours, upstream };
        let consume = Consume { refresh, scorer, onlookers, handled, at_once: config.concurrency };
        let simulation = SimulationRpc { simulator };
        let hub = Hub::new(handle.bus.clone(), config.watchers);
        let watcher = Watcher { reader: reader.clone(), hub: hub.clone(), stopping };
        let rpc = AnalyticsRpc { reader, watcher, cursors };
        Ok(Self { rpc, simulation, news, consume, consumer, sweep, hub, refdata, handle })
    }

    /// The gRPC services, version 1 and 2, for a server stack.
    pub fn routes(&self) -> Routes {
        Routes::new(V1::new(self.rpc.clone()))
            .add_service(V2::new(self.rpc.clone()))
            .add_service(SimulationServiceServer::new(self.simulation.clone()))
    }

    /// What finds events that a crash left behind, for the relay.
    pub fn sources(&self) -> Vec<Arc<dyn PendingSource>> {
        vec![Arc::new(self.news.clone())]
    }

    /// Watches the service while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Follows the events until `stop` is cancelled; then finishes what it is at. Fails only at the start, if a topic is not there or
    /// the consumer group cannot be registered.
    pub async fn run(self, stop: CancellationToken) -> Result<(), bus::Error> {
        let Self { consumer, consume, sweep, hub, refdata, .. } = self;
        let swept = Box::pin(stop.run_until_cancelled(sweep.run()));
        let woken = Box::pin(stop.run_until_cancelled(hub.run()));
        let followed = Box::pin(stop.run_until_cancelled(refdata.follow()));
        let (consumed, ..) = tokio::join!(consumer.run(consume, stop.clone()), swept, woken, followed);
        consumed
    }
}

impl Handle {
    /// Whether every event that was published so far has been applied, and every score is of the model in use. For a group of several
    /// members: the events of the partitions that this one holds.
    pub async fn caught_up(&self) -> Result<bool, Error> {
        if !self.swept.of(&self.refdata.current()) {
            return Ok(false);
        }
        let held = self.lag.partitions();
        if self.takeover == Takeover::Immediate {
            let mut all = 0;
            for topic in TOPICS {
                all += self.bus.partitions(topic).await? as usize;
            }
            if held.len() < all {
                return Ok(false);
            }
        }
        for part in held {
            let next = self.handled.next(&part.topic, part.partition).unwrap_or(part.next_offset);
            if next.max(part.next_offset) < self.bus.bounds(&part.topic, part.partition).await?.high {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How far the service is behind the events; for metrics.
    pub fn lag(&self) -> Lag {
        self.lag.clone()
    }
}
