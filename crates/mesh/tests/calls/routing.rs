//! Which service a path leads to, and which may be called by anybody.

use crate::over_both;
use crate::world::{Wire, World, analytics, get};
use authn::Role;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use mesh::{Directory, Routed};
use std::convert::Infallible;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

/// A service of this name that answers everything with OK.
macro_rules! stub {
    ($name:ident, $service:literal) => {
        #[derive(Clone)]
        struct $name;

        impl NamedService for $name {
            const NAME: &'static str = $service;
        }

        impl Service<Request<Body>> for $name {
            type Response = Response<Body>;
            type Error = Infallible;
            type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), Infallible>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: Request<Body>) -> Self::Future {
                std::future::ready(Ok(Status::ok("").into_http()))
            }
        }
    };
}
stub!(Health, "grpc.health.v1.Health");
stub!(Unlisted, "grpc.health.v1.HealthX");

fn request(path: &str) -> Request<Body> {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/grpc");
    request.header("te", "trailers").body(Body::empty()).unwrap()
}

async fn grpc_code<S>(service: S, request: Request<Body>) -> Code
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let in_headers = Status::from_header_map(response.headers());
    let collected = response.into_body().collect().await.unwrap();
    let in_trailers = collected.trailers().and_then(Status::from_header_map);
    in_headers.or(in_trailers).unwrap().code()
}

over_both! {
    async fn only_listed_services_are_open_to_everybody(wire: Wire) {
        let world = World::new();
        let routes = Routes::new(Health).add_service(Unlisted);
        let channel = world.channel(wire, world.serve("edge", routes)).await;
        assert_eq!(grpc_code(channel.clone(), request("/grpc.health.v1.Health/Check")).await, Code::Ok);
        for path in ["/grpc.health.v1.HealthX/Check", "/grpc.health.v1.Health", "/", "/a/b"] {
            let code = grpc_code(channel.clone(), request(path)).await;
            assert_eq!(code, Code::Unauthenticated, "{path}");
        }
        let mut outside = request("/grpc.health.v1.HealthX/Check");
        outside.headers_mut().insert(AUTHORIZATION, world.bearer(Role::Admin));
        assert_eq!(grpc_code(channel, outside).await, Code::Unimplemented, "it is not in the contract");
        assert!(!world.metrics.encode().contains("HealthX"), "a stranger's path is no label");
    }

    async fn a_path_leads_to_the_service_it_names(wire: Wire) {
        let world = World::new();
        let channel = world.channel(wire, world.serve("analytics", analytics(|_| async { Ok(7) }))).await;
        let routed = Routed::new(Directory::default().with(["riskmesh.analytics.v1.AnalyticsService"], &channel));
        assert_eq!(routed.directory().services(), ["riskmesh.analytics.v1.AnalyticsService"]);

        let mut client =
            api::analytics::v1::analytics_service_client::AnalyticsServiceClient::new(routed.clone());
        let answer = client.get_analytics(world.request(get("1"))).await.unwrap().into_inner();
        assert_eq!(answer.analytics.unwrap().risk_score, 7);

        for path in [
            "/riskmesh.analytics.v2.AnalyticsService/GetAnalytics",
            "/riskmesh.analytics.v1.AnalyticsServiceX/GetAnalytics",
            "/riskmesh.analytics.v1.AnalyticsService",
            "/",
        ] {
            assert_eq!(grpc_code(routed.clone(), request(path)).await, Code::Unimplemented, "{path}");
        }
    }
}
