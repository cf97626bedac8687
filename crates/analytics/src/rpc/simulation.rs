//! `riskmesh.analytics.v1.SimulationService`.

use crate::domain::assessment::Assessment;
use crate::simulate::{Draft, Simulator};
use api::analytics::v1::simulation_service_server::SimulationService;
use api::analytics::v1::{
    SimulateAnalyticsRequest, SimulateAnalyticsResponse, SimulatedPillar, SimulatedReason, SimulatedScore,
};
use risk::Score;
use riskmesh_core::{ClientId, Detail, Error};
use tonic::{Request, Response, Status};

/// Scores clients as if.
#[derive(Clone)]
pub(crate) struct SimulationRpc {
    pub(crate) simulator: Simulator,
}

#[tonic::async_trait]
impl SimulationService for SimulationRpc {
    async fn simulate_analytics(
        &self,
        request: Request<SimulateAnalyticsRequest>,
    ) -> Result<Response<SimulateAnalyticsResponse>, Status> {
        let tenant = authn::caller(&request)?.tenant.clone();
        let asked = request.into_inner();
        let client = ClientId::new(&asked.client_id).map_err(|error| error.of("clientId"))?;
        let draft = match (asked.model_version.as_str(), asked.model.as_str()) {
            ("", "") => Draft::InUse,
            (version, "") => Draft::Version(version),
            ("", text) => Draft::Text(text),
            _ => {
                let detail = Detail::expected(
                    "model",
                    "cannot be given together with modelVersion",
                    "model or modelVersion",
                );
                return Err(Error::invalid(detail).into());
            }
        };
        let draft = self.simulator.model(&draft)?;
        let in_use = self.simulator.model(&Draft::InUse)?;
        let current = self.simulator.score(&tenant, &client, &in_use).await?;
        let simulated = self.simulator.score(&tenant, &client, &draft).await?;
        Ok(Response::new(SimulateAnalyticsResponse {
            client_id: client.to_string(),
            current: Some(view(&current)),
            simulated: Some(view(&simulated)),
        }))
    }
}

fn view(score: &Score) -> SimulatedScore {
    let assessment = Assessment::of(score);
    SimulatedScore {
        model_version: score.model_version.clone(),
        model_hash: score.model_hash.to_string(),
        risk_score: score.value.into(),
        additive_score: score.additive.into(),
        category: score.band.as_str().to_owned(),
        confidence: f64::from(assessment.confidence_bp) / 10_000.0,
        blocked: score.blocked,
        pillars: score
            .pillars
            .iter()
            .map(|pillar| SimulatedPillar {
                pillar: pillar.pillar.as_str().to_owned(),
                points: pillar.points.into(),
                weight_bp: i32::try_from(pillar.weight_bp).unwrap_or(i32::MAX),
                contribution: pillar.contribution.into(),
            })
            .collect(),
        reasons: assessment
            .reasons
            .into_iter()
            .map(|reason| SimulatedReason {
                code: reason.code,
                pillar: reason.pillar,
                points: i32::try_from(reason.points).unwrap_or(i32::MAX),
                text: reason.text,
                transaction_ids: reason.transactions,
                floor: reason.floor,
            })
            .collect(),
        as_of: Some(api::time::to_proto(assessment.as_of)),
        state_hash: assessment.state_hash.to_string(),
    }
}
