//! In whose name a call is made, and that nobody gets in without one.

use crate::over_both;
use crate::world::{Wire, World, analytics, code, get, reference, scan, score, transactions};
use api::reference::v1::GetCountryRequest;
use api::reference::v1::reference_service_client::ReferenceServiceClient;
use api::transactions::v1::ScanTransactionsResponse;
use api::transactions::v1::transactions_service_client::TransactionsServiceClient;
use authn::{Claims, Role};
use futures::StreamExt as _;
use mesh::{Inbound, OnBehalf};
use riskmesh_core::{ErrorCode, TenantId};
use std::sync::{Arc, Mutex};
use tonic::Request;

fn tenant() -> TenantId {
    TenantId::new("sandbox").unwrap()
}

over_both! {
    async fn a_call_without_a_token_is_rejected_at_the_service(wire: Wire) {
        let world = World::new();
        let channel = world.channel(wire, world.serve("analytics", analytics(|_| async { Ok(1) }))).await;
        let status = score(&channel, Request::new(get("1"))).await.unwrap_err();
        assert_eq!(code(&status), ErrorCode::TokenMissing);
        assert!(
            world.metrics.encode().contains("riskmesh_server_requests_total{role=\"analytics\""),
            "the service said so, not the client"
        );
    }

    async fn a_public_method_needs_no_token_and_takes_no_bad_one(wire: Wire) {
        let world = World::new();
        let channel = world.channel(wire, world.serve("reference", reference())).await;
        let ask = |authorization: Option<String>| {
            let mut request = Request::new(GetCountryRequest { code: "IE".into(), date: None });
            if let Some(value) = authorization {
                request.metadata_mut().insert("authorization", value.parse().unwrap());
            }
            let mut client = ReferenceServiceClient::new(channel.clone());
            async move { client.get_country(request).await.map(drop).map_err(|status| code(&status)) }
        };
        assert_eq!(ask(None).await, Ok(()));
        let auditor = world.bearer(Role::Auditor).to_str().unwrap().to_owned();
        assert_eq!(ask(Some(auditor)).await, Ok(()));
        assert_eq!(ask(Some("Bearer forged".into())).await, Err(ErrorCode::TokenInvalid));
        assert_eq!(ask(Some("Basic dXNlcjpwYXNz".into())).await, Err(ErrorCode::TokenMissing));
    }

    async fn claims_in_the_extensions_of_a_request_are_not_believed(wire: Wire) {
        let world = World::new();
        let channel = world.channel(wire, world.serve("analytics", analytics(|_| async { Ok(1) }))).await;
        let mut forged = Request::new(get("1"));
        forged.extensions_mut().insert(Arc::new(Claims {
            sub: "admin".into(),
            user_id: None,
            role: Role::Admin,
            tenant: tenant(),
            scope: Vec::new(),
            client_id: None,
            iss: "test".into(),
            aud: vec!["riskmesh".into()],
            iat: 0,
            nbf: 0,
            exp: i64::MAX,
            jti: "x".into(),
        }));
        assert_eq!(code(&score(&channel, forged).await.unwrap_err()), ErrorCode::TokenMissing);
    }

    async fn a_role_that_may_not_call_the_method_is_denied(wire: Wire) {
        let world = World::new();
        let channel = world.channel(wire, world.serve("analytics", analytics(|_| async { Ok(1) }))).await;
        for (role, allowed) in [(Role::Analyst, true), (Role::Auditor, false), (Role::Client, false)] {
            let outcome = score(&channel, world.request_as(role, get("1"))).await;
            match outcome {
                Ok(_) => assert!(allowed, "{role}"),
                Err(status) => assert_eq!((code(&status), allowed), (ErrorCode::PermissionDenied, false), "{role}"),
            }
        }
    }

    async fn a_handlers_calls_carry_the_callers_token(wire: Wire) {
        let world = World::new();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let note = Arc::clone(&seen);
        let inner = analytics(move |request| {
            note.lock().unwrap().push(authn::caller(&request).unwrap().sub.clone());
            async { Ok(1) }
        });
        let onward = world.channel_of("first", wire, world.serve("second", inner)).await;
        let outer = analytics(move |request: Request<_>| {
            let onward = onward.clone();
            async move { score(&onward, Request::new(request.into_inner())).await }
        });
        let channel = world.channel(wire, world.serve("first", outer)).await;
        score(&channel, world.request_as(Role::Reviewer, get("1"))).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), ["reviewer-7"]);
        // Outside of a call there is no token to carry.
        assert!(Inbound::current().is_none());
    }

    async fn a_background_call_is_made_with_the_workloads_own_token(wire: Wire) {
        let world = World::new();
        let routes = || transactions(|| futures::stream::iter([Ok(ScanTransactionsResponse::default())]).boxed());
        for (workload, allowed) in [("analytics", true), ("webhooks", false)] {
            let channel = world.channel_of(workload, wire, world.serve("transactions", routes())).await;
            let mut request = Request::new(scan());
            request.extensions_mut().insert(OnBehalf(tenant()));
            let outcome = TransactionsServiceClient::new(channel).scan_transactions(request).await;
            match outcome {
                Ok(answer) => {
                    assert!(allowed, "{workload}");
                    assert_eq!(answer.into_inner().collect::<Vec<_>>().await.len(), 1);
                }
                Err(status) => {
                    assert_eq!((code(&status), allowed), (ErrorCode::PermissionDenied, false), "{workload}");
                }
            }
        }
    }

    async fn a_handler_may_call_as_its_workload_what_its_caller_may_not(wire: Wire) {
        let world = World::new();
        let routes = transactions(|| futures::stream::iter([Ok(ScanTransactionsResponse::default())]).boxed());
        let onward = world.channel_of("analytics", wire, world.serve("transactions", routes)).await;
        let outer = analytics(move |request: Request<_>| {
            let mut client = TransactionsServiceClient::new(onward.clone());
            async move {
                let denied = client.scan_transactions(Request::new(scan())).await.map(drop).unwrap_err();
                assert_eq!(code(&denied), ErrorCode::PermissionDenied, "with the caller's token");
                let mut own = Request::new(scan());
                own.extensions_mut().insert(OnBehalf(authn::caller(&request)?.tenant.clone()));
                let answer = client.scan_transactions(own).await?;
                Ok(i32::try_from(answer.into_inner().count().await).unwrap())
            }
        });
        let channel = world.channel(wire, world.serve("analytics", outer)).await;
        assert_eq!(score(&channel, world.request(get("1"))).await.unwrap(), 1);
    }
}
