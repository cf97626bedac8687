//! What operators and probes read, on a listener of its own: metrics and health. No token, so never on a public address.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use telemetry::{Metrics, metrics};

/// Whether the process is ready for requests; clones share it. Not ready until somebody says so.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it: true when everything is up, false when the process is to stop.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// `/metrics` (OpenMetrics), `/livez` (200 while the process answers), `/readyz` (200 when ready, else 503).
pub fn admin(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route(
            "/metrics",
            get(async |State(metrics): State<Metrics>| {
                ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
            }),
        )
        .with_state(metrics)
        .route("/livez", get("ok\n"))
        .merge(Router::new().route("/readyz", get(readyz)).with_state(readiness))
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    if readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    async fn get(router: &Router, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let content_type =
            response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_is_what_was_said_and_alive_is_always() {
        let readiness = Readiness::new();
        let router = admin(Metrics::new(), readiness.clone());
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        readiness.set(true);
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::OK);
        readiness.set(false);
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        let metrics = Metrics::new();
        metrics.counter("things", "Things").with(&[("kind", "good")]).inc();
        let (status, content_type, text) = get(&admin(metrics, Readiness::new()), "/metrics").await;
        assert_eq!((status, content_type.as_str()), (StatusCode::OK, metrics::CONTENT_TYPE));
        assert!(
            text.contains("riskmesh_things_total{kind=\"good\"} 1") && text.ends_with("# EOF\n"),
            "{text}"
        );
    }
}
