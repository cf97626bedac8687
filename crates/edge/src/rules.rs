//! The HTTP rules of the contract's methods, as the edge and its OpenAPI documents need them.
//!
//! Which request a rule takes is the transcoder's business; here is what the transcoder does not tell: how a path is called in
//! JSON names, and which fields of the messages the bodies are.

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor};

/// The extension of method options that holds HTTP rules.
const HTTP: &str = "google.api.http";

/// One way to call a method over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    /// The method.
    pub(crate) rpc: MethodDescriptor,
    /// `GET`, `POST` and so on.
    pub(crate) http_method: String,
    /// The path as in the proto: `/v1/clients/{client.client_id}`.
    pub(crate) template: String,
    /// The path in JSON names: `/v1/clients/{clientId}`.
    pub(crate) path: String,
    /// The fields that the path binds, outermost first, in the order of the path.
    pub(crate) variables: Vec<Vec<FieldDescriptor>>,
    /// Where the request's body goes.
    pub(crate) body: Body,
    /// The field of the response that is the body; the whole where there is none.
    pub(crate) response_body: Option<FieldDescriptor>,
}

/// Where the request's body goes.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// There is none.
    Absent,
    /// It is the request message, without what the path binds.
    Whole,
    /// It is this field.
    Field(FieldDescriptor),
}

/// An HTTP rule that does not fit its method: a defect of the contract.
#[derive(Debug, thiserror::Error)]
#[error("{rpc}: {problem}")]
pub struct Invalid {
    rpc: String,
    problem: String,
}

impl Binding {
    /// The JSON name of a path variable.
    pub(crate) fn variable_name(variable: &[FieldDescriptor]) -> &str {
        variable.last().map_or("", FieldDescriptor::json_name)
    }

    /// The JSON name of the field that is the body.
    pub(crate) fn body_field(&self) -> Option<&str> {
        match &self.body {
            Body::Field(field) => Some(field.json_name()),
            Body::Absent | Body::Whole => None,
        }
    }
}

/// Every binding of every method of the contract, in the order of the descriptors.
pub(crate) fn bindings(pool: &DescriptorPool) -> Result<Vec<Binding>, Invalid> {
    let Some(extension) = pool.get_extension_by_name(HTTP) else { return Ok(Vec::new()) };
    let mut bindings = Vec::new();
    for rpc in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = rpc.options();
        if !options.has_extension(&extension) {
            continue;
        }
        let rule = options.get_extension(&extension);
        let Some(rule) = rule.as_message() else { continue };
        bindings.push(binding(&rpc, rule)?);
        let more = rule.get_field_by_name("additional_bindings");
        for rule in
            more.iter().filter_map(|more| more.as_list()).flatten().filter_map(|rule| rule.as_message())
        {
            bindings.push(binding(&rpc, rule)?);
        }
    }
    Ok(bindings)
}

fn binding(rpc: &MethodDescriptor, rule: &DynamicMessage) -> Result<Binding, Invalid> {
    let invalid = |problem: String| Invalid { rpc: rpc.full_name().to_owned(), problem };
    let methods = ["get", "put", "post", "delete", "patch"].into_iter();
    let found =
        methods.map(|name| (name.to_ascii_uppercase(), text(rule, name))).find(|(_, path)| !path.is_empty());
    let (http_method, template) = found.ok_or_else(|| invalid("its HTTP rule has no path".into()))?;
    let (path, variables) = path(&template, &rpc.input()).map_err(invalid)?;
    let field = |message: &MessageDescriptor, name: &str| {
        message
            .get_field_by_name(name)
            .ok_or_else(|| invalid(format!("{} has no field {name}", message.full_name())))
    };
    let body = match text(rule, "body").as_str() {
        "" => Body::Absent,
        "*" => Body::Whole,
        name => Body::Field(field(&rpc.input(), name)?),
    };
    let response_body = match text(rule, "response_body").as_str() {
        "" => None,
        name => Some(field(&rpc.output(), name)?),
    };
    Ok(Binding { rpc: rpc.clone(), http_method, template, path, variables, body, response_body })
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The path in JSON names, and what it binds.
fn path(template: &str, input: &MessageDescriptor) -> Result<(String, Vec<Vec<FieldDescriptor>>), String> {
    let (mut path, mut variables, mut rest) = (String::new(), Vec::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').ok_or_else(|| format!("{template} lacks a brace"))?;
        let names = inside.split_once('=').map_or(inside, |(names, _)| names);
        let mut fields: Vec<FieldDescriptor> = Vec::new();
        for name in names.split('.') {
            let kind = fields.last().map(FieldDescriptor::kind);
            let message = kind.as_ref().map_or(Some(input), |kind| kind.as_message());
            let field = message.and_then(|message| message.get_field_by_name(name));
            fields.push(field.ok_or_else(|| format!("{template} binds {names}, which does not exist"))?);
        }
        path.push_str(before);
        path.push('{');
        path.push_str(Binding::variable_name(&fields));
        path.push('}');
        variables.push(fields);
        rest = after;
    }
    path.push_str(rest);
    Ok((path, variables))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn of(method: &str) -> Vec<Binding> {
        let pool = DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap();
        bindings(&pool).unwrap().into_iter().filter(|binding| binding.rpc.full_name() == method).collect()
    }

    #[test]
    fn a_path_is_told_in_json_names() {
        let update = of("riskmesh.clients.v1.AccountsService.UpdateAccount");
        assert_eq!(update[0].template, "/v1/clients/{client_id}/accounts/{account.account_id}");
        assert_eq!(update[0].path, "/v1/clients/{clientId}/accounts/{accountId}");
        assert_eq!(update[0].body_field(), Some("account"));
        assert_eq!(update[0].variables[1].len(), 2);
    }

    #[test]
    fn additional_bindings_count_too() {
        let get = of("riskmesh.analytics.v2.AnalyticsService.GetAnalytics");
        let paths: Vec<_> = get.iter().map(|binding| binding.path.as_str()).collect();
        assert_eq!(paths, ["/v2/analytics/{clientId}", "/v2/clients/{clientId}/analytics"]);
        assert!(get.iter().all(|binding| binding.response_body.is_some()));
    }

    #[test]
    fn every_method_that_the_contract_calls_reachable_has_a_binding() {
        for method in api::method::METHODS {
            let name = method.path[1..].replace('/', ".");
            assert_eq!(!of(&name).is_empty(), method.http, "{name}");
        }
    }
}
