//! Scores of another model or of other reference data are computed anew, once, at the first start with them. Everything else keeps
//! itself current by events; a new model file is no event. How far this has come is kept in the store, so that a restart goes on
//! where the last one ended, and one that changes nothing looks at no score.

use crate::error::Error;
use crate::repo::scores::Scores;
use crate::repo::sweeps::Sweeps;
use crate::scorer::Scorer;
use futures::{StreamExt as _, TryStreamExt as _};
use riskmesh_core::{ClientId, TenantId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Whether a sweep is done.
#[derive(Clone, Default)]
pub(crate) struct Done(Arc<AtomicBool>);

impl Done {
    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Sweep {
    pub(crate) fn new(scores: Scores, sweeps: Sweeps, scorer: Scorer) -> Self {
        Self { scores, sweeps, scorer, done: Done::default() }
    }

    pub(crate) fn done(&self) -> Done {
        self.done.clone()
    }

    /// Goes over all rows until it has come to the end once.
    pub(crate) async fn run(self) {
        while let Err(error) = self.pass().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "rescoring waits for a dependency");
            tokio::time::sleep(PAUSE).await;
        }
        self.done.0.store(true, Ordering::Release);
    }

    async fn pass(&self) -> Result<(), Error> {
        let Scorer { model, refdata, .. } = &self.scorer;
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
            tracing::info!(rescored, model = model.version, "scores brought up to the model");
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
