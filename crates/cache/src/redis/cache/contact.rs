//! When the cache may be used.
//!
//! A replica uses it only under a *lease*: a heartbeat answered within the last second. So a time in which Redis answered nobody is seen
//! by all, and ends the use of it everywhere. Then a removal that was not made is *owed*: another epoch has to begin before anything is
//! read again, and who comes back waits long enough for all others to come back and pay what they owe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after the sending of a heartbeat that was answered the cache is used.
pub(super) const LEASE: Duration = Duration::from_secs(1);
/// How long a removal is tried, when Redis does not answer. Where nobody's lease ran out Redis was away for less than that, and it takes
/// about as long again to be connected.
pub(super) const GIVE_UP: Duration = Duration::from_millis(2500);
/// How long Redis has to answer again before the cache is used: longer than anybody takes to connect again.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// An instant that many read and few set, without a lock.
pub(super) struct Until {
    origin: Instant,
    nanos: AtomicU64,
}

impl Until {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, nanos: AtomicU64::new(0) }
    }

    pub(super) fn set(&self, instant: Option<Instant>) {
        let nanos = instant.map_or(0, |instant| self.nanos(instant));
        self.nanos.store(nanos, Ordering::SeqCst);
    }

    pub(super) fn is_after(&self, now: Instant) -> bool {
        self.nanos(now) < self.nanos.load(Ordering::SeqCst)
    }

    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What a replica knows of its contact to Redis.
pub(super) struct Contact {
    state: Mutex<State>,
    until: Until,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    owed: Option<Owed>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Not connected yet; who is not until then may have missed something.
    New { until: Instant },
    /// No answer.
    Away,
    /// There are answers again.
    Settling { until: Instant },
    /// In use.
    Leased { until: Instant },
}

/// A new epoch that has to begin: since when it is owed, and the last time that it came to be.
#[derive(Clone, Copy, Debug)]
struct Owed {
    since: Instant,
    last: Instant,
}

impl State {
    fn owe(&mut self, since: Instant, now: Instant) {
        let since = self.owed.map_or(since, |owed| owed.since);
        self.owed = Some(Owed { since, last: now });
    }
}

impl Contact {
    pub(super) fn new(now: Instant) -> Self {
        let state = State { phase: Phase::New { until: now + LEASE * 2 }, owed: None };
        Self { state: Mutex::new(state), until: Until::new(now) }
    }

    /// Whether the cache may be used.
    pub(super) fn is_leased(&self, now: Instant) -> bool {
        self.until.is_after(now)
    }

    /// Whether another epoch has to begin.
    pub(super) fn owes(&self) -> bool {
        self.state().owed.is_some()
    }

    /// Whether removals need not be tried: nobody uses the cache before what is owed was paid.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        self.state().owed.is_some_and(|owed| now >= owed.since + GIVE_UP)
    }

    /// A heartbeat that was sent then has been answered.
    pub(super) fn answered(&self, sent: Instant, now: Instant) {
        self.change(|state| {
            state.phase = match state.phase {
                Phase::Leased { until } if now < until => Phase::Leased { until: sent + LEASE },
                Phase::New { .. } | Phase::Away | Phase::Leased { .. } => {
                    Phase::Settling { until: now + SETTLE }
                }
                Phase::Settling { until } if now >= until && state.owed.is_none() => {
                    Phase::Leased { until: sent + LEASE }
                }
                settling @ Phase::Settling { .. } => settling,
            }
        });
    }

    /// A heartbeat that was sent then has not been answered.
    pub(super) fn failed(&self, sent: Instant, now: Instant) {
        self.change(|state| match state.phase {
            Phase::New { until } | Phase::Leased { until } if now < until => {}
            _ => {
                state.phase = Phase::Away;
                // Others may have gone away for good with what they owed.
                state.owe(sent, now);
            }
        });
    }

    /// The server may be another one, or the same with older data.
    pub(super) fn is_strange(&self, now: Instant) {
        self.change(|state| state.owe(now, now));
    }

    /// A removal was not made, though it was tried since then.
    pub(super) fn gave_up(&self, since: Instant, now: Instant) {
        self.change(|state| {
            state.phase = Phase::Away;
            state.owe(since, now);
        });
    }

    /// Another epoch has begun, asked for at this instant.
    pub(super) fn renewed(&self, asked: Instant) {
        self.change(|state| state.owed = state.owed.filter(|owed| owed.last >= asked));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let until = match state.phase {
            Phase::Leased { until } if state.owed.is_none() => Some(until),
            _ => None,
        };
        self.until.set(until);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEAT: Duration = Duration::from_millis(100);

    /// In use since `SETTLE` after its begin; the instant is that of the last answer.
    fn leased() -> (Contact, Instant) {
        let began = Instant::now();
        let contact = Contact::new(began);
        let mut now = began;
        while now < began + SETTLE {
            contact.answered(now, now);
            assert!(!contact.is_leased(now));
            now += BEAT;
        }
        contact.answered(now, now);
        assert!(contact.is_leased(now));
        (contact, now)
    }

    #[test]
    fn a_lease_runs_out_and_is_had_again_after_a_while_without_a_failure() {
        let (contact, at) = leased();
        assert!(contact.is_leased(at + BEAT) && !contact.is_leased(at + LEASE));
        // An answer that came too late does not go on from there, and owes nothing.
        contact.answered(at + BEAT, at + LEASE);
        assert!(!contact.is_leased(at + LEASE) && !contact.owes());
        let back = at + LEASE + SETTLE;
        contact.answered(at + SETTLE, at + SETTLE);
        assert!(!contact.is_leased(at + SETTLE));
        contact.answered(back, back);
        assert!(contact.is_leased(back));
    }

    #[test]
    fn failures_within_a_lease_do_not_matter_and_after_it_a_new_epoch_is_owed() {
        let (contact, at) = leased();
        contact.failed(at + BEAT, at + BEAT * 2);
        assert!(contact.is_leased(at + BEAT * 2) && !contact.owes());
        contact.failed(at + LEASE, at + LEASE + BEAT);
        assert!(contact.owes() && !contact.is_given_up(at + LEASE + BEAT));
        assert!(contact.is_given_up(at + LEASE + GIVE_UP));
        let mut now = at + LEASE * 2;
        let back = now;
        while now < back + SETTLE * 2 {
            contact.answered(now, now);
            assert!(!contact.is_leased(now), "before it has begun");
            now += BEAT;
        }
        contact.renewed(now);
        contact.answered(now, now);
        assert!(contact.is_leased(now));
    }

    #[test]
    fn an_epoch_that_was_asked_for_before_a_removal_was_given_up_does_not_pay_for_it() {
        let (contact, at) = leased();
        contact.gave_up(at, at + GIVE_UP);
        contact.gave_up(at, at + GIVE_UP + BEAT);
        contact.renewed(at + GIVE_UP);
        assert!(contact.owes());
        contact.renewed(at + GIVE_UP + BEAT * 2);
        assert!(!contact.owes() && !contact.is_leased(at + GIVE_UP + BEAT * 2), "it settles first");
    }

    #[test]
    fn a_server_that_is_strange_is_used_again_at_once_when_the_epoch_has_begun() {
        let (contact, at) = leased();
        contact.is_strange(at);
        assert!(!contact.is_leased(at));
        contact.renewed(at + BEAT);
        assert!(contact.is_leased(at + BEAT));
    }

    #[test]
    fn who_is_new_owes_nothing_unless_there_is_no_answer_for_long() {
        let began = Instant::now();
        let contact = Contact::new(began);
        contact.failed(began, began + BEAT);
        assert!(!contact.owes());
        contact.failed(began + LEASE, began + LEASE * 2);
        assert!(contact.owes());
    }

    proptest! {
        /// Two replicas and a server that is there or not. One sees it at once, the other a second later. When the later one has given a
        /// removal up, the other does not use the cache until the first has paid for it.
        #[test]
        fn nobody_uses_the_cache_while_somebody_owes(
            outages in prop::collection::vec((1u32..40, 15u32..60), 1..20),
        ) {
            let mut now = Instant::now();
            let (early, late) = (Contact::new(now), Contact::new(now));
            let beat = |replica: &Contact, now: Instant, answers: bool| {
                if answers {
                    if replica.owes() {
                        replica.renewed(now + Duration::from_nanos(1));
                    }
                    replica.answered(now, now);
                } else {
                    replica.failed(now, now);
                }
            };
            let mut was_used = false;
            for (away, there) in std::iter::once((0, 40)).chain(outages) {
                let fails = now;
                for number in 0..away + there {
                    now += BEAT;
                    beat(&early, now, number >= away);
                    let answers = away == 0 || number >= away + 10;
                    beat(&late, now, answers);
                    if !answers && now >= fails + GIVE_UP {
                        late.gave_up(fails, now);
                        prop_assert!(!early.is_leased(now));
                    }
                    was_used |= early.is_leased(now);
                }
            }
            prop_assert!(was_used);
        }
    }
}
