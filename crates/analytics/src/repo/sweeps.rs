//! The mark of the sweep over all scores: which model they are being brought up to, and how far that has come.

use crate::error::{Doing as _, Error};
use crate::tables::{SCORE_SWEEP, SCORES};
use std::sync::Arc;
use store::race::Race;
use store::{Cas, Get, Outcome, Resume, Row, Store, upsert};

/// The only row.
const NAME: &str = "scores";

/// Reads and writes the mark.
#[derive(Clone)]
pub(crate) struct Sweeps {
    store: Arc<dyn Store>,
}

/// How far a sweep has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    revision: i64,
    /// The versions of the model and of the reference data.
    of: (String, String),
    /// Where the next page begins.
    pub(crate) resume: Option<Resume>,
    /// Whether the end was reached.
    pub(crate) done: bool,
}

impl Sweeps {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The sweep of this model and this reference data: where an earlier process left it, or from the beginning if the last one was of
    /// others.
    pub(crate) async fn begin(&self, model: &str, refdata: &str) -> Result<Mark, Error> {
        let mut race = Race::default();
        while race.again(NAME).await {
            let stands = self.latest().await?;
            if let Some(mark) = &stands
                && (mark.of.0.as_str(), mark.of.1.as_str()) == (model, refdata)
            {
                return Ok(mark.clone());
            }
            let begun = Mark {
                revision: stands.as_ref().map_or(0, |mark| mark.revision) + 1,
                of: (model.to_owned(), refdata.to_owned()),
                resume: None,
                done: false,
            };
            if self.replace(stands.as_ref(), &begun).await? {
                return Ok(begun);
            }
        }
        Err(Error::Contended { doing: "begin sweep over scores" })
    }

    /// Notes that everything before `resume` is done, all of it if there is none. Nothing if somebody else came first, or nobody knows.
    pub(crate) async fn advance(&self, mark: &Mark, resume: Option<Resume>) -> Result<Option<Mark>, Error> {
        let done = resume.is_none();
        let after = Mark { revision: mark.revision + 1, of: mark.of.clone(), resume, done };
        Ok(self.replace(Some(mark), &after).await?.then_some(after))
    }

    async fn latest(&self) -> Result<Option<Mark>, Error> {
        let row = self.store.get(Get::row(&SCORE_SWEEP, NAME, ()).latest()).await.doing("read sweep")?;
        row.as_ref().map(read).transpose()
    }

    async fn replace(&self, before: Option<&Mark>, after: &Mark) -> Result<bool, Error> {
        let cas = Cas::new(&SCORE_SWEEP, NAME);
        let cas = match before {
            None => cas.if_absent(()),
            Some(before) => cas.if_equals((), "revision", before.revision),
        };
        let row = upsert(())
            .set("revision", after.revision)
            .set("model_version", &after.of.0)
            .set("refdata_version", &after.of.1)
            .set("resume", after.resume.as_ref().map(Resume::to_bytes))
            .set("done", after.done);
        Ok(self.store.cas(cas.with(row)).await.doing("write sweep")? == Outcome::Applied)
    }
}

fn read(row: &Row) -> Result<Mark, Error> {
    let doing = "read sweep";
    let text = |column: &'static str| Ok::<_, Error>(row.text(column).doing(doing)?.to_owned());
    let resume = row.blob_opt("resume").doing(doing)?;
    Ok(Mark {
        revision: row.bigint("revision").doing(doing)?,
        of: (text("model_version")?, text("refdata_version")?),
        resume: resume.map(|bytes| Resume::from_bytes(&SCORES, bytes)).transpose().doing(doing)?,
        done: row.boolean("done").doing(doing)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use store_embedded::{Embedded, Options};

    #[tokio::test]
    async fn a_sweep_goes_on_where_it_was_left_unless_the_model_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let sweeps =
            Sweeps::new(Arc::new(Embedded::open(Options::new(directory.path(), [&SCORE_SWEEP])).unwrap()));
        let place = Resume { partition: ("acme", "7").into(), clustering: None };

        let begun = sweeps.begin("m-1", "r-1").await.unwrap();
        assert!(!begun.done && begun.resume.is_none());
        let halfway = sweeps.advance(&begun, Some(place.clone())).await.unwrap().unwrap();
        assert_eq!(sweeps.advance(&begun, None).await.unwrap(), None, "somebody was faster");
        assert_eq!(sweeps.begin("m-1", "r-1").await.unwrap(), halfway);
        assert_eq!(halfway.resume, Some(place));
        let done = sweeps.advance(&halfway, None).await.unwrap().unwrap();
        assert!(done.done);
        assert_eq!(sweeps.begin("m-1", "r-1").await.unwrap(), done);

        for (model, refdata) in [("m-1", "r-2"), ("m-2", "r-2"), ("m-1", "r-1")] {
            let again = sweeps.begin(model, refdata).await.unwrap();
            assert!(!again.done && again.resume.is_none(), "{model} {refdata}");
            assert!(sweeps.advance(&again, None).await.unwrap().unwrap().done);
        }
    }
}
