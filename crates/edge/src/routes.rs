//! What the edge knows of each method before the first request comes: headers, limits and names, made once from the contract.

use crate::config::Config;
use api::Method;
use api::method::{Cache, METHODS};
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost_reflect::{FieldDescriptor, Kind};
use riskmesh_core::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use transcode::openapi::{Binding, Body};

/// What RFC 3986 leaves unreserved stays as it is in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One way to reach a method: a path of REST, or gRPC.
#[derive(Debug)]
pub(crate) struct Route {
    /// The method.
    pub(crate) method: &'static Method,
    /// The name in logs: the path in JSON names, or the gRPC path.
    pub(crate) name: Box<str>,
    /// The proto's path template; the gRPC path for gRPC.
    template: Box<str>,
    /// The request's field that is the HTTP body, in JSON.
    pub(crate) body_field: Option<Box<str>>,
    /// The fields of a resource that a PATCH of it does not have, in JSON: they stay as they are.
    pub(crate) unchangeable: Vec<Box<str>>,
    /// The most bytes of a request's body; `None` for client streams, which have no end.
    pub(crate) body_limit: Option<usize>,
    /// The longest that a call may take.
    pub(crate) timeout: Duration,
    /// Set when a newer method takes its place.
    pub(crate) deprecated: Option<Deprecated>,
    /// The field of the answer that names what was created, in JSON: the last segment of its `Location`.
    pub(crate) created: Option<Box<str>>,
    /// What shared caches know the answers by: `reference reference/countries`; `None` where they keep none.
    pub(crate) surrogate_keys: Option<HeaderValue>,
}

/// How callers learn that a method goes away.
#[derive(Debug)]
pub(crate) struct Deprecated {
    /// `@1793491200` (RFC 9745).
    pub(crate) since: HeaderValue,
    /// `Mon, 01 Nov 2027 00:00:00 GMT` (RFC 8594).
    pub(crate) sunset: HeaderValue,
    /// The successor's path: texts, and places of path variables.
    successor: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Variable(usize),
}

impl Deprecated {
    fn new(method: &Method, variables: &[&str]) -> Option<Self> {
        let deprecation = method.deprecation?;
        let since = Timestamp::parse(deprecation.since)?;
        let sunset = jiff::Timestamp::from_second(Timestamp::parse(deprecation.sunset)?.seconds()).ok()?;
        let mut successor = Vec::new();
        for (index, part) in deprecation.successor.split(['{', '}']).enumerate() {
            // Every other part is inside braces.
            let place = variables.iter().position(|name| *name == part);
            match (index % 2, place) {
                (0, _) => successor.push(Piece::Text(part.into())),
                (_, Some(place)) => successor.push(Piece::Variable(place)),
                // A successor that needs what this path does not have cannot be linked to.
                (_, None) => {
                    successor.clear();
                    break;
                }
            }
        }
        Some(Self {
            since: HeaderValue::from_str(&format!("@{}", since.seconds())).ok()?,
            sunset: HeaderValue::from_str(&sunset.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()?,
            successor,
        })
    }

    /// `</v2/analytics/7>; rel="successor-version"`, with the values that the request's path binds.
    pub(crate) fn link(&self, prefix: &str, bindings: &[String]) -> Option<HeaderValue> {
        if self.successor.is_empty() {
            return None;
        }
        let mut link = format!("<{prefix}");
        for piece in &self.successor {
            match piece {
                Piece::Text(text) => link.push_str(text),
                Piece::Variable(place) => link.extend(utf8_percent_encode(bindings.get(*place)?, SEGMENT)),
            }
        }
        link.push_str(">; rel=\"successor-version\"");
        HeaderValue::from_str(&link).ok()
    }
}

/// `Location` of what was created: the path that was asked, and its id.
pub(crate) fn location(prefix: &str, path: &str, id: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{prefix}{path}/{}", utf8_percent_encode(id, SEGMENT))).ok()
}

/// Every route.
#[derive(Debug)]
pub(crate) struct Routes {
    /// By gRPC path: the route over gRPC first, then those of REST.
    by_method: HashMap<&'static str, Vec<Arc<Route>>>,
}

impl Routes {
    /// The routes of the contract.
    pub(crate) fn new(bindings: &[Binding], config: &Config) -> Self {
        let mut by_method: HashMap<&'static str, Vec<Arc<Route>>> = HashMap::new();
        for method in METHODS {
            let routes = by_method.entry(method.path).or_default();
            routes.push(Arc::new(route(method, None, None, config)));
            let full_name = method.path.trim_start_matches('/').replace('/', ".");
            for binding in bindings.iter().filter(|binding| binding.rpc().full_name() == full_name) {
                let item = |other: &&Binding| {
                    let inside =
                        other.path().strip_prefix(binding.path()).and_then(|rest| rest.strip_prefix("/{"));
                    other.method() == "GET"
                        && inside.is_some_and(|rest| rest.find('}') == Some(rest.len() - 1))
                };
                let created = bindings.iter().find(item).filter(|_| method.success_status == 201);
                let created =
                    created.and_then(|item| item.variables().last()).map(|variable| name_of(variable));
                routes.push(Arc::new(route(method, Some(binding), created, config)));
            }
        }
        Self { by_method }
    }

    /// The route of a gRPC path.
    pub(crate) fn grpc(&self, path: &str) -> Option<&Arc<Route>> {
        self.by_method.get(path)?.first()
    }

    /// The route of a method by one of its templates.
    pub(crate) fn rest(&self, path: &str, template: &str) -> Option<&Arc<Route>> {
        self.by_method.get(path)?.iter().find(|route| *route.template == *template)
    }
}

/// The JSON name of what a path variable binds.
fn name_of(variable: &[FieldDescriptor]) -> &str {
    variable.last().map_or("", FieldDescriptor::json_name)
}

/// The JSON name of the field that is the body.
fn body_field(binding: &Binding) -> Option<&str> {
    match binding.body() {
        Body::Field(field) => Some(field.json_name()),
        Body::Absent | Body::Whole => None,
    }
}

fn unchangeable(binding: &Binding) -> Vec<Box<str>> {
    let resource = binding.response_body().map(FieldDescriptor::kind);
    let patch = match binding.body() {
        Body::Field(field) if binding.method() == "PATCH" => Some(field.kind()),
        _ => None,
    };
    let (Some(Kind::Message(resource)), Some(Kind::Message(patch))) = (resource, patch) else {
        return Vec::new();
    };
    let stays = |field: &FieldDescriptor| patch.get_field_by_name(field.name()).is_none();
    resource.fields().filter(stays).map(|field| field.json_name().into()).collect()
}

fn route(
    method: &'static Method,
    binding: Option<&Binding>,
    created: Option<&str>,
    config: &Config,
) -> Route {
    let variables: Vec<&str> = binding.map_or_else(Vec::new, |binding| {
        binding.variables().iter().map(|variable| name_of(variable)).collect()
    });
    // AIP-231 and its neighbours: batch methods are called so, and their bodies are longer.
    let body_limit =
        if method.name.starts_with("Batch") { config.batch_body_bytes } else { config.body_bytes };
    Route {
        method,
        name: binding.map_or(method.path, Binding::path).into(),
        template: binding.map_or(method.path, Binding::template).into(),
        body_field: binding.and_then(body_field).map(Into::into),
        unchangeable: binding.map_or_else(Vec::new, unchangeable),
        body_limit: (!method.client_streaming).then_some(body_limit),
        timeout: method.timeout().unwrap_or(config.request_timeout),
        deprecated: Deprecated::new(method, &variables),
        created: created.map(Into::into),
        surrogate_keys: surrogate_keys(method, binding),
    }
}

/// The resource and the collection in it, of what every cache may keep: `/v1/reference/countries/{code}` is
/// `reference reference/countries`. Over Connect it is the resource alone: `riskmesh.reference.v1.ReferenceService` is `reference`.
fn surrogate_keys(method: &Method, binding: Option<&Binding>) -> Option<HeaderValue> {
    if method.cache != Cache::Public {
        return None;
    }
    let mut parts = binding.map_or("", Binding::path).split('/').skip(2);
    let keys = match (parts.next(), parts.next()) {
        (Some(resource), Some(collection)) => format!("{resource} {resource}/{collection}"),
        (Some(resource), None) => resource.to_owned(),
        _ => method.service.split('.').nth(1)?.to_owned(),
    };
    HeaderValue::from_str(&keys).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use prost_reflect::DescriptorPool;

    fn routes() -> Routes {
        let pool = DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap();
        let transcoder = crate::contract::builder(pool).build(()).unwrap();
        Routes::new(&transcoder.bindings(), &Config::default())
    }

    #[test]
    fn a_deprecated_route_links_its_successor_with_the_callers_ids() {
        let routes = routes();
        let path = "/riskmesh.analytics.v1.AnalyticsService/GetAnalytics";
        for template in ["/v1/analytics/{client_id}", "/v1/clients/{client_id}/analytics"] {
            let route = routes.rest(path, template).unwrap();
            let deprecated = route.deprecated.as_ref().unwrap();
            assert_eq!(deprecated.since, "@1793491200");
            assert_eq!(deprecated.sunset, "Mon, 01 Nov 2027 00:00:00 GMT");
            let link = deprecated.link("/api", &["4 2/>".to_owned()]).unwrap();
            assert_eq!(link, "</api/v2/analytics/4%202%2F%3E>; rel=\"successor-version\"");
        }
        let over_grpc = routes.grpc(path).unwrap().deprecated.as_ref().unwrap();
        assert_eq!(over_grpc.link("", &[]), None);
    }

    #[test]
    fn every_deprecation_of_the_contract_makes_headers() {
        for method in METHODS {
            let route = routes();
            let route = route.grpc(method.path).unwrap();
            assert_eq!(route.deprecated.is_some(), method.deprecation.is_some(), "{}", method.path);
        }
    }

    #[test]
    fn what_is_created_has_a_place() {
        let routes = routes();
        let created = |path, template| routes.rest(path, template).unwrap().created.clone();
        assert_eq!(
            created("/riskmesh.clients.v1.ClientsService/CreateClient", "/v1/clients").as_deref(),
            Some("clientId")
        );
        assert_eq!(
            created("/riskmesh.clients.v1.AccountsService/CreateAccount", "/v1/clients/{client_id}/accounts")
                .as_deref(),
            Some("accountId")
        );
        assert_eq!(created("/riskmesh.clients.v1.ClientsService/GetClient", "/v1/clients/{client_id}"), None);
    }

    #[test]
    fn what_every_cache_may_keep_has_keys_to_forget_it_by() {
        let routes = routes();
        let path = "/riskmesh.reference.v1.ReferenceService/GetCountry";
        let keys = |route: &Arc<Route>| route.surrogate_keys.clone();
        let rest = keys(routes.rest(path, "/v1/reference/countries/{code}").unwrap()).unwrap();
        assert_eq!(rest, "reference reference/countries");
        assert_eq!(keys(routes.grpc(path).unwrap()).unwrap(), "reference");
        for method in METHODS {
            let public = method.cache == Cache::Public;
            assert_eq!(keys(routes.grpc(method.path).unwrap()).is_some(), public, "{}", method.path);
        }
    }

    #[test]
    fn batches_may_be_longer_and_streams_have_no_end() {
        let (routes, config) = (routes(), Config::default());
        let limit = |path| routes.grpc(path).unwrap().body_limit;
        assert_eq!(limit("/riskmesh.clients.v1.ClientsService/CreateClient"), Some(config.body_bytes));
        let batch = "/riskmesh.transactions.v1.TransactionsService/BatchCreateTransactions";
        assert_eq!(limit(batch), Some(config.batch_body_bytes));
        assert_eq!(limit("/riskmesh.transactions.v1.TransactionsService/IngestTransactions"), None);
    }
}
