//! A running member: once a renewal interval it shows itself, commits, gives back what it should not have, and takes what it
//! should.

use super::deliver::Deliver;
use super::worker::{Held, Progress, Worker};
use super::{Config, Consumer, Handler, Start, Takeover};
use crate::error::Error;
use crate::group::lease::{Acquired, Lease, Leases, Moment, Part, Renewed};
use crate::group::{self, assign};
use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the group shows that it is in use.
const REGISTER_EVERY: Duration = Duration::from_hours(1);
/// Leases acquired or released at once.
const AT_ONCE: usize = 16;

/// A partition that this member works on, or has just ended to work on.
struct Running {
    lease: Lease,
    progress: Arc<Progress>,
    held: watch::Sender<Held>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Whether somebody else has it: then there is nothing to give back.
    lost: bool,
}

pub(super) struct Member<H> {
    consumer: Consumer,
    handler: Arc<H>,
    leases: Leases,
    parts: Vec<Part>,
    running: BTreeMap<Part, Running>,
    members: Vec<String>,
    registered: Instant,
}

impl<H: Handler> Member<H> {
    pub(super) async fn start(consumer: Consumer, handler: Arc<H>) -> Result<Self, Error> {
        let config = &consumer.config;
        let mut parts = Vec::new();
        for topic in &config.topics {
            let count = consumer.bus.partitions(topic).await?;
            parts.extend((0..count).map(|partition| Part { topic: topic.clone(), partition }));
        }
        let registered = Instant::now();
        group::register(&*consumer.store, &config.group, &config.topics, consumer.clock.now()).await?;
        let leases = Leases {
            store: consumer.store.clone(),
            group: config.group.clone(),
            member: config.member.clone(),
            duration: config.lease,
            seize: config.takeover == Takeover::Immediate,
        };
        let members = vec![config.member.to_string()];
        Ok(Self { consumer, handler, leases, parts, running: BTreeMap::new(), members, registered })
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.config().renew);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.tick().await;
        }
        self.shut_down().await;
    }

    fn config(&self) -> &Config {
        &self.consumer.config
    }

    /// Whether there may be other members.
    fn shared(&self) -> bool {
        self.config().takeover == Takeover::WhenExpired
    }

    fn now(&self) -> Moment {
        Moment { wall: self.consumer.clock.now(), monotonic: Instant::now() }
    }

    /// The store may fail at any step: the others are done all the same, and the failed one next time.
    pub(super) async fn tick(&mut self) {
        if self.shared() {
            self.beat().await;
        }
        self.register().await;
        self.give_back().await;
        self.renew().await;
        self.take().await;
        self.measure().await;
    }

    async fn beat(&mut self) {
        let Config { group, member, lease, .. } = self.config();
        let now = self.consumer.clock.now();
        match group::beat(&*self.consumer.store, group, member, now, *lease).await {
            Ok(members) => self.members = members,
            Err(error) => self.failed("heartbeat", &error),
        }
    }

    async fn register(&mut self) {
        if self.registered.elapsed() < REGISTER_EVERY {
            return;
        }
        let Config { group, topics, .. } = self.config();
        let now = self.consumer.clock.now();
        match group::register(&*self.consumer.store, group, topics, now).await {
            Ok(()) => self.registered = Instant::now(),
            Err(error) => self.failed("registration", &error),
        }
    }

    /// Stops the workers of partitions that belong to somebody else now, and gives back the leases of those that have ended.
    async fn give_back(&mut self) {
        for (part, running) in &self.running {
            if !self.belongs_here(part) {
                running.stop.cancel();
            }
        }
        self.running.retain(|_, running| !(running.lost && running.task.is_finished()));
        self.release_ended().await;
    }

    /// Gives back the leases of workers that have ended, whatever ended them, with the offset that they reached.
    async fn release_ended(&mut self) {
        let leases = &self.leases;
        let ended = self.running.values().filter(|running| running.task.is_finished() && !running.lost);
        let releases = ended.map(|running| async {
            (running.lease.part.clone(), leases.release(&running.lease, running.progress.get()).await)
        });
        let releases: Vec<_> =
            futures::stream::iter(releases.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        for (part, released) in releases {
            match released {
                Ok(Renewed::Done) => drop(self.running.remove(&part)),
                Ok(Renewed::Lost) => {
                    self.lost(&part);
                    self.running.remove(&part);
                }
                Ok(Renewed::Unsettled) => {}
                Err(error) => self.failed("release", &error),
            }
        }
    }

    /// Renews the leases and commits what was handled, all in one call. A sole member only commits: nobody waits for its leases to
    /// run out. What others learn by a renewal that is refused, it has to look up.
    async fn renew(&mut self) {
        let shared = self.shared();
        if !shared {
            self.look().await;
        }
        let now = self.now();
        let mut renewed: Vec<_> = self
            .running
            .values_mut()
            .filter(|running| !running.lost && !running.task.is_finished())
            .map(|running| (running.progress.get(), running))
            .filter(|(offset, running)| shared || *offset != running.lease.next_offset)
            .collect();
        if renewed.is_empty() {
            return;
        }
        let mut leases: Vec<_> =
            renewed.iter_mut().map(|(offset, running)| (&mut running.lease, *offset)).collect();
        let answers = match self.leases.renew(&mut leases, now).await {
            Ok(answers) => answers,
            Err(error) => return self.failed("renewal", &error),
        };
        let mut lost = Vec::new();
        for (answer, (_, running)) in answers.into_iter().zip(renewed) {
            match answer {
                Renewed::Done if shared => drop(running.held.send_replace(Some(running.lease.held_until))),
                Renewed::Done | Renewed::Unsettled => {}
                Renewed::Lost => lost.push(running.lease.part.clone()),
            }
        }
        for part in lost {
            self.lost(&part);
        }
    }

    /// Ends the work under leases of another epoch.
    async fn look(&mut self) {
        let held = self.running.values().filter(|running| !running.lost).map(|running| &running.lease);
        let fenced = self.leases.fenced(held).await;
        match fenced {
            Ok(fenced) => fenced.iter().for_each(|part| self.lost(part)),
            Err(error) => self.failed("look", &error),
        }
    }

    /// Acquires the partitions that belong here and are free.
    async fn take(&mut self) {
        let wanted =
            self.parts.iter().filter(|part| !self.running.contains_key(part) && self.belongs_here(part));
        let acquires = wanted.map(|part| self.acquire(part)).collect::<Vec<_>>();
        let acquired: Vec<_> = futures::stream::iter(acquires).buffer_unordered(AT_ONCE).collect().await;
        for acquired in acquired {
            match acquired {
                Ok(Acquired::Held(lease)) => self.begin(lease),
                Ok(Acquired::Taken | Acquired::Unsettled) => {}
                Err(error) => self.failed("acquisition", &error),
            }
        }
    }

    async fn acquire(&self, part: &Part) -> Result<Acquired, Error> {
        let bounds = self.consumer.bus.bounds(&part.topic, part.partition).await?;
        let start = match self.config().start {
            Start::Earliest => bounds.low,
            Start::Latest => bounds.high,
        };
        self.leases.acquire(part, start, self.now()).await
    }

    fn begin(&mut self, lease: Lease) {
        let progress = Progress::new(lease.next_offset);
        let (held, until) = watch::channel(self.shared().then_some(lease.held_until));
        let stop = CancellationToken::new();
        let deliver = Deliver {
            handler: self.handler.clone(),
            bus: self.consumer.bus.clone(),
            clock: self.consumer.clock.clone(),
            config: self.consumer.config.clone(),
            part: lease.part.clone(),
            progress: progress.clone(),
            stop: stop.clone(),
        };
        let worker = Worker { bus: self.consumer.bus.clone(), deliver };
        let task = tokio::spawn(worker.run(until));
        let running = Running { lease, progress, held, stop, task, lost: false };
        self.running.insert(running.lease.part.clone(), running);
    }

    /// Somebody else has the partition, or the group was rewound: the worker must not go on, not even to the end of its batch.
    fn lost(&mut self, part: &Part) {
        let (topic, partition) = (&part.topic, part.partition);
        tracing::warn!(%topic, partition, group = %self.config().group, "lease was taken over, or rewound");
        if let Some(running) = self.running.get_mut(part) {
            running.task.abort();
            running.lost = true;
        }
    }

    fn belongs_here(&self, part: &Part) -> bool {
        !self.shared()
            || assign::owner(&self.members, &part.topic, part.partition) == Some(&*self.config().member)
    }

    async fn measure(&self) {
        let mut lags = Vec::with_capacity(self.running.len());
        for (part, running) in self.running.iter().filter(|(_, running)| !running.lost) {
            match self.consumer.bus.bounds(&part.topic, part.partition).await {
                Ok(bounds) => lags.push((part.clone(), running.lease.next_offset, bounds.high)),
                Err(error) => self.failed("lag", &error),
            }
        }
        self.consumer.lag.replace(lags.into_iter());
    }

    async fn shut_down(mut self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        // Workers keep to `drain` by themselves; this only bounds what they cannot bound, such as a handler that blocks.
        let deadline = tokio::time::Instant::now() + self.config().drain + Duration::from_secs(1);
        for running in self.running.values_mut() {
            if tokio::time::timeout_at(deadline, &mut running.task).await.is_err() {
                running.task.abort();
                running.lost = true;
            }
        }
        self.release_ended().await;
        if self.shared() {
            let Config { group, member, .. } = self.config();
            if let Err(error) = group::leave(&*self.consumer.store, group, member).await {
                self.failed("leaving", &error);
            }
        }
        self.consumer.lag.replace(std::iter::empty());
    }

    fn failed(&self, step: &'static str, error: &Error) {
        tracing::warn!(group = %self.config().group, step, %error, "consumer group step failed");
    }
}

#[cfg(test)]
impl<H: Handler> Member<H> {
    /// Workers that have not ended.
    pub(super) fn working(&self) -> usize {
        self.running.len() - self.ended()
    }

    /// Workers that have ended and are still on the list.
    pub(super) fn ended(&self) -> usize {
        self.running.values().filter(|running| running.task.is_finished()).count()
    }
}
