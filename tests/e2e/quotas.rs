//! Quotas that processes share through a real Redis.

use crate::support::{Server, eventually};
use crate::world::copy;
use http::Method;
use riskmesh::http_client::Http;
use servers::Engine;

async fn status(server: &Server, token: &str) -> u16 {
    let mut http = Http::connect(server.edge, Some(token.to_owned())).await.unwrap();
    http.call(Method::GET, "/v1/clients", &[], None).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_count_one_quota_and_go_on_when_redis_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let redis =
        tokio::task::block_in_place(|| servers::Server::start(Engine::Redis, &dir.path().join("redis")));
    let redis = redis.unwrap();
    let config = dir.path().join("riskmesh.toml");
    let text =
        format!("[edge]\nreplicas = 2\n[redis]\naddress = \"{}\"\ntimeout = \"2s\"\n", redis.address());
    std::fs::write(&config, text).unwrap();
    let more = ["--no-sandbox", "--rate-limit-per-minute", "4", "--config", config.to_str().unwrap()];
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let one_server = Server::start(&one, &more);
    // The same issuer.
    copy(&one.join("keys"), &two.join("keys"));
    let two_server = Server::start(&two, &more);

    let token = one_server.api_client("busy", "acme", &["clients.read"]);
    for (number, server) in [&one_server, &two_server, &one_server, &two_server].into_iter().enumerate() {
        assert_eq!(status(server, &token).await, 200, "request {number}");
    }
    assert_eq!(status(&one_server, &token).await, 429);
    assert_eq!(status(&two_server, &token).await, 429);

    redis.kill().unwrap();
    assert_eq!(status(&two_server, &token).await, 429, "it is known for how long");
    let other = one_server.api_client("other", "acme", &["clients.read"]);
    for server in [&one_server, &two_server] {
        let statuses =
            [status(server, &other).await, status(server, &other).await, status(server, &other).await];
        assert_eq!(statuses, [200, 200, 429], "half of the quota each");
    }

    let again =
        tokio::task::block_in_place(|| servers::Server::start(Engine::Redis, &dir.path().join("redis")));
    let again = again.unwrap();
    let third = one_server.api_client("third", "acme", &["clients.read"]);
    // As soon as Redis is asked again, what one lets through the other counts.
    eventually("Redis is used again", async || {
        let mut http = Http::connect(one_server.edge, Some(third.clone())).await.unwrap();
        let answer = http.call(Method::GET, "/v1/clients", &[], None).await.unwrap();
        let policy =
            answer.headers.get("ratelimit-policy").and_then(|value| value.to_str().ok()).unwrap_or_default();
        policy.contains("q=4")
    })
    .await;
    again.stop().unwrap();
}
