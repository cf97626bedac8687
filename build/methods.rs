//! The table of methods, read from the options in the protos.

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use std::fmt::Write as _;

/// Rust source of the static table.
pub(crate) fn table(pool: &DescriptorPool) -> Result<String, Box<dyn std::error::Error>> {
    let extension =
        pool.get_extension_by_name("riskmesh.options.v1.method").ok_or("options.proto lacks `method`")?;
    let http = pool.get_extension_by_name("google.api.http").ok_or("annotations.proto lacks `http`")?;
    let mut methods: Vec<MethodDescriptor> = pool
        .services()
        .filter(|service| service.full_name().starts_with("riskmesh."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect();
    methods.sort_by(|a, b| a.full_name().cmp(b.full_name()));

    let mut source = String::from("/// Every method, by full name.\npub static METHODS: &[Method] = &[\n");
    for method in &methods {
        let name = method.full_name();
        let options = method.options();
        let policy = options.get_extension(&extension);
        let policy =
            policy.as_message().ok_or_else(|| format!("{name} has no riskmesh.options.v1.method"))?;
        let permission = text(policy, "permission");
        let public = flag(policy, "public");
        if public {
            may_be_public(method, policy)?;
        } else if permission.split('.').filter(|part| !part.is_empty()).count() != 2 {
            return Err(
                format!("{name} needs a permission of the form service.verb, not {permission:?}").into()
            );
        }
        let deprecation =
            match policy.get_field_by_name("deprecation").filter(|_| policy.has_field_by_name("deprecation"))
            {
                Some(value) => {
                    let deprecation = value.as_message().ok_or("deprecation is a message")?;
                    format!(
                        "Some(Deprecation {{ since: {:?}, sunset: {:?}, successor: {:?} }})",
                        text(deprecation, "since"),
                        text(deprecation, "sunset"),
                        text(deprecation, "successor")
                    )
                }
                None => "None".into(),
            };
        let idempotency = match method
            .method_descriptor_proto()
            .options
            .as_ref()
            .map(prost_types::MethodOptions::idempotency_level)
        {
            Some(prost_types::method_options::IdempotencyLevel::NoSideEffects) => "NoSideEffects",
            Some(prost_types::method_options::IdempotencyLevel::Idempotent) => "Idempotent",
            _ => "Unknown",
        };
        let status = match number(policy, "success_status") {
            0 => 200,
            status @ 200..=299 => status,
            status => return Err(format!("{name}: {status} is no status of success").into()),
        };
        writeln!(
            source,
            "    Method {{ path: \"/{}/{}\", service: {:?}, name: {:?}, permission: {permission:?}, public: {public}, rate_limit: RateLimit::{}, \
             success_status: {status}, timeout_ms: {}, idempotency: Idempotency::{idempotency}, idempotency_key: {}, cache: \
             Cache::{}, deprecation: {deprecation}, client_streaming: {}, server_streaming: {}, http: {} }},",
            method.parent_service().full_name(),
            method.name(),
            method.parent_service().full_name(),
            method.name(),
            if number(policy, "rate_limit") == 1 { "Exempt" } else { "Standard" },
            number(policy, "timeout_ms"),
            flag(policy, "idempotency_key"),
            ["NoStore", "Revalidate", "Public"][number(policy, "cache") as usize],
            method.is_client_streaming(),
            method.is_server_streaming(),
            options.has_extension(&http),
        )?;
    }
    source.push_str("];\n");
    Ok(source)
}

/// What anybody may call has no permission beside that, changes nothing, and says the same to everybody.
fn may_be_public(method: &MethodDescriptor, policy: &DynamicMessage) -> Result<(), String> {
    use prost_types::{MethodOptions, method_options::IdempotencyLevel::NoSideEffects};
    let options = method.method_descriptor_proto().options.as_ref();
    let harmless = options.map(MethodOptions::idempotency_level) == Some(NoSideEffects);
    let unary = !method.is_client_streaming() && !method.is_server_streaming();
    if text(policy, "permission").is_empty() && harmless && unary && number(policy, "cache") == 2 {
        return Ok(());
    }
    let name = method.full_name();
    Err(format!(
        "{name} is public: then it has no permission, is unary, NO_SIDE_EFFECTS and CACHE_POLICY_PUBLIC"
    ))
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    message.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or(false)
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn number(message: &DynamicMessage, field: &str) -> i32 {
    message.get_field_by_name(field).map_or(0, |value| match *value {
        Value::I32(number) | Value::EnumNumber(number) => number,
        _ => 0,
    })
}
