//! What operators and probes read.

use crate::support::shared;
use http::Method;
use riskmesh::http_client::Http;

#[tokio::test]
async fn health_and_metrics_need_no_token() {
    let mut admin = Http::connect(shared().admin, None).await.unwrap();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(admin.call(Method::GET, path, &[], None).await.unwrap().status, 200, "{path}");
    }
    let metrics = admin.call(Method::GET, "/metrics", &[], None).await.unwrap();
    let text = String::from_utf8_lossy(&metrics.bytes).into_owned();
    assert!(text.contains("riskmesh_bus_lag_records{") && text.trim_end().ends_with("# EOF"), "{text}");
}

#[tokio::test]
async fn the_api_is_not_on_the_admin_port() {
    let mut admin = Http::connect(shared().admin, None).await.unwrap();
    assert_eq!(admin.call(Method::GET, "/v1/clients", &[], None).await.unwrap().status, 404);
}
