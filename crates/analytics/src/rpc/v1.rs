//! `riskmesh.analytics.v1.AnalyticsService`: one integer a client.

use super::{AnalyticsRpc, Asked};
use crate::domain::assessment::Assessment;
use crate::domain::change::Change;
use api::analytics::v1::analytics_service_server::AnalyticsService;
use api::analytics::v1::{
    Analytics, AnalyticsChange, GetAnalyticsRequest, GetAnalyticsResponse, ListAnalyticsHistoryRequest,
    ListAnalyticsHistoryResponse, ListAnalyticsRequest, ListAnalyticsResponse, WatchAnalyticsRequest,
    WatchAnalyticsResponse,
};
use api::etag::versioned;
use futures::stream::BoxStream;
use riskmesh_core::ClientId;
use riskmesh_core::page::PageRequest;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AnalyticsService for AnalyticsRpc {
    async fn get_analytics(
        &self,
        request: Request<GetAnalyticsRequest>,
    ) -> Result<Response<GetAnalyticsResponse>, Status> {
        let shown = self.get(&request, &request.get_ref().client_id).await?;
        let analytics = Some(view(&shown.client, &shown.assessment));
        Ok(versioned(GetAnalyticsResponse { analytics }, shown.version))
    }

    async fn list_analytics(
        &self,
        request: Request<ListAnalyticsRequest>,
    ) -> Result<Response<ListAnalyticsResponse>, Status> {
        let asked = request.get_ref();
        let page = PageRequest::read(asked.limit, asked.offset, &asked.cursor)?;
        let (shown, page) = self.list(&request, page).await?;
        let analytics = shown.iter().map(|shown| view(&shown.client, &shown.assessment)).collect();
        Ok(Response::new(ListAnalyticsResponse { analytics, page: Some(page) }))
    }

    async fn list_analytics_history(
        &self,
        request: Request<ListAnalyticsHistoryRequest>,
    ) -> Result<Response<ListAnalyticsHistoryResponse>, Status> {
        let asked = request.get_ref();
        let page = PageRequest::read(asked.limit, asked.offset, &asked.cursor)?;
        let (changes, page) = self.history(&request, &asked.client_id, page).await?;
        let history = changes.into_iter().map(change).collect();
        Ok(Response::new(ListAnalyticsHistoryResponse { history, page: Some(page) }))
    }

    type WatchAnalyticsStream = BoxStream<'static, Result<WatchAnalyticsResponse, Status>>;

    async fn watch_analytics(
        &self,
        request: Request<WatchAnalyticsRequest>,
    ) -> Result<Response<Self::WatchAnalyticsStream>, Status> {
        let WatchAnalyticsRequest { client_id, timeout, after } = request.get_ref();
        let asked = Asked { client: client_id, timeout: *timeout, after };
        self.watch(&request, asked, event).await
    }
}

fn view(client: &ClientId, assessment: &Assessment) -> Analytics {
    Analytics { client_id: client.to_string(), risk_score: assessment.score.into() }
}

fn change(change: Change) -> AnalyticsChange {
    let Change { client, number, assessment, previous_score, at } = change;
    AnalyticsChange {
        event_id: number.to_string(),
        analytics: Some(view(&client, &assessment)),
        previous_score: previous_score.map(i32::from),
        change_time: Some(api::time::to_proto(at)),
    }
}

fn event(change: Change) -> WatchAnalyticsResponse {
    let AnalyticsChange { event_id, analytics, previous_score, change_time } = self::change(change);
    WatchAnalyticsResponse { event_id, analytics, previous_score, change_time }
}
