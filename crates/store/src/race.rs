//! Changes that rest on what was read before: read, decide, write on the condition that nothing changed, and again if something did.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// How often one change is tried. With turns, a writer seldom loses more than twice.
const TRIES: u32 = 32;
/// How long one try waits for its turn.
const WAIT: Duration = Duration::from_secs(2);
/// Queues of a process. Keys that share one wait for each other without need, and come to no harm.
const QUEUES: usize = 1024;

static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns {
    queues: (0..QUEUES).map(|_| Mutex::new(())).collect(),
    hasher: RandomState::new(),
});

struct Turns {
    queues: Vec<Mutex<()>>,
    hasher: RandomState,
}

/// The tries of one change.
///
/// The first goes at once: mostly nobody else writes there. Whoever lost takes turns with the others of this process that lost at the
/// same key, so that however many they are, each gets through. Turns are a courtesy: what is right is decided by the condition of
/// the write, and other processes are met there.
///
/// ```
/// # use store::*;
/// # use store::race::Race;
/// # static COUNTERS: Table = Table::new("counters", &[text("id")]).values(&[bigint("count")]);
/// async fn count(store: &dyn Store, id: &str) -> Result<Option<i64>, Error> {
///     let mut race = Race::default();
///     while race.again(id).await {
///         let row = store.get(Get::row(&COUNTERS, id, ()).latest()).await?;
///         let before = row.map(|row| row.bigint("count")).transpose()?;
///         let after = before.unwrap_or(0) + 1;
///         let write = match before {
///             None => Cas::new(&COUNTERS, id).if_absent(()),
///             Some(before) => Cas::new(&COUNTERS, id).if_equals((), "count", before),
///         };
///         if store.cas(write.with(upsert(()).set("count", after))).await?.is_applied() {
///             return Ok(Some(after));
///         }
///     }
///     Ok(None) // too many others, for too long
/// }
/// ```
#[derive(Debug, Default)]
pub struct Race {
    tries: u32,
    held: Vec<(usize, MutexGuard<'static, ()>)>,
}

impl Race {
    /// Whether to try once more; from the second time on after waiting for the turn of `key`.
    pub async fn again(&mut self, key: impl Hash) -> bool {
        let lost = (self.tries > 0).then_some(key);
        self.again_at(lost).await
    }

    /// Whether to try once more, after waiting for the turns of all keys where the last try lost.
    pub async fn again_at(&mut self, lost: impl IntoIterator<Item = impl Hash>) -> bool {
        self.tries += 1;
        if self.tries > TRIES {
            self.held.clear();
            return false;
        }
        let mut wanted: Vec<usize> =
            lost.into_iter().map(|key| TURNS.hasher.hash_one(key) as usize % QUEUES).collect();
        // All take them in this order, so that no two wait for each other.
        wanted.sort_unstable();
        wanted.dedup();
        if !self.held.iter().map(|(queue, _)| queue).eq(&wanted) {
            self.held.clear();
            // Changes within changes may wait for each other all the same; then one of them goes on without its turn.
            self.held = timeout(WAIT, take(wanted)).await.unwrap_or_default();
        }
        true
    }

    /// Something was won: the tries count from here.
    pub fn won(&mut self) {
        self.tries = 0;
    }
}

async fn take(wanted: Vec<usize>) -> Vec<(usize, MutexGuard<'static, ()>)> {
    let mut held = Vec::with_capacity(wanted.len());
    for queue in wanted {
        held.push((queue, TURNS.queues[queue].lock().await));
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_lost_takes_turns_and_not_for_ever() {
        let (mut first, mut second, mut third) = (Race::default(), Race::default(), Race::default());
        for race in [&mut first, &mut second, &mut third] {
            assert!(race.again("a row").await, "the first try waits for nobody");
        }
        assert!(first.again("a row").await && first.again("a row").await, "a turn is kept");
        let waiting = tokio::spawn(async move {
            assert!(second.again("a row").await);
            second.held.len()
        });
        tokio::time::sleep(WAIT / 2).await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap(), 1);
        let mut other = Race::default();
        assert!(other.again("a row").await && other.again("a row").await);
        // Who holds it may be waiting for us.
        assert!(third.again("a row").await);
        assert!(third.held.is_empty());
        for _ in 3..=TRIES {
            assert!(third.again("a row").await);
        }
        assert!(!third.again("a row").await);
        assert!(third.held.is_empty(), "nobody waits for one who gave up");
        third.won();
        assert!(third.again("a row").await);
    }
}
