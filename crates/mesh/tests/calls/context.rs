//! What a call carries on: its trace and its request id; and what must stay behind.

use crate::over_both;
use crate::world::{Wire, World, analytics, get, scan, score, transactions};
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use api::transactions::v1::{IngestTransactionsRequest, ScanTransactionsResponse};
use authn::Role;
use futures::StreamExt as _;
use mesh::{Inbound, OnBehalf};
use riskmesh_core::TenantId;
use std::sync::{Arc, Mutex};
use telemetry::{RequestId, TraceContext, trace};
use tonic::Request;

fn edge() -> Inbound {
    Inbound {
        deadline: None,
        authorization: None,
        trace: TraceContext::root(true).with_state("vendor=1"),
        request_id: RequestId::accept("req-1").unwrap(),
    }
}

over_both! {
    async fn one_trace_and_one_request_id_span_all_hops(wire: Wire) {
        let world = World::new();
        let seen: Arc<Mutex<Vec<Inbound>>> = Arc::default();
        let note = Arc::clone(&seen);
        let inner = analytics(move |_| {
            let inbound = Inbound::current().unwrap();
            assert_eq!(trace::current(), Some(inbound.trace.clone()));
            note.lock().unwrap().push(inbound);
            async { Ok(1) }
        });
        let onward = world.channel_of("first", wire, world.serve("second", inner)).await;
        let note = Arc::clone(&seen);
        let outer = analytics(move |request: Request<_>| {
            note.lock().unwrap().push(Inbound::current().unwrap());
            let onward = onward.clone();
            async move { score(&onward, Request::new(request.into_inner())).await }
        });
        let channel = world.channel(wire, world.serve("first", outer)).await;
        let edge = edge();
        edge.clone().scope(score(&channel, world.request(get("1")))).await.unwrap();

        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 2);
        for inbound in seen.iter() {
            assert_eq!(inbound.trace.trace_id, edge.trace.trace_id);
            assert!(inbound.trace.sampled);
            assert_eq!(inbound.trace.state(), Some("vendor=1"));
            assert_eq!(inbound.request_id, edge.request_id);
        }
        assert_ne!(seen[0].trace.span_id, seen[1].trace.span_id);
        assert!(world.metrics.encode().contains(&format!("trace_id=\"{}\"", edge.trace.trace_id)), "exemplars");
    }

    async fn a_streams_source_runs_in_the_context_of_its_call(wire: Wire) {
        let world = World::new();
        let seen: Arc<Mutex<Vec<Option<RequestId>>>> = Arc::default();
        let note = Arc::clone(&seen);
        let routes = transactions(move || {
            let note = Arc::clone(&note);
            futures::stream::iter(0..3)
                .map(move |_| {
                    note.lock().unwrap().push(Inbound::current().map(|inbound| inbound.request_id));
                    Ok(ScanTransactionsResponse::default())
                })
                .boxed()
        });
        let channel = world.channel_of("analytics", wire, world.serve("transactions", routes)).await;
        let mut request = Request::new(scan());
        request.extensions_mut().insert(OnBehalf(TenantId::new("sandbox").unwrap()));
        let mut client = TransactionsServiceClient::new(channel);
        let stream = edge().scope(client.scan_transactions(request)).await.unwrap().into_inner();
        assert_eq!(stream.count().await, 3);
        assert_eq!(*seen.lock().unwrap(), [const { None::<RequestId> }; 3].map(|_| RequestId::accept("req-1")));
    }

    async fn a_callers_own_stream_is_polled_in_the_callers_context(wire: Wire) {
        let world = World::new();
        let routes = transactions(|| futures::stream::empty().boxed());
        let channel = world.channel(wire, world.serve("transactions", routes)).await;
        let caller = edge();
        let span = caller.trace.span_id;
        let batches = futures::stream::iter(0..3).map(move |_| {
            // Over the network another task polls it, outside of any call; in process it must not be the handler's.
            if let Some(inbound) = Inbound::current() {
                assert_eq!(inbound.trace.span_id, span);
            }
            IngestTransactionsRequest { transactions: vec![entry()], create_missing_accounts: false }
        });
        let request = world.request_as(Role::Admin, batches);
        let mut client = TransactionsServiceClient::new(channel);
        let answer = caller.scope(client.ingest_transactions(request)).await.unwrap().into_inner();
        assert_eq!(answer.created, 3);
    }
}

#[derive(Clone)]
struct Luggage;

over_both! {
    async fn extensions_stay_where_they_were_put(wire: Wire) {
        let world = World::new();
        let routes = analytics(|request: Request<_>| async move {
            assert!(request.extensions().get::<Luggage>().is_none());
            Ok(1)
        });
        let channel = world.channel(wire, world.serve("analytics", routes)).await;
        let mut request = world.request(get("1"));
        request.extensions_mut().insert(Luggage);
        assert_eq!(score(&channel, request).await.unwrap(), 1);
    }
}

fn entry() -> api::transactions::v1::Transaction {
    api::transactions::v1::Transaction {
        transaction_id: "t-1".into(),
        account_id: "0000000001".into(),
        direction: api::transactions::v1::Direction::Debit.into(),
        amount: "1.00".into(),
        currency: "EUR".into(),
        booked_at: Some(api::time::to_proto(riskmesh_core::Timestamp(0))),
        ..Default::default()
    }
}
