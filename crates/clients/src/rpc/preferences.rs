//! `riskmesh.clients.v1.PreferencesService`.

use super::{client_id, tenant};
use crate::preferences::Preferences;
use api::clients::v1::preferences_service_server::PreferencesService;
use api::clients::v1::{
    GetPreferencesRequest, GetPreferencesResponse, PutPreferencesRequest, PutPreferencesResponse,
};
use api::etag::{IfMatch, versioned};
use riskmesh_core::Error;
use tonic::{Request, Response, Status};

/// Reads and sets preferences.
#[derive(Clone)]
pub(crate) struct PreferencesRpc {
    pub(crate) preferences: Preferences,
}

#[tonic::async_trait]
impl PreferencesService for PreferencesRpc {
    async fn get_preferences(
        &self,
        request: Request<GetPreferencesRequest>,
    ) -> Result<Response<GetPreferencesResponse>, Status> {
        let tenant = tenant(&request)?;
        let id = client_id(&request.into_inner().client_id)?;
        let kept = self.preferences.get(&tenant, &id).await?;
        Ok(versioned(GetPreferencesResponse { preferences: Some(kept.preferences) }, kept.version))
    }

    async fn put_preferences(
        &self,
        request: Request<PutPreferencesRequest>,
    ) -> Result<Response<PutPreferencesResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let id = client_id(&request.client_id)?;
        let sent = request.preferences;
        let sent = sent.ok_or_else(|| Error::required("preferences"))?;
        let kept = self.preferences.put(&tenant, &id, sent, &if_match).await?;
        Ok(versioned(PutPreferencesResponse { preferences: Some(kept.preferences) }, kept.version))
    }
}
