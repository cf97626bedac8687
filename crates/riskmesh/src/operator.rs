//! `riskmesh.operator.v1`: what whoever runs a deployment asks of it over the admin socket; from the contract's messages to what the
//! crates do, and back.

use api::operator::v1::events_service_server::{EventsService, EventsServiceServer};
use api::operator::v1::{
    LeftOut, PlanReplayRequest, PlanReplayResponse, Point, Range, ReplayRecordsRequest,
    ReplayRecordsResponse, RewindGroupRequest, RewindGroupResponse,
};
use bus::{Replay, replay};
use riskmesh_core::{Detail, Error, ServiceError as _};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// The packages whose services are on the admin socket and nowhere else.
pub(crate) const PACKAGE: &str = "riskmesh.operator.";

/// The services, for a server stack.
pub(crate) fn routes(replay: Replay) -> Routes {
    Routes::new(EventsServiceServer::new(Events { replay }))
}

struct Events {
    replay: Replay,
}

#[tonic::async_trait]
impl EventsService for Events {
    async fn plan_replay(
        &self,
        request: Request<PlanReplayRequest>,
    ) -> Result<Response<PlanReplayResponse>, Status> {
        let PlanReplayRequest { topic, partition, from, to } = request.into_inner();
        let from = point("from", &from.ok_or_else(|| Error::required("from"))?)?;
        let to = to.map(|to| point("to", &to)).transpose()?;
        let planned = self.replay.plan(&topic, partition.map(i32::cast_unsigned), from, to).await;
        let ranges = planned.map_err(refused)?.iter().map(told).collect();
        Ok(Response::new(PlanReplayResponse { ranges }))
    }

    async fn replay_records(
        &self,
        request: Request<ReplayRecordsRequest>,
    ) -> Result<Response<ReplayRecordsResponse>, Status> {
        let ReplayRecordsRequest { topic, range } = request.into_inner();
        let Range { partition, from, to } = range.ok_or_else(|| Error::required("range"))?;
        let range = replay::Range { partition: partition.cast_unsigned(), from, to };
        let step = self.replay.step(&topic, range).await.map_err(|error| refused(error.into()))?;
        let (next, published, left_out) = (step.next, step.published, step.left_out);
        tracing::info!(
            topic,
            partition,
            from,
            next,
            published,
            left_out = left_out.len(),
            "records replayed"
        );
        let left_out =
            left_out.into_iter().map(|replay::LeftOut { offset, reason }| LeftOut { offset, reason });
        let published = i32::try_from(published).unwrap_or(i32::MAX);
        Ok(Response::new(ReplayRecordsResponse { next, published, left_out: left_out.collect() }))
    }

    async fn rewind_group(
        &self,
        request: Request<RewindGroupRequest>,
    ) -> Result<Response<RewindGroupResponse>, Status> {
        let RewindGroupRequest { group, topic, partition, offset } = request.into_inner();
        let rewound = self.replay.rewind(&group, &topic, partition.cast_unsigned(), offset).await;
        let replay::Rewound { was, now } = rewound.map_err(refused)?;
        tracing::info!(group, topic, partition, was, now, "group rewound");
        Ok(Response::new(RewindGroupResponse { was, now }))
    }
}

fn point(field: &'static str, point: &Point) -> Result<replay::Point, Error> {
    match (point.offset, &point.time) {
        (Some(offset), None) => Ok(replay::Point::Offset(offset)),
        (None, Some(time)) => Ok(replay::Point::Time(api::time::from_proto(time))),
        _ => Err(Error::invalid(Detail::expected(field, "must be one of both", "an offset or a time"))),
    }
}

fn told(range: &replay::Range) -> Range {
    Range { partition: range.partition.cast_signed(), from: range.from, to: range.to }
}

/// What the caller can put right is said to the caller.
fn refused(error: replay::Error) -> Error {
    let (field, expected) = match &error {
        replay::Error::AnyPartition { .. } => ("partition", "the partition that offsets are of"),
        replay::Error::Backwards => ("to", "an offset or a time from `from` on"),
        replay::Error::UnknownGroup { .. } => ("group", "a group that consumes the topic"),
        replay::Error::Bus(bus::Error::UnknownTopic { .. }) => ("topic", "a topic that there is"),
        replay::Error::Bus(bus::Error::UnknownPartition { .. }) => ("partition", "a partition that there is"),
        replay::Error::Bus(bus::Error::OutOfRange { .. }) => {
            ("offset", "an offset that is kept, or the next one")
        }
        replay::Error::Bus(other) => return Error::new(other.code()).because(error),
    };
    Error::invalid(Detail::expected(field, error.to_string(), expected)).message(error.to_string())
}
