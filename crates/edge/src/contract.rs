//! The contract as the transcoder is told of it.

use api::Method;
use api::method::Cache;
use http::{HeaderValue, StatusCode};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use transcode::{Builder, Extensions, FieldBehavior, MethodPolicy, PrintOptions, Resume, Transcoder};

/// A transcoder's start: what every use of the contract has in common.
pub(crate) fn builder(pool: DescriptorPool) -> Builder {
    let services: Vec<String> = pool.services().map(|service| service.full_name().to_owned()).collect();
    Transcoder::builder(pool)
        .services(services)
        .extensions(Extensions {
            enum_spelling: Some("riskmesh.options.v1.spelling".into()),
            number: Some("riskmesh.options.v1.number".into()),
            decimal: Some("riskmesh.options.v1.decimal".into()),
            ..Extensions::default()
        })
        // A score of 0 is a score: what has a value is in the answer.
        .print_options(PrintOptions {
            always_print_primitive_fields: true,
            always_print_empty_lists: true,
            ..PrintOptions::default()
        })
        // What is required or must not change the services check: for every protocol, all fields at once, and knowing the
        // values that are there.
        .field_behavior(FieldBehavior { output_only: true, ..FieldBehavior::IGNORED })
        // An answer has the schema that its document tells.
        .partial_responses(false)
        .expose_metadata(|name| matches!(name.as_str(), "etag" | "location" | "idempotent-replayed"))
        .success_status(success_status)
        .resume(resume)
        .policy(policy)
}

/// What the contract's options say of a method.
pub(crate) fn method(rpc: &MethodDescriptor) -> Option<&'static Method> {
    Method::find(&format!("/{}/{}", rpc.parent_service().full_name(), rpc.name()))
}

/// The status of success that the contract states.
fn success_status(rpc: &MethodDescriptor) -> StatusCode {
    method(rpc).and_then(|method| StatusCode::from_u16(method.success_status).ok()).unwrap_or(StatusCode::OK)
}

/// How a stream goes on after it broke off: its messages say which event they are, and its request after which one to go on.
pub(crate) fn resume(rpc: &MethodDescriptor) -> Option<Resume> {
    let resume = Resume { event_id: "event_id".into(), resume_from: "after".into() };
    let told = rpc.output().get_field_by_name(&resume.event_id).is_some();
    let taken = rpc.input().get_field_by_name(&resume.resume_from).is_some();
    (rpc.is_server_streaming() && told && taken).then_some(resume)
}

/// What the contract says of caches; what goes away is told on answers of every kind (see `headers`).
fn policy(rpc: &MethodDescriptor) -> MethodPolicy {
    let cache = method(rpc).map_or(Cache::NoStore, |method| method.cache);
    let cache_control = HeaderValue::from_static(match cache {
        Cache::NoStore => "no-store",
        Cache::Revalidate => "private, no-cache",
        Cache::Public => "public, max-age=300",
    });
    MethodPolicy { cache_control: Some(cache_control), ..MethodPolicy::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use prost_reflect::FieldDescriptor;
    use transcode::openapi::{Binding, Body};

    fn of(method: &str) -> Vec<Binding> {
        let pool = DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap();
        let mut bindings = builder(pool).build(()).unwrap().bindings();
        bindings.retain(|binding| binding.rpc().full_name() == method);
        bindings
    }

    #[test]
    fn a_path_is_told_in_json_names() {
        let update = of("riskmesh.clients.v1.AccountsService.UpdateAccount");
        assert_eq!(update[0].template(), "/v1/clients/{client_id}/accounts/{account.account_id}");
        assert_eq!(update[0].path(), "/v1/clients/{clientId}/accounts/{accountId}");
        assert!(matches!(update[0].body(), Body::Field(field) if field.json_name() == "account"));
        let names: Vec<&str> = update[0].variables()[1].iter().map(FieldDescriptor::name).collect();
        assert_eq!(names, ["account", "account_id"]);
    }

    #[test]
    fn additional_bindings_count_too() {
        let get = of("riskmesh.analytics.v2.AnalyticsService.GetAnalytics");
        let paths: Vec<_> = get.iter().map(Binding::path).collect();
        assert_eq!(paths, ["/v2/analytics/{clientId}", "/v2/clients/{clientId}/analytics"]);
        assert!(get.iter().all(|binding| binding.response_body().is_some()));
    }

    #[test]
    fn streams_of_events_can_be_resumed() {
        let pool = DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap();
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let resumed: Vec<String> =
            methods.filter(|rpc| resume(rpc).is_some()).map(|rpc| rpc.full_name().to_owned()).collect();
        let watch = |version| format!("riskmesh.analytics.{version}.AnalyticsService.WatchAnalytics");
        assert_eq!(resumed, [watch("v1"), watch("v2")]);
    }

    #[test]
    fn every_method_that_the_contract_calls_reachable_has_a_binding() {
        for method in api::method::METHODS {
            let name = method.path[1..].replace('/', ".");
            assert_eq!(!of(&name).is_empty(), method.http, "{name}");
        }
    }
}
