//! HTTP rules as the annotations of methods give them: `google.api.http`.

use prost_reflect::{DynamicMessage, ExtensionDescriptor, MethodDescriptor};

use super::BuildError;
use crate::router::ANY_METHOD;

/// The extension of `google.protobuf.MethodOptions` that carries HTTP rules.
pub(super) const HTTP_EXTENSION: &str = "google.api.http";

/// One binding of an HTTP rule.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) method: String,
    pub(crate) template: String,
    pub(crate) body: String,
    pub(crate) response_body: String,
}

/// The bindings in the annotation of a method.
pub(super) fn bindings(
    rpc: &MethodDescriptor,
    extension: &ExtensionDescriptor,
) -> Result<Vec<Binding>, BuildError> {
    let options = rpc.options();
    if !options.has_extension(extension) {
        return Ok(Vec::new());
    }
    let value = options.get_extension(extension);
    let fail = |problem: &str| {
        Err(BuildError::Rule { rpc: rpc.full_name().to_owned(), problem: problem.to_owned() })
    };
    let Some(rule) = value.as_message() else { return fail("its HTTP rule is not a message") };
    let Some(first) = binding(rule) else { return fail("its HTTP rule has no method and path") };
    let mut bindings = vec![first];
    let more = rule.get_field_by_name("additional_bindings");
    for rule in more.iter().filter_map(|more| more.as_list()).flatten().filter_map(|rule| rule.as_message()) {
        let Some(binding) = binding(rule) else {
            return fail("an additional binding has no method and path");
        };
        let nested = rule.get_field_by_name("additional_bindings");
        if nested.is_some_and(|nested| nested.as_list().is_some_and(|nested| !nested.is_empty())) {
            return fail("an additional binding has additional bindings");
        }
        bindings.push(binding);
    }
    Ok(bindings)
}

fn binding(rule: &DynamicMessage) -> Option<Binding> {
    let text = |message: &DynamicMessage, name: &str| {
        message
            .get_field_by_name(name)
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let standard = ["get", "put", "post", "delete", "patch"].into_iter();
    let standard = standard.map(|name| (name.to_ascii_uppercase(), text(rule, name)));
    let custom = rule.get_field_by_name("custom");
    let custom = custom.as_ref().and_then(|custom| custom.as_message());
    let custom = custom.map(|custom| (text(custom, "kind"), text(custom, "path")));
    let (method, template) = standard.chain(custom).find(|(_, template)| !template.is_empty())?;
    let method = if method.is_empty() { ANY_METHOD.to_owned() } else { method };
    Some(Binding { method, template, body: text(rule, "body"), response_body: text(rule, "response_body") })
}
