#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::lines::tests::Shared;
use crate::trace::{self, TraceContext};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tracing::subscriber::with_default;

fn config(otlp: Option<Otlp>) -> Config {
    Config {
        format: Format::Text,
        filter: "info".into(),
        otlp,
        service: "riskmesh-test".into(),
        role: "edge".into(),
    }
}

/// A collector that hands over the bytes of each export; it lives as long as its runtime.
async fn collector() -> (String, tokio::sync::mpsc::Receiver<Bytes>) {
    let (sender, exports) = tokio::sync::mpsc::channel(16);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let sender = sender.clone();
        async move {
            assert_eq!(request.uri().path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            sender.send(request.into_body().collect().await.unwrap().to_bytes()).await.unwrap();
            let empty = http_body_util::Full::new(Bytes::from_static(&[0; 5]));
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let body = Body::new(empty.with_trailers(async { Some(Ok(trailers)) }));
            let response = http::Response::builder().header("content-type", "application/grpc").body(body);
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    tokio::spawn(async move {
        tonic::transport::Server::builder()
            .serve_with_incoming(service, TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
    (endpoint, exports)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_reaches_the_collector_in_the_trace_that_its_context_names() {
    let (endpoint, mut exports) = collector().await;
    let otlp = Otlp { endpoint, sample_ratio: 1.0 };
    let config = config(Some(otlp.clone()));
    let spans = exporter(&otlp, &config).unwrap();
    let log = Lines::new("test", Shared::default()).unwrap();
    let parent = TraceContext::root(true).with_state("vendor=1");
    let (child, root) = with_default(subscriber(&config, log, Some(&spans)).unwrap(), || {
        let span = tracing::info_span!("joined", otel.name = "joined-span");
        let child = trace::open(&span, Some(&parent));
        let root = trace::open(&tracing::info_span!("begun"), None);
        (child, root)
    });
    assert_eq!((child.trace_id, child.sampled, child.state()), (parent.trace_id, true, Some("vendor=1")));
    assert_ne!(child.span_id, parent.span_id);
    assert!(root.sampled, "the ratio says all");

    let provider = spans.clone();
    tokio::task::spawn_blocking(move || provider.force_flush().unwrap()).await.unwrap();
    let export = tokio::time::timeout(Duration::from_secs(10), exports.recv()).await.unwrap().unwrap();
    for part in [
        &b"riskmesh-test"[..],
        b"joined-span",
        &parent.trace_id.to_bytes(),
        &parent.span_id.to_bytes(),
        &child.span_id.to_bytes(),
        &root.trace_id.to_bytes(),
    ] {
        assert!(contains(&export, part), "{part:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callers_decision_not_to_sample_is_kept() {
    let (endpoint, mut exports) = collector().await;
    let otlp = Otlp { endpoint, sample_ratio: 1.0 };
    let config = config(Some(otlp.clone()));
    let spans = exporter(&otlp, &config).unwrap();
    let log = Lines::new("test", Shared::default()).unwrap();
    let parent = TraceContext::root(false);
    let child = with_default(subscriber(&config, log, Some(&spans)).unwrap(), || {
        trace::open(&tracing::info_span!("unsampled"), Some(&parent))
    });
    assert_eq!((child.trace_id, child.sampled), (parent.trace_id, false));
    tokio::task::spawn_blocking(move || {
        drop(Guard { log: Lines::new("t", io::sink()).unwrap(), spans: Some(spans) });
    })
    .await
    .unwrap();
    assert!(exports.try_recv().is_err(), "nothing was exported");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_down_costs_nothing_and_does_not_hold_the_end_up() {
    // A port that nobody listens on, and one that accepts and never answers.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let otlp = Otlp { endpoint: format!("http://{address}"), sample_ratio: 1.0 };
        let config = config(Some(otlp.clone()));
        let spans = exporter(&otlp, &config).unwrap();
        let log = Lines::new("test", Shared::default()).unwrap();
        with_default(subscriber(&config, log.clone(), Some(&spans)).unwrap(), || {
            // Several times what the queue holds: the rest is dropped, and none of this waits.
            for _ in 0..4 * SPAN_QUEUE {
                let span = tracing::info_span!("lost");
                assert!(trace::open(&span, None).sampled);
            }
        });
        let started = Instant::now();
        tokio::task::spawn_blocking(move || drop(Guard { log, spans: Some(spans) })).await.unwrap();
        // The bound is the constant's, with room for a slow machine; without one this would wait for the export's own timeouts.
        assert!(started.elapsed() < SHUTDOWN_TIMEOUT + FLUSH_MARGIN, "{:?}", started.elapsed());
    }
}

/// Room for a machine that does other things.
const FLUSH_MARGIN: Duration = Duration::from_secs(20);

#[test]
fn the_filter_decides_what_is_logged_and_a_guard_flushes_it() {
    let out = Shared::default();
    let log = Lines::new("test", out.clone()).unwrap();
    let guard = Guard { log: log.clone(), spans: None };
    with_default(subscriber(&config(None), log, None).unwrap(), || {
        tracing::info!(job = 7, "job started");
        tracing::debug!("not shown");
        tracing::warn!(text = "a\nb", "odd value");
    });
    drop(guard);
    let text = out.text();
    assert!(text.contains("job started job=7"), "{text}");
    assert!(!text.contains("not shown"), "{text}");
    assert_eq!(text.lines().count(), 2, "a value cannot start a line: {text}");
}

#[test]
fn json_lines_are_objects() {
    let out = Shared::default();
    let log = Lines::new("test", out.clone()).unwrap();
    let config = Config { format: Format::Json, ..config(None) };
    with_default(subscriber(&config, log.clone(), None).unwrap(), || tracing::info!(job = 7, "job started"));
    log.flush_queued();
    let line: serde_json::Value = serde_json::from_str(out.text().trim()).unwrap();
    assert_eq!((line["message"].as_str(), line["job"].as_i64()), (Some("job started"), Some(7)));
}

#[test]
fn a_bad_configuration_is_named() {
    let log = Lines::new("test", io::sink()).unwrap();
    let bad = Config { filter: "info,=".into(), ..config(None) };
    let error = subscriber(&bad, log, None).err().unwrap();
    assert!(error.to_string().contains("info,="), "{error}");
    let otlp = Otlp { endpoint: "not an address".into(), sample_ratio: 1.0 };
    let error = exporter(&otlp, &config(Some(otlp.clone()))).err().unwrap();
    assert!(error.to_string().contains("not an address"), "{error}");
}
