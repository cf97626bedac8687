//! Scoring in memory: generated entries become hours, what is around each client is explored, every client is scored. One thread, no
//! store, no network.

use super::Args;
use crate::report::Measurement;
use anyhow::Context as _;
use generate::{Generator, Plan};
use risk::{AccountId, AccountView, ClientProfile, Entry, Facts, HourState, Model, Network, RefData, state};
use std::collections::HashMap;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

/// 2026-06-01T00:00:00Z.
const END_MS: i64 = 1_780_272_000_000;
/// What is wanted, in transactions a second.
const GOAL: f64 = 5e6;

struct Client {
    profile: ClientProfile,
    accounts: Vec<AccountId>,
}

/// All that there is, as it would be at hand.
struct World {
    clients: Vec<Client>,
    entries: HashMap<AccountId, Vec<Entry>>,
    model: Model,
    refdata: RefData,
}

/// How long a pass took.
#[derive(Clone, Copy, Default)]
struct Took {
    /// Of this thread's CPU time: what others do on the machine does not count.
    cpu: Duration,
    /// The parts, by the clock.
    hours: Duration,
    explore: Duration,
    score: Duration,
}

impl Took {
    fn clock(self) -> Duration {
        self.hours + self.explore + self.score
    }

    /// The CPU time of a part: its share by the clock. Asking for CPU time twice a client would cost more than some of the parts.
    fn cpu_of(self, part: Duration) -> f64 {
        self.cpu.as_secs_f64() * part.as_secs_f64() / self.clock().as_secs_f64()
    }
}

/// The CPU time that this thread has taken.
fn cpu_time() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("read CPU time")?;
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    nanos.map(Duration::from_nanos).context("CPU time in nanoseconds")
}

/// Transactions a second, of the whole and of its parts.
pub(super) fn measure(args: &Args) -> anyhow::Result<Vec<Measurement>> {
    let world = World::new(args.entries)?;
    let entries: usize = world.entries.values().map(Vec::len).sum();
    world.pass()?;
    let mut rounds = (0..args.rounds).map(|_| world.pass()).collect::<anyhow::Result<Vec<Took>>>()?;
    rounds.sort_by_key(|took| took.cpu);
    let median = rounds[rounds.len() / 2];
    let rate = |seconds: f64| entries as f64 / seconds;
    let part = |part: Duration| rate(median.cpu_of(part)).round();
    let whole = rate(median.cpu.as_secs_f64());
    Ok(vec![
        Measurement::new("kernel", format!("entries_per_s >= {GOAL:e} of one core's time"), whole >= GOAL)
            .with("entries", entries)
            .with("clients", world.clients.len())
            .with("model", world.model.version.clone())
            .with("entries_per_s", whole.round())
            .with("best_entries_per_s", rate(rounds[0].cpu.as_secs_f64()).round())
            .with("clock_entries_per_s", rate(median.clock().as_secs_f64()).round())
            .with("hours_entries_per_s", part(median.hours))
            .with("explore_entries_per_s", part(median.explore))
            .with("score_entries_per_s", part(median.score)),
    ])
}

impl World {
    fn new(entries: u64) -> anyhow::Result<Self> {
        let clients = (entries / 100).max(14);
        let generator = Generator::new(Plan { entries, ..Plan::of_clients(1, clients, END_MS) })?;
        let mut by_account: HashMap<AccountId, Vec<Entry>> = HashMap::new();
        for entry in generator.entries() {
            by_account.entry(entry.account).or_default().push(entry);
        }
        // As a store keeps them.
        for entries in by_account.values_mut() {
            entries.sort_unstable();
        }
        let client = |index| Client {
            profile: generator.client(index).profile,
            accounts: generator.accounts_of(index).map(|at| generator.account(at).id).collect(),
        };
        Ok(Self {
            clients: (0..clients).map(client).collect(),
            entries: by_account,
            model: Model::builtin()?,
            refdata: RefData::builtin()?,
        })
    }

    fn of(&self, account: AccountId) -> &[Entry] {
        self.entries.get(&account).map_or(&[], Vec::as_slice)
    }

    /// Those of a time, as a store would read them: they are in its order.
    fn within(&self, account: AccountId, range: &Range<i64>) -> &[Entry] {
        let all = self.of(account);
        let before = |end_ms| all.partition_point(|entry| entry.at_ms < end_ms);
        &all[before(range.start)..before(range.end)]
    }

    /// Everything once.
    fn pass(&self) -> anyhow::Result<Took> {
        let mut took = Took::default();
        let before = cpu_time()?;
        for client in &self.clients {
            let began = Instant::now();
            let hours: Vec<Vec<HourState>> =
                client.accounts.iter().map(|account| state::hours(self.of(*account))).collect();
            took.hours += began.elapsed();

            let views = client.accounts.iter().zip(&hours);
            let views = views.map(|(account, hours)| AccountView {
                account: *account,
                hours,
                retained: self.of(*account),
            });
            let views: Vec<AccountView<'_>> = views.collect();
            let newest = hours.iter().filter_map(|hours| hours.last()).map(|hour| hour.hour.end_ms()).max();
            let as_of_ms = newest.unwrap_or(END_MS);
            let began = Instant::now();
            let network: Option<Network> =
                risk::network::explore(&views, &self.model, &self.refdata, as_of_ms, |account, range| {
                    self.within(account, &range)
                });
            took.explore += began.elapsed();

            let began = Instant::now();
            let facts = Facts {
                profile: &client.profile,
                accounts: &views,
                network: network.as_ref(),
                screening: None,
            };
            black_box(risk::score(&facts, &self.model, &self.refdata, as_of_ms));
            took.score += began.elapsed();
        }
        took.cpu = cpu_time()?.saturating_sub(before);
        Ok(took)
    }
}
