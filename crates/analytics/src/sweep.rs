//! Scores of another model or of other reference data are computed anew, once: at the first start with them, or when other reference
//! data come into use while the process runs. Everything else keeps itself current by events; a new file is no event. How far this has
//! come is kept in the store, so that a restart goes on where the last one ended, and one that changes nothing looks at no score.

use crate::error::Error;
use crate::repo::scores::Scores;
use crate::repo::sweeps::Sweeps;
use crate::scorer::Scorer;
use futures::{StreamExt as _, TryStreamExt as _};
use risk::RefData;
use riskmesh_core::{ClientId, TenantId};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Clients scored at once: fewer than the consumer takes, which has the newer news.
const AT_ONCE: usize = 16;
/// Between attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Brings scores up to the model in use.
pub(crate) struct Sweep {
    scores: Scores,
    sweeps: Sweeps,
    scorer: Scorer,
    done: Done,
}

/// With which reference data the last sweep was that came to its end.
#[derive(Clone, Default)]
pub(crate) struct Done(Arc<Mutex<Option<Arc<RefData>>>>);

impl Done {
    /// Whether all scores are of this reference data.
    pub(crate) fn of(&self, refdata: &RefData) -> bool {
        let done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.as_ref().is_some_and(|done| done.version() == refdata.version())
    }

    fn set(&self, refdata: Arc<RefData>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refdata);
    }
}

impl Sweep {
    pub(crate) fn new(scores: Scores, sweeps: Sweeps, scorer: Scorer) -> Self {
        Self { scores, sweeps, scorer, done: Done::default() }
    }

    pub(crate) fn done(&self) -> Done {
        self.done.clone()
    }

    /// Goes over all rows to the end, and again whenever other reference data come into use.
    pub(crate) async fn run(self) {
        let mut changes = self.scorer.refdata.changes();
        loop {
            let refdata = changes.borrow_and_update().clone();
            while let Err(error) = self.pass(&refdata).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "rescoring waits for a dependency");
                tokio::time::sleep(PAUSE).await;
            }
            self.done.set(refdata);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn pass(&self, refdata: &RefData) -> Result<(), Error> {
        let model = &self.scorer.model;
        let mut mark = self.sweeps.begin(&model.version, refdata.version()).await?;
        let mut rescored = 0_usize;
        while !mark.done {
            let page = self.scores.outdated(&model.version, refdata.version(), mark.resume.clone()).await?;
            rescored += page.outdated.len();
            let scorings: Vec<_> =
                page.outdated.iter().map(|(tenant, client)| self.client(tenant, client)).collect();
            futures::stream::iter(scorings).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
            mark = match self.sweeps.advance(&mark, page.resume).await? {
                Some(mark) => mark,
                // Another process sweeps, too: go on where it is.
                None => self.sweeps.begin(&model.version, refdata.version()).await?,
            };
        }
        if rescored > 0 {
            let (model, refdata) = (&model.version, refdata.version());
            tracing::info!(rescored, model, refdata, "scores brought up to the model and its reference data");
        }
        Ok(())
    }

    /// One client. What a repeat cannot mend is reported and passed by: it must not keep everybody else waiting.
    async fn client(&self, tenant: &TenantId, client: &ClientId) -> Result<(), Error> {
        match self.scorer.score(tenant, client).await {
            Ok(_) => Ok(()),
            Err(error) if error.retryable() => Err(error),
            Err(error) => {
                tracing::error!(%tenant, %client, error = &error as &dyn std::error::Error, "rescoring failed");
                Ok(())
            }
        }
    }
}
