//! `riskmesh events`: what is on the log, given to its consumers again, beside a running server or without one.

use crate::admin_socket::AnyChannel;
use crate::cli::{EventsCommand, ReplayArgs};
use crate::config::Config;
use crate::connection::{Connection, told};
use anyhow::{Context as _, ensure};
use api::operator::v1::events_service_client::EventsServiceClient;
use api::operator::v1::{
    PlanReplayRequest, Point, Range, ReplayRecordsRequest, ReplayRecordsResponse, RewindGroupRequest,
};
use bus::replay;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};

/// Does what a command says.
pub(crate) async fn run(command: EventsCommand) -> anyhow::Result<()> {
    let EventsCommand::Replay(args) = command;
    let config = Config::of(&args.data)?;
    let connection = Connection::operator(&config).await?;
    let done = Events::of(&connection, &args).replay().await;
    connection.close().await;
    done
}

/// The log, as a replay sees it.
struct Events<'a> {
    client: EventsServiceClient<AnyChannel>,
    authorization: MetadataValue<Ascii>,
    args: &'a ReplayArgs,
}

impl<'a> Events<'a> {
    fn of(connection: &Connection, args: &'a ReplayArgs) -> Self {
        Self {
            client: EventsServiceClient::new(connection.channel.clone()),
            authorization: connection.authorization.clone(),
            args,
        }
    }

    async fn replay(mut self) -> anyhow::Result<()> {
        let request = self.request(PlanReplayRequest {
            topic: self.args.topic.clone(),
            partition: self.args.partition.map(u32::cast_signed),
            from: Some(point(self.args.from)),
            to: self.args.to.map(point),
        });
        let ranges = self.client.plan_replay(request).await.map_err(told)?.into_inner().ranges;
        if self.args.dry_run {
            for range in &ranges {
                println!("{}", self.place(range));
            }
            return Ok(());
        }
        match &self.args.group {
            Some(group) => self.rewind(group, &ranges).await,
            None => self.publish(&ranges).await,
        }
    }

    /// Publishes all records of the ranges again. What is left where it breaks off is said, so that it can be asked for.
    async fn publish(&mut self, ranges: &[Range]) -> anyhow::Result<()> {
        let (mut published, mut left_out) = (0_i64, 0);
        for (index, range) in ranges.iter().enumerate() {
            let mut rest = *range;
            while rest.from < rest.to {
                let step = match self.step(&rest).await {
                    Ok(step) => step,
                    Err(error) => {
                        eprintln!("riskmesh: {published} records were published again, these were not:");
                        for range in std::iter::once(&rest).chain(&ranges[index + 1..]) {
                            eprintln!(
                                "  --topic {} --partition {} --from {} --to {}",
                                self.args.topic, range.partition, range.from, range.to
                            );
                        }
                        return Err(error);
                    }
                };
                for record in &step.left_out {
                    let (topic, partition) = (&self.args.topic, rest.partition);
                    eprintln!(
                        "riskmesh: {topic}/{partition}/{} is left out: {}",
                        record.offset, record.reason
                    );
                }
                published += i64::from(step.published);
                left_out += step.left_out.len();
                rest.from = step.next;
            }
            println!("{}", self.place(range));
        }
        println!("{published} records published again");
        ensure!(left_out == 0, "{left_out} records were left out");
        Ok(())
    }

    async fn step(&mut self, rest: &Range) -> anyhow::Result<ReplayRecordsResponse> {
        let topic = self.args.topic.clone();
        let request = self.request(ReplayRecordsRequest { topic, range: Some(*rest) });
        Ok(self.client.replay_records(request).await.map_err(told)?.into_inner())
    }

    /// Moves a group back to where the ranges begin.
    async fn rewind(&mut self, group: &str, ranges: &[Range]) -> anyhow::Result<()> {
        for range in ranges {
            let place = format!("{}/{}", self.args.topic, range.partition);
            let request = self.request(RewindGroupRequest {
                group: group.to_owned(),
                topic: self.args.topic.clone(),
                partition: range.partition,
                offset: range.from,
            });
            let rewound = self.client.rewind_group(request).await.map_err(told);
            let rewound = rewound.with_context(|| format!("rewind {group} on {place}"))?.into_inner();
            println!("{place}\t{group} goes on at {}, was at {}", rewound.now, rewound.was);
        }
        Ok(())
    }

    fn place(&self, range: &Range) -> String {
        format!("{}/{}\t{}..{}", self.args.topic, range.partition, range.from, range.to)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

fn point(point: replay::Point) -> Point {
    match point {
        replay::Point::Offset(offset) => Point { offset: Some(offset), time: None },
        replay::Point::Time(at) => Point { offset: None, time: Some(api::time::to_proto(at)) },
    }
}
