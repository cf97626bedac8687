//! What operators and probes read.

use crate::support::{eventually, shared};
use http::Method;
use riskmesh::http_client::Http;

#[tokio::test]
async fn health_and_metrics_need_no_token() {
    let mut admin = Http::connect(shared().admin, None).await.unwrap();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(admin.call(Method::GET, path, &[], None).await.unwrap().status, 200, "{path}");
    }
    assert!(metrics(&mut admin).await.trim_end().ends_with("# EOF"));
}

async fn metrics(admin: &mut Http) -> String {
    let metrics = admin.call(Method::GET, "/metrics", &[], None).await.unwrap();
    String::from_utf8_lossy(&metrics.bytes).into_owned()
}

#[tokio::test]
async fn the_lag_of_each_group_is_shown_by_topic_and_partition() {
    for topic in [bus::topic::TRANSACTIONS, bus::topic::RISK_EVENTS] {
        for partition in 0..topic.partitions {
            let labels = format!("group=\"analytics\",topic=\"{}\",partition=\"{partition}\"", topic.name);
            let line = format!("riskmesh_bus_lag_records{{{labels}}} ");
            eventually(&line, async || {
                let mut admin = Http::connect(shared().admin, None).await.unwrap();
                metrics(&mut admin).await.contains(&line)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn the_api_is_not_on_the_admin_port() {
    let mut admin = Http::connect(shared().admin, None).await.unwrap();
    assert_eq!(admin.call(Method::GET, "/v1/clients", &[], None).await.unwrap().status, 404);
}
