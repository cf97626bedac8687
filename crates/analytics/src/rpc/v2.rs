//! `riskmesh.analytics.v2.AnalyticsService`: the score with what it rests on.

use super::{AnalyticsRpc, Asked};
use crate::domain::assessment::{self, Assessment};
use crate::domain::change::Change;
use api::analytics::v2::analytics_service_server::AnalyticsService;
use api::analytics::v2::{
    Analytics, AnalyticsChange, GetAnalyticsRequest, GetAnalyticsResponse, ListAnalyticsHistoryRequest,
    ListAnalyticsHistoryResponse, ListAnalyticsRequest, ListAnalyticsResponse, Reason, Risk, RiskCategory,
    WatchAnalyticsRequest, WatchAnalyticsResponse,
};
use api::etag::versioned;
use futures::stream::BoxStream;
use risk::Band;
use riskmesh_core::page::PageRequest;
use riskmesh_core::{ClientId, Timestamp};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl AnalyticsService for AnalyticsRpc {
    async fn get_analytics(
        &self,
        request: Request<GetAnalyticsRequest>,
    ) -> Result<Response<GetAnalyticsResponse>, Status> {
        let shown = self.get(&request, &request.get_ref().client_id).await?;
        let analytics = Some(view(&shown.client, shown.assessment, shown.updated_at));
        Ok(versioned(GetAnalyticsResponse { analytics }, shown.version))
    }

    async fn list_analytics(
        &self,
        request: Request<ListAnalyticsRequest>,
    ) -> Result<Response<ListAnalyticsResponse>, Status> {
        let asked = request.get_ref();
        let page = PageRequest::read(asked.limit, asked.offset, &asked.cursor)?;
        let (shown, page) = self.list(&request, page).await?;
        let analytics =
            shown.into_iter().map(|shown| view(&shown.client, shown.assessment, shown.updated_at)).collect();
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

fn view(client: &ClientId, assessment: Assessment, updated_at: Timestamp) -> Analytics {
    Analytics {
        client_id: client.to_string(),
        risk: Some(Risk {
            score: assessment.score.into(),
            category: category(assessment.category).into(),
            confidence: f64::from(assessment.confidence_bp) / 10_000.0,
            blocked: assessment.is_blocked(),
            reasons: assessment.reasons.into_iter().map(reason).collect(),
        }),
        last_updated: Some(api::time::to_proto(updated_at)),
        model_version: assessment.model_version,
        refdata_version: assessment.refdata_version,
        as_of: Some(api::time::to_proto(assessment.as_of)),
        state_hash: assessment.state_hash.to_string(),
    }
}

fn change(change: Change) -> AnalyticsChange {
    AnalyticsChange {
        event_id: change.number.to_string(),
        previous_score: change.previous_score.map(i32::from),
        analytics: Some(view(&change.client, change.assessment, change.at)),
    }
}

fn event(change: Change) -> WatchAnalyticsResponse {
    let AnalyticsChange { event_id, analytics, previous_score } = self::change(change);
    WatchAnalyticsResponse { event_id, analytics, previous_score }
}

fn category(band: Band) -> RiskCategory {
    match band {
        Band::Low => RiskCategory::Low,
        Band::Medium => RiskCategory::Medium,
        Band::High => RiskCategory::High,
    }
}

fn reason(reason: assessment::Reason) -> Reason {
    Reason {
        code: reason.code,
        pillar: reason.pillar,
        points: i32::try_from(reason.points).unwrap_or(i32::MAX),
        text: reason.text,
        transaction_ids: reason.transactions,
        floor: reason.floor,
    }
}
