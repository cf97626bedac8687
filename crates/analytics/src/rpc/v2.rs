//! `riskmesh.analytics.v2.AnalyticsService`: the score with what it rests on.

use super::AnalyticsRpc;
use crate::cached::Shown;
use crate::domain::assessment;
use api::analytics::v2::analytics_service_server::AnalyticsService;
use api::analytics::v2::{
    Analytics, GetAnalyticsRequest, GetAnalyticsResponse, ListAnalyticsRequest, ListAnalyticsResponse,
    Reason, Risk, RiskCategory,
};
use api::etag::versioned;
use risk::Band;
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
        Ok(versioned(GetAnalyticsResponse { analytics: Some(view(shown)) }, version))
    }

    async fn list_analytics(
        &self,
        request: Request<ListAnalyticsRequest>,
    ) -> Result<Response<ListAnalyticsResponse>, Status> {
        let asked = request.get_ref();
        let page = PageRequest::read(asked.limit, asked.offset, &asked.cursor)?;
        let (shown, page) = self.list(&request, page).await?;
        let analytics = shown.into_iter().map(view).collect();
        Ok(Response::new(ListAnalyticsResponse { analytics, page: Some(page) }))
    }
}

fn view(shown: Shown) -> Analytics {
    let assessment = shown.assessment;
    Analytics {
        client_id: shown.client.to_string(),
        risk: Some(Risk {
            score: assessment.score.into(),
            category: category(assessment.category).into(),
            confidence: f64::from(assessment.confidence_bp) / 10_000.0,
            reasons: assessment.reasons.into_iter().map(reason).collect(),
        }),
        last_updated: Some(api::time::to_proto(shown.updated_at)),
        model_version: assessment.model_version,
        refdata_version: assessment.refdata_version,
        as_of: Some(api::time::to_proto(assessment.as_of)),
        state_hash: assessment.state_hash.to_string(),
    }
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
