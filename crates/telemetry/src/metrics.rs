//! RED metrics (rate, errors, duration) of every call, and named gauges and counters for the rest, as OpenMetrics text.
//!
//! Labels have few values each: role, method of the contract, code. Nothing that a caller chooses becomes a label. Latencies carry
//! the trace id of the last sampled call in each bucket as an exemplar.

use crate::trace::TraceContext;
use prometheus_client::encoding::text;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::registry::{Metric, Registry};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds, dense around the alert at 300 ms.
const BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

type Label = (&'static str, Cow<'static, str>);
type CallLabels = [(&'static str, &'static str); 2];
type Histogram = HistogramWithExemplars<[(&'static str, String); 1]>;

/// At which end of a call a measurement is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// HTTP requests at the edge, `riskmesh_http_*`; the code is the HTTP status.
    Http,
    /// gRPC calls where they are served, `riskmesh_server_*`; the code is the gRPC code's name.
    Server,
    /// gRPC calls where they are made, `riskmesh_client_*`; the code is the gRPC code's name.
    Client,
}

/// The process's metrics; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    http: Red,
    server: Red,
    client: Red,
    gauges: Mutex<HashMap<&'static str, Gauges>>,
    counters: Mutex<HashMap<&'static str, Counters>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// An empty set. A process makes one and hands out clones.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("riskmesh");
        let http = Red::register(&mut registry, "http", "HTTP requests at the edge");
        let server = Red::register(&mut registry, "server", "gRPC calls served");
        let client = Red::register(&mut registry, "client", "gRPC calls made");
        Self(Arc::new(Inner {
            registry: Mutex::new(registry),
            http,
            server,
            client,
            gauges: Mutex::default(),
            counters: Mutex::default(),
        }))
    }

    /// Counts a call in; the answer is counted by [`Call::finish`], or as `CANCELLED` when the caller goes away before.
    ///
    /// `role` is who measures, `method` a path of the contract or a route's template.
    pub fn start(&self, side: Side, role: &'static str, method: &'static str) -> Call {
        let red = match side {
            Side::Http => &self.0.http,
            Side::Server => &self.0.server,
            Side::Client => &self.0.client,
        };
        let in_flight = red.in_flight.get_or_create_owned(&call_labels(role, method));
        in_flight.inc();
        Call { red: red.clone(), role, method, in_flight, started: Instant::now(), trace: None, code: None }
    }

    /// The gauge of this name (prefixed `riskmesh_`), made on first use: lags, sizes, states.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauges {
        lock(&self.0.gauges)
            .entry(name)
            .or_insert_with(|| Gauges(register(&mut lock(&self.0.registry), name, help, Family::default())))
            .clone()
    }

    /// The counter of this name (prefixed `riskmesh_`, suffixed `_total`), made on first use.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counters {
        lock(&self.0.counters)
            .entry(name)
            .or_insert_with(|| Counters(register(&mut lock(&self.0.registry), name, help, Family::default())))
            .clone()
    }

    /// Everything as OpenMetrics text, of [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail, and no metric of ours refuses to be encoded.
        let _ = text::encode(&mut out, &lock(&self.0.registry));
        out
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register<M: Metric + Clone>(
    registry: &mut Registry,
    name: impl Into<String>,
    help: impl Into<String>,
    metric: M,
) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn call_labels(role: &'static str, method: &'static str) -> CallLabels {
    [("role", role), ("method", method)]
}

/// A gauge by labels.
#[derive(Clone, Debug)]
pub struct Gauges(Family<Vec<Label>, Gauge>);

impl Gauges {
    /// The gauge of these labels; keep it where it is set often. Values must come from a small set: a group, a topic, a state.
    pub fn with(&self, labels: &[(&'static str, &str)]) -> Gauge {
        self.0.get_or_create_owned(&own(labels))
    }

    /// Shows the gauge of these labels no more: what it measured is not there, or is somebody else's.
    pub fn remove(&self, labels: &[(&'static str, &str)]) {
        self.0.remove(&own(labels));
    }
}

/// A counter by labels.
#[derive(Clone, Debug)]
pub struct Counters(Family<Vec<Label>, Counter>);

impl Counters {
    /// The counter of these labels; keep it where it is counted often. Values must come from a small set.
    pub fn with(&self, labels: &[(&'static str, &str)]) -> Counter {
        self.0.get_or_create_owned(&own(labels))
    }
}

fn own(labels: &[(&'static str, &str)]) -> Vec<Label> {
    labels.iter().map(|&(key, value)| (key, Cow::Owned(value.to_owned()))).collect()
}

#[derive(Clone)]
struct Red {
    requests: Family<[Label; 3], Counter>,
    latency: Family<CallLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<CallLabels, Gauge>,
}

impl fmt::Debug for Red {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Red(…)")
    }
}

impl Red {
    fn register(registry: &mut Registry, side: &str, what: &str) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS.into_iter());
        Self {
            requests: register(
                registry,
                format!("{side}_requests"),
                format!("{what}, by outcome"),
                Family::default(),
            ),
            latency: register(
                registry,
                format!("{side}_latency_seconds"),
                format!("{what}: time to the end of the answer"),
                Family::new_with_constructor(histogram),
            ),
            in_flight: register(
                registry,
                format!("{side}_in_flight"),
                format!("{what}, not answered yet"),
                Family::default(),
            ),
        }
    }
}

/// One call under way. Dropping it counts it: with its code where one was set, else as `CANCELLED`.
#[derive(Debug)]
pub struct Call {
    red: Red,
    role: &'static str,
    method: &'static str,
    in_flight: Gauge,
    started: Instant,
    trace: Option<TraceContext>,
    code: Option<Cow<'static, str>>,
}

impl Call {
    /// The trace it belongs to; when sampled, its id becomes the latency's exemplar.
    pub fn in_trace(&mut self, trace: TraceContext) {
        self.trace = Some(trace);
    }

    /// How long it has been under way.
    pub fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// It was answered with this code.
    pub fn finish(mut self, code: impl Into<Cow<'static, str>>) {
        self.code = Some(code.into());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.in_flight.dec();
        let code = self.code.take().unwrap_or(Cow::Borrowed("CANCELLED"));
        let outcome = [("role", self.role.into()), ("method", self.method.into()), ("code", code)];
        self.red.requests.get_or_create(&outcome).inc();
        let trace = self.trace.take().filter(|trace| trace.sampled);
        let exemplar = trace.map(|trace| [("trace_id", trace.trace_id.to_string())]);
        let seconds = self.started.elapsed().as_secs_f64();
        self.red.latency.get_or_create(&call_labels(self.role, self.method)).observe(seconds, exemplar, None);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const METHOD: &str = "/riskmesh.clients.v1.ClientsService/GetClient";

    #[test]
    fn a_call_is_counted_with_its_code_and_leaves_the_gauge() {
        let metrics = Metrics::new();
        let call = metrics.start(Side::Server, "clients", METHOD);
        let labels = format!("role=\"clients\",method=\"{METHOD}\"");
        assert!(metrics.encode().contains(&format!("riskmesh_server_in_flight{{{labels}}} 1\n")));
        call.finish("OK");
        let text = metrics.encode();
        assert!(text.contains(&format!("riskmesh_server_in_flight{{{labels}}} 0\n")), "{text}");
        assert!(
            text.contains(&format!("riskmesh_server_requests_total{{{labels},code=\"OK\"}} 1\n")),
            "{text}"
        );
        assert!(text.contains(&format!("riskmesh_server_latency_seconds_count{{{labels}}} 1\n")), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_call_that_nobody_waits_for_is_cancelled() {
        let metrics = Metrics::new();
        drop(metrics.start(Side::Client, "edge", METHOD));
        assert!(metrics.encode().contains("code=\"CANCELLED\"} 1\n"));
    }

    #[test]
    fn a_sampled_trace_is_the_exemplar_and_an_unsampled_one_is_not() {
        let metrics = Metrics::new();
        let (sampled, unsampled) = (TraceContext::root(true), TraceContext::root(false));
        for trace in [&sampled, &unsampled] {
            let mut call = metrics.start(Side::Http, "edge", "GET /v1/clients");
            call.in_trace(trace.clone());
            call.finish("200");
        }
        let text = metrics.encode();
        assert!(text.contains(&format!("# {{trace_id=\"{}\"}}", sampled.trace_id)), "{text}");
        assert!(!text.contains(&unsampled.trace_id.to_string()), "{text}");
    }

    #[test]
    fn a_gauge_is_registered_once_however_often_it_is_asked_for() {
        let metrics = Metrics::new();
        metrics.gauge("bus_lag", "Events not consumed yet").with(&[("group", "analytics")]).set(7);
        metrics.gauge("bus_lag", "Events not consumed yet").with(&[("group", "jobs")]).set(8);
        metrics.counter("log_lines_dropped", "Lines dropped").with(&[]).inc();
        let text = metrics.encode();
        assert_eq!(text.matches("# TYPE riskmesh_bus_lag gauge").count(), 1, "{text}");
        assert!(text.contains("riskmesh_bus_lag{group=\"analytics\"} 7\n"), "{text}");
        assert!(text.contains("riskmesh_log_lines_dropped_total{} 1\n"), "{text}");
    }

    #[test]
    fn a_gauge_that_was_removed_is_shown_no_more() {
        let metrics = Metrics::new();
        let lag = metrics.gauge("bus_lag", "Events not consumed yet");
        for partition in ["0", "1"] {
            lag.with(&[("partition", partition)]).set(7);
        }
        lag.remove(&[("partition", "0")]);
        let text = metrics.encode();
        assert!(!text.contains("partition=\"0\"") && text.contains("partition=\"1\"} 7\n"), "{text}");
    }

    #[test]
    fn a_value_with_quotes_does_not_break_the_text() {
        let metrics = Metrics::new();
        metrics.gauge("odd", "Odd").with(&[("name", "a\"b\nc\\d")]).set(1);
        assert!(metrics.encode().contains(r#"riskmesh_odd{name="a\"b\nc\\d"} 1"#));
    }
}
