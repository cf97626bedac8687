//! The set in force, and how it is replaced while the program runs.

use crate::files::Fingerprint;
use crate::{Error, Set};
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// There is another set now.
    Changed,
    /// The files say what they said before.
    Same,
}

/// The reference data in force; share it in an `Arc`.
#[derive(Debug)]
pub struct Live {
    directory: Option<PathBuf>,
    set: watch::Sender<Arc<Set>>,
    asked: Notify,
}

impl Live {
    /// Loads the set. An error here is for whoever starts: there is no older set to keep.
    pub fn open(directory: Option<&Path>) -> Result<Self, Error> {
        let set = Set::load(directory)?;
        report(&set);
        Ok(Self {
            directory: directory.map(Path::to_owned),
            set: watch::Sender::new(Arc::new(set)),
            asked: Notify::new(),
        })
    }

    /// The set in force. Whoever answers one question from it takes it once.
    pub fn current(&self) -> Arc<Set> {
        self.set.borrow().clone()
    }

    /// Tells of each set that comes into force from now on; of several in a row, of the last.
    pub fn changes(&self) -> watch::Receiver<Arc<Set>> {
        self.set.subscribe()
    }

    /// Reads the files anew, and puts them in force together, or, with an error, leaves everything as it was. Blocks on files.
    pub fn reload(&self) -> Result<Reloaded, Error> {
        let set = Set::load(self.directory.as_deref())?;
        Ok(self.take(set))
    }

    /// Asks whoever [follows](Self::follow) to reload now, changed or not.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Follows the directory until `stop` is cancelled: reloads when it is asked to, and when the files have changed and then stood
    /// still from one look to the next, so that one being written is left alone.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        self.look_every(LOOK, stop).await;
    }

    async fn look_every(self: Arc<Self>, period: Duration, stop: CancellationToken) {
        let mut looks = tokio::time::interval(period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::default();
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => true,
                _ = looks.tick() => false,
            };
            let live = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                live.look(&mut watch, asked);
                watch
            });
            match looked.await {
                Ok(seen) => watch = seen,
                Err(error) => {
                    tracing::error!(%error, "a look at the reference data panicked");
                    watch = Watch::default();
                }
            }
        }
    }

    fn look(&self, watch: &mut Watch, asked: bool) {
        let Some(directory) = &self.directory else { return };
        let read = Fingerprint::of(directory).and_then(|seen| {
            let still = watch.seen.as_ref() == Some(&seen);
            let known = watch.loaded.as_ref() == Some(&seen);
            watch.seen = Some(seen.clone());
            if !asked && (known || !still) {
                return Ok(None);
            }
            Ok(Some((Set::read(directory, &seen)?, seen)))
        });
        match read {
            Ok(None) => {}
            Ok(Some((set, seen))) => {
                watch.loaded = Some(seen);
                let reloaded = self.take(set);
                if watch.failed.take().is_some() || asked {
                    tracing::info!(?reloaded, "reference data files are valid");
                }
            }
            Err(error) => {
                // Tried again at every look, told once.
                watch.loaded = None;
                let told = chain(&error);
                if asked || watch.failed.as_ref() != Some(&told) {
                    tracing::error!(
                        error = told,
                        "reference data kept as they were: the files are not valid"
                    );
                }
                watch.failed = Some(told);
            }
        }
    }

    fn take(&self, set: Set) -> Reloaded {
        if self.current().is_same(&set) {
            return Reloaded::Same;
        }
        report(&set);
        self.set.send_replace(Arc::new(set));
        Reloaded::Changed
    }
}

/// What the looks at the directory have found so far.
#[derive(Debug, Default)]
struct Watch {
    /// What was seen at the last look.
    seen: Option<Fingerprint>,
    /// What was seen of the files that were read last.
    loaded: Option<Fingerprint>,
    /// What was told of their error.
    failed: Option<String>,
}

fn report(set: &Set) {
    tracing::info!(
        countries = set.countries_version(),
        risk_lists = set.lists_version(),
        publications = set.lists().len(),
        fx_rates = set.rates_version(),
        "reference data in force"
    );
}

/// An error with its causes, in one line.
fn chain(error: &Error) -> String {
    let (mut told, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        told = format!("{told}: {cause}");
        next = cause.source();
    }
    told
}

#[cfg(test)]
mod tests;
