//! `riskmesh.analytics.v1.AnalyticsService`: one integer a client.

use super::AnalyticsRpc;
use crate::cached::Shown;
use api::analytics::v1::analytics_service_server::AnalyticsService;
use api::analytics::v1::{
    Analytics, GetAnalyticsRequest, GetAnalyticsResponse, ListAnalyticsRequest, ListAnalyticsResponse,
};
use api::etag::versioned;
use riskmesh_core::page::PageRequest;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AnalyticsService for AnalyticsRpc {
    async fn get_analytics(
        &self,
        request: Request<GetAnalyticsRequest>,
    ) -> Result<Response<GetAnalyticsResponse>, Status> {
        let shown = self.get(&request, &request.get_ref().client_id).await?;
        let version = shown.version;
        Ok(versioned(GetAnalyticsResponse { analytics: Some(view(&shown)) }, version))
    }

    async fn list_analytics(
        &self,
        request: Request<ListAnalyticsRequest>,
    ) -> Result<Response<ListAnalyticsResponse>, Status> {
        let asked = request.get_ref();
        let page = PageRequest::read(asked.limit, asked.offset, &asked.cursor)?;
        let (shown, page) = self.list(&request, page).await?;
        let analytics = shown.iter().map(view).collect();
        Ok(Response::new(ListAnalyticsResponse { analytics, page: Some(page) }))
    }
}

fn view(shown: &Shown) -> Analytics {
    Analytics { client_id: shown.client.to_string(), risk_score: shown.assessment.score.into() }
}
