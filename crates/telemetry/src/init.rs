//! Sets up the process's log and, where an endpoint is configured, the export of spans over OTLP.

use crate::lines::Lines;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use std::io;
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

/// The most finished spans that wait for the collector; more are dropped.
const SPAN_QUEUE: usize = 4096;
/// The most spans in one export.
const SPAN_BATCH: usize = 512;
/// How often spans are exported.
const EXPORT_EVERY: Duration = Duration::from_secs(2);
/// The longest that one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that the end of the process waits for the collector.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The collector's OTLP/gRPC endpoint: `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// The share of the traces that start here to be recorded, 0 to 1; for others the caller's decision holds.
    pub sample_ratio: f64,
}

/// What to set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// How log lines look.
    pub format: Format,
    /// Which events are logged, as `tracing_subscriber::EnvFilter` has it: `info`, `warn,riskmesh_mesh=debug`.
    pub filter: String,
    /// Where spans go; `None` exports nothing.
    pub otlp: Option<Otlp>,
    /// The service's name on spans: `riskmesh`.
    pub service: String,
    /// The roles of this process on spans: `edge,clients`.
    pub role: String,
}

/// Why telemetry cannot be set up: always the configuration or the machine, never a collector that is down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("log filter {filter:?} is not valid")]
    Filter {
        /// The filter as configured.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The endpoint is not one.
    #[error("OTLP endpoint {endpoint:?} cannot be used")]
    Endpoint {
        /// The endpoint as configured.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// No thread for the log.
    #[error("start the log's writer thread")]
    Writer(#[source] io::Error),
    /// Somebody set up a log before.
    #[error("a log is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry going; dropping it writes what is queued, within a bounded time.
#[derive(Debug)]
pub struct Guard {
    log: Lines,
    spans: Option<SdkTracerProvider>,
}

impl Guard {
    /// How many log lines found the queue full and were dropped.
    pub fn dropped_lines(&self) -> u64 {
        self.log.dropped()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(spans) = self.spans.take() {
            // A collector that is down loses its spans; there is nobody left to tell.
            let _ = spans.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
        }
        self.log.flush_queued();
    }
}

/// Sets up the process-wide log on standard error, and OTLP export where configured. Call it once, inside a tokio runtime where
/// OTLP is configured (the exporter's connection lives there). A collector that is down is no error, now or later.
pub fn init(config: &Config) -> Result<Guard, Error> {
    let log = Lines::new("log", io::stderr()).map_err(Error::Writer)?;
    let spans = config.otlp.as_ref().map(|otlp| exporter(otlp, config)).transpose()?;
    subscriber(config, log.clone(), spans.as_ref())?.try_init().map_err(Error::Twice)?;
    Ok(Guard { log, spans })
}

fn subscriber(
    config: &Config,
    log: Lines,
    spans: Option<&SdkTracerProvider>,
) -> Result<impl tracing::Subscriber + Send + Sync + use<>, Error> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(Writer(log)).with_ansi(false);
    let lines = match config.format {
        Format::Text => lines.with_filter(filter).boxed(),
        Format::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    // Which spans are exported does not depend on what is logged; libraries' own spans are noise.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target(OURS, LevelFilter::INFO);
    let export = spans.map(|spans| {
        let tracer: SdkTracer = spans.tracer("riskmesh");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(ours)
    });
    Ok(Registry::default().with(export).with(lines))
}

/// How the names of the crates begin whose spans are exported.
const OURS: &str = "riskmesh";

fn exporter(otlp: &Otlp, config: &Config) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(otlp.endpoint.clone())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| Error::Endpoint { endpoint: otlp.endpoint.clone(), source })?;
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(SPAN_QUEUE)
        .with_max_export_batch_size(SPAN_BATCH)
        .with_scheduled_delay(EXPORT_EVERY)
        .build();
    let resource = Resource::builder()
        .with_service_name(config.service.clone())
        .with_attribute(KeyValue::new("riskmesh.role", config.role.clone()))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batch).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(otlp.sample_ratio))))
        .with_resource(resource)
        .build())
}

/// Hands the log's queue to `tracing_subscriber`.
struct Writer(Lines);

impl MakeWriter<'_> for Writer {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests;
