//! A handler that panics is one failed call.

use crate::over_both;
use crate::world::{Wire, World, analytics, code, get, scan, score, transactions};
use api::transactions::v1::ScanTransactionsResponse;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use futures::StreamExt as _;
use mesh::OnBehalf;
use riskmesh_core::{ErrorCode, TenantId};
use tonic::Request;

over_both! {
    async fn a_panic_is_internal_and_the_connection_lives(wire: Wire) {
        let world = World::new();
        let routes = analytics(|request: Request<api::analytics::v1::GetAnalyticsRequest>| async move {
            assert_ne!(request.get_ref().client_id, "13", "secret detail");
            Ok(1)
        });
        let channel = world.channel(wire, world.serve("analytics", routes)).await;
        let others = (0..8).map(|_| score(&channel, world.request(get("1"))));
        let (panicked, others) =
            tokio::join!(score(&channel, world.request(get("13"))), futures::future::join_all(others));
        let status = panicked.unwrap_err();
        assert_eq!(code(&status), ErrorCode::Internal);
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        assert_eq!(score(&channel, world.request(get("1"))).await.unwrap(), 1);
        let metrics = world.metrics.encode();
        for side in ["server", "client"] {
            let line = metrics.lines().find(|line| {
                line.starts_with(&format!("riskmesh_{side}_requests_total")) && line.contains("code=\"INTERNAL\"")
            });
            assert!(line.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
        }
        assert!(metrics.lines().filter(|line| line.contains("_in_flight{")).all(|line| line.ends_with(" 0")));
    }

    async fn a_stream_that_panics_ends_as_internal(wire: Wire) {
        let world = World::new();
        let routes = transactions(|| {
            let mut polls = 0;
            futures::stream::repeat_with(move || {
                polls += 1;
                assert!(polls < 3, "secret detail");
                Ok(ScanTransactionsResponse::default())
            })
            .boxed()
        });
        let channel = world.channel_of("analytics", wire, world.serve("transactions", routes)).await;
        let mut request = Request::new(scan());
        request.extensions_mut().insert(OnBehalf(TenantId::new("sandbox").unwrap()));
        let stream =
            TransactionsServiceClient::new(channel).scan_transactions(request).await.unwrap().into_inner();
        let messages: Vec<_> = stream.collect().await;
        let status = messages.last().unwrap().as_ref().unwrap_err();
        assert_eq!(code(status), ErrorCode::Internal);
        assert!(!format!("{status:?}").contains("secret"), "{status:?}");
    }
}
