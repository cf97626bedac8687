//! Methods that need no token: who may call them, how they are kept, and that there are no others.

use crate::services::Fakes;
use crate::world::{Answer, World, empty};
use api::method::METHODS;
use api::reference::v1::reference_service_server::ReferenceService;
use api::reference::v1::{
    Country, GetCountryRequest, GetCountryResponse, GetCurrencyRequest, GetCurrencyResponse,
    GetRiskListRequest, GetRiskListResponse, ListCountriesRequest, ListCountriesResponse,
    ListCurrenciesRequest, ListCurrenciesResponse, ListFxRatesRequest, ListFxRatesResponse,
    ListRiskListsRequest, ListRiskListsResponse,
};
use authn::Role;
use http::{Method, Request};
use riskmesh_core::{Error, ErrorCode};
use std::time::Duration;
use tonic::{Response, Status};

const IRELAND: &str = "/v1/reference/countries/IE";

#[tonic::async_trait]
impl ReferenceService for Fakes {
    async fn get_country(
        &self,
        request: tonic::Request<GetCountryRequest>,
    ) -> Result<Response<GetCountryResponse>, Status> {
        self.see(&request);
        let code = request.into_inner().code;
        if code != "IE" {
            return Err(Error::not_found(ErrorCode::CountryNotFound, "code", &code).into());
        }
        let country = Country { code, name: "Ireland".into(), ..Country::default() };
        let mut response = Response::new(GetCountryResponse { country: Some(country) });
        response.metadata_mut().insert("etag", "W/\"1\"".parse().unwrap());
        Ok(response)
    }

    async fn list_countries(
        &self,
        _: tonic::Request<ListCountriesRequest>,
    ) -> Result<Response<ListCountriesResponse>, Status> {
        Ok(Response::new(ListCountriesResponse::default()))
    }

    async fn list_currencies(
        &self,
        _: tonic::Request<ListCurrenciesRequest>,
    ) -> Result<Response<ListCurrenciesResponse>, Status> {
        Ok(Response::new(ListCurrenciesResponse::default()))
    }

    async fn get_currency(
        &self,
        _: tonic::Request<GetCurrencyRequest>,
    ) -> Result<Response<GetCurrencyResponse>, Status> {
        Ok(Response::new(GetCurrencyResponse::default()))
    }

    async fn list_fx_rates(
        &self,
        _: tonic::Request<ListFxRatesRequest>,
    ) -> Result<Response<ListFxRatesResponse>, Status> {
        Ok(Response::new(ListFxRatesResponse::default()))
    }

    async fn list_risk_lists(
        &self,
        _: tonic::Request<ListRiskListsRequest>,
    ) -> Result<Response<ListRiskListsResponse>, Status> {
        Ok(Response::new(ListRiskListsResponse::default()))
    }

    async fn get_risk_list(
        &self,
        _: tonic::Request<GetRiskListRequest>,
    ) -> Result<Response<GetRiskListResponse>, Status> {
        Ok(Response::new(GetRiskListResponse::default()))
    }
}

/// Asks as nobody, with these headers.
async fn ask(world: &World, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().version(http::Version::HTTP_2).method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(empty()).unwrap()).await
}

#[tokio::test]
async fn a_public_method_is_for_everybody_and_every_cache() {
    let world = World::new();
    for path in [IRELAND, "/api/v1/reference/countries/IE"] {
        let answer = ask(&world, Method::GET, path, &[]).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["name"]), (200, &"Ireland".into()));
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        assert_eq!(answer.header("surrogate-key"), "reference reference/countries");
        assert_eq!(answer.header("etag"), "W/\"1\"");
        assert_eq!(answer.header("vary"), "", "it depends on nothing that a caller sends");
        let head = ask(&world, Method::HEAD, path, &[]).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        for name in ["cache-control", "surrogate-key", "etag"] {
            assert_eq!(head.header(name), answer.header(name), "{name}");
        }
        for method in [Method::GET, Method::HEAD] {
            let known = ask(&world, method, path, &[("if-none-match", "\"0\", W/\"1\"")]).await;
            assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
            for name in ["cache-control", "surrogate-key", "etag"] {
                assert_eq!(known.header(name), answer.header(name), "{name}");
            }
        }
    }
    let missing = ask(&world, Method::GET, "/v1/reference/countries/XX", &[]).await;
    missing.fails(404, "COUNTRY_NOT_FOUND");
    assert_eq!((missing.header("cache-control"), missing.header("surrogate-key")), ("no-store", ""));
    let bad = ask(&world, Method::GET, "/v1/reference/countries?date=2026-02-30", &[]).await;
    assert_eq!(bad.fails(400, "INVALID_INPUT")["details"][0]["field"], "date");
}

#[tokio::test]
async fn a_token_that_is_sent_must_be_valid_and_needs_no_permission() {
    let world = World::new();
    for role in Role::ALL {
        let token = format!("Bearer {}", world.token(role, "anybody"));
        let answer = ask(&world, Method::GET, IRELAND, &[("authorization", &token)]).await;
        assert_eq!(answer.status, 200, "{role}");
    }
    for (sent, code) in [
        ("Bearer forged", "AUTH_TOKEN_INVALID"),
        ("Bearer ", "AUTH_TOKEN_INVALID"),
        ("Basic dXNlcjpwYXNz", "AUTH_TOKEN_MISSING"),
        ("", "AUTH_TOKEN_MISSING"),
    ] {
        ask(&world, Method::GET, IRELAND, &[("authorization", sent)]).await.fails(401, code);
    }
    let token = format!("Bearer {}", world.token(Role::Admin, "late"));
    world.clock.advance(Duration::from_hours(1));
    let late = ask(&world, Method::GET, IRELAND, &[("authorization", &token)]).await;
    late.fails(401, "AUTH_TOKEN_EXPIRED");
}

#[tokio::test]
async fn every_other_method_asks_for_a_token_on_every_way() {
    let world = World::new();
    for method in METHODS {
        // Over Connect every method has a path, streams and those without REST as well.
        let stream = method.client_streaming || method.server_streaming;
        let kind = if stream { "application/connect+json" } else { "application/json" };
        let connect = ask(&world, Method::POST, method.path, &[("content-type", kind)]).await;
        let unauthenticated = |answer: &Answer| {
            answer.status == 401 || String::from_utf8_lossy(&answer.body).contains("unauthenticated")
        };
        assert_eq!(unauthenticated(&connect), !method.public, "{} {connect:?}", method.path);
        let grpc = ask(
            &world,
            Method::POST,
            method.path,
            &[("content-type", "application/grpc"), ("te", "trailers")],
        );
        assert_eq!(grpc.await.header("grpc-status") == "16", !method.public, "{}", method.path);
    }
    let document = riskmesh_edge::openapi("v1").unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let public = path.starts_with("/v1/reference/");
        let path = path.replace(['{', '}'], "");
        for verb in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(verb.to_ascii_uppercase().as_bytes()).unwrap();
            let answer = ask(&world, method, &path, &[]).await;
            assert_eq!(answer.status != 401, public, "{verb} {path}");
        }
    }
}

#[tokio::test]
async fn who_shows_no_token_is_counted_by_address() {
    let world = World::with(|config| {
        config.rate_limit_per_minute = 2;
        config.plaintext_behind_proxy = true;
    });
    let from = |address: &'static str| [("x-forwarded-for", address)];
    for (address, status) in [
        ("192.0.2.1", 200),
        ("203.0.113.9, 192.0.2.1", 200),
        ("203.0.113.8, 192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 429),
    ] {
        let answer = ask(&world, Method::GET, IRELAND, &from(address)).await;
        assert_eq!(answer.status.as_u16(), status, "{address}");
        assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=2;w=60");
    }
    let token = format!("Bearer {}", world.token(Role::Admin, "client-1"));
    let known = [("x-forwarded-for", "192.0.2.1"), ("authorization", &token)];
    assert_eq!(ask(&world, Method::GET, IRELAND, &known).await.status, 200, "a token has its own quota");
}

#[tokio::test]
async fn the_address_is_the_connections_where_no_proxy_is_in_front() {
    let world = World::with(|config| config.rate_limit_per_minute = 2);
    let listening = world.listen().await;
    let mut statuses = Vec::new();
    for forged in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let stream = tokio::net::TcpStream::connect(listening.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(IRELAND).header("host", "api").header("x-forwarded-for", forged);
        statuses.push(sender.send_request(request.body(empty()).unwrap()).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
}
