//! What-if scoring: the same inputs by another model, with nothing kept and nobody told.

use crate::error::Error as ServiceError;
use crate::inputs::Gather;
use crate::reference::InUse;
use risk::{Model, Models, Score};
use riskmesh_core::{ClientId, Detail, Error, ErrorCode, TenantId};
use std::sync::Arc;

/// The largest model that a caller may send, in bytes.
const MAX_MODEL: usize = 64 << 10;

/// Scores clients as if.
#[derive(Clone)]
pub(crate) struct Simulator {
    pub(crate) gather: Gather,
    pub(crate) models: Arc<Models>,
    pub(crate) refdata: InUse,
}

/// The model to try.
pub(crate) enum Draft<'a> {
    /// The one in use.
    InUse,
    /// A loaded one, by its version.
    Version(&'a str),
    /// The text of a model file.
    Text(&'a str),
}

impl Simulator {
    /// The model that a draft stands for.
    pub(crate) fn model(&self, draft: &Draft<'_>) -> Result<Arc<Model>, Error> {
        match draft {
            Draft::InUse => Ok(self.models.default_model().clone()),
            Draft::Version(version) => self.models.get(version).cloned().map_err(|_| {
                let known: Vec<&str> = self.models.iter().map(|model| model.version.as_str()).collect();
                Error::invalid(Detail::expected("modelVersion", "is not loaded", known.join(", ")))
            }),
            Draft::Text(text) if text.len() > MAX_MODEL => {
                Err(Error::invalid(Detail::expected("model", "must be at most 64 KiB", "<= 65536 bytes")))
            }
            Draft::Text(text) => Model::parse(text).map(Arc::new).map_err(|error| {
                Error::invalid(Detail::expected(
                    "model",
                    format!("is no model: {}", reason(&error)),
                    "a model file in TOML",
                ))
            }),
        }
    }

    /// A client's score by a model.
    pub(crate) async fn score(
        &self,
        tenant: &TenantId,
        client: &ClientId,
        model: &Arc<Model>,
    ) -> Result<Score, Error> {
        // What comes of it is not kept, so nobody has to be told when it changes.
        let refdata = self.refdata.current();
        let gather = Gather { model: model.clone(), onlookers: None, ..self.gather.clone() };
        let inputs = gather.of(tenant, client, &refdata).await?;
        let inputs =
            inputs.ok_or_else(|| Error::not_found(ErrorCode::ClientNotFound, "clientId", client.as_str()))?;
        inputs.score(model, &refdata).await.map_err(ServiceError::into)
    }
}

/// What is wrong with a model, down to the cause: it is the caller's own text.
fn reason(error: &risk::model::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {}", error.to_string().trim_end());
        cause = error.source();
    }
    text.chars().take(500).collect()
}
