//! One way to call a method over HTTP, as documents tell it.

use std::sync::Arc;

use http::StatusCode;
use prost_reflect::{FieldDescriptor, MessageDescriptor, MethodDescriptor};

use crate::builder::Engine;
use crate::plan::MessageId;
use crate::rule::{BodyRule, RoutePlan};
use crate::template::{Segment, Template};

/// One way to call a method over HTTP: a rule of the method, looked up.
#[derive(Debug, Clone)]
pub struct Binding {
    pub(super) rpc: MethodDescriptor,
    pub(super) method: String,
    pub(super) template: String,
    pub(super) path: String,
    pub(super) variables: Vec<Vec<FieldDescriptor>>,
    pub(super) places: Vec<Place>,
    pub(super) body: Body,
    pub(super) response_body: Option<FieldDescriptor>,
    pub(super) route: Arc<RoutePlan>,
}

/// Where the request's body goes.
#[derive(Debug, Clone)]
pub enum Body {
    /// There is none.
    Absent,
    /// It is the request message, without what the path binds.
    Whole,
    /// It is this field.
    Field(FieldDescriptor),
}

/// A parameter of a path.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    /// The variable that it belongs to, if it does, and whether it is all of that.
    pub(super) variable: Option<(usize, bool)>,
    /// It may span segments.
    pub(super) wide: bool,
}

impl Binding {
    /// The method.
    pub fn rpc(&self) -> &MethodDescriptor {
        &self.rpc
    }

    /// `GET`, `POST` and so on, a custom method, or `*` for any.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as in the rule: `/v1/clients/{client.client_id}`.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The path as OpenAPI writes it, in JSON names: `/v1/clients/{clientId}`. Where a variable has literals inside, its wildcards are
    /// parameters: `/v1/shelves/{shelf}` for `/v1/{name=shelves/*}`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The fields that the path binds, outermost first, in the order of the path.
    pub fn variables(&self) -> &[Vec<FieldDescriptor>] {
        &self.variables
    }

    /// Where the request's body goes.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The field of the response that is the answer's body; the whole where there is none.
    pub fn response_body(&self) -> Option<&FieldDescriptor> {
        self.response_body.as_ref()
    }

    /// The status of success.
    pub fn success_status(&self) -> StatusCode {
        self.route.success
    }

    /// The bindings of all routes, in their order.
    pub(super) fn all(engine: &Engine) -> Vec<Self> {
        let routes = engine.router.routes().iter().zip(&engine.routes);
        routes.map(|(route, plan)| Self::new(engine, &route.method, &route.template, plan)).collect()
    }

    fn new(engine: &Engine, method: &str, template: &Template, route: &Arc<RoutePlan>) -> Self {
        let (input, output) = (route.rpc.input(), route.rpc.output());
        let variables: Vec<Vec<FieldDescriptor>> =
            route.variables.iter().map(|path| descriptors(engine, route.input, &input, path)).collect();
        let one = |id, message: &MessageDescriptor, index| descriptors(engine, id, message, &[index]).pop();
        let body = match route.body {
            BodyRule::No => Body::Absent,
            BodyRule::Whole => Body::Whole,
            BodyRule::Field(index) => one(route.input, &input, index).map_or(Body::Absent, Body::Field),
        };
        let (path, places) = path(template, &names(engine, &variables));
        Self {
            rpc: route.rpc.clone(),
            method: method.to_owned(),
            template: route.template.clone(),
            path,
            variables,
            places,
            body,
            response_body: route.response.and_then(|index| one(route.output, &output, index)),
            route: route.clone(),
        }
    }
}

/// The fields at a path of the plans' indices.
fn descriptors(
    engine: &Engine,
    mut id: MessageId,
    message: &MessageDescriptor,
    path: &[u32],
) -> Vec<FieldDescriptor> {
    let (mut fields, mut message) = (Vec::new(), Some(message.clone()));
    for index in path {
        let plan = &engine.plans.get(id).fields[*index as usize];
        // Plans were made of the same descriptors.
        let Some(field) = message.and_then(|message| message.get_field(plan.number)) else { break };
        message = field.kind().as_message().cloned();
        id = plan.message().unwrap_or(id);
        fields.push(field);
    }
    fields
}

/// What variables are called: by their last field, or by all where that is not enough.
fn names(engine: &Engine, variables: &[Vec<FieldDescriptor>]) -> Vec<String> {
    let name = |field: &FieldDescriptor| {
        let name = if engine.print.proto_names { field.name() } else { field.json_name() };
        name.to_owned()
    };
    let short = |variable: &[FieldDescriptor]| variable.last().map(name).unwrap_or_default();
    let alone = |variable: &[FieldDescriptor]| {
        variables.iter().filter(|other| short(other) == short(variable)).count() == 1
    };
    let long = |variable: &[FieldDescriptor]| variable.iter().map(name).collect::<Vec<_>>().join(".");
    variables.iter().map(|variable| if alone(variable) { short(variable) } else { long(variable) }).collect()
}

/// A template as OpenAPI writes it, where a parameter is one segment.
fn path(template: &Template, names: &[String]) -> (String, Vec<Place>) {
    let (mut path, mut places) = (String::new(), Vec::<Place>::new());
    let count = template.segments.len();
    for (at, segment) in template.segments.iter().enumerate() {
        path.push('/');
        let wide = match segment {
            Segment::Literal(text) => {
                path.push_str(text);
                continue;
            }
            Segment::Star => false,
            Segment::DoubleStar => true,
        };
        let variable = template.variables.iter().position(|variable| variable.range(count).contains(&at));
        let whole = variable.is_some_and(|variable| template.variables[variable].range(count).len() == 1);
        let before = at.checked_sub(1).and_then(|before| match &template.segments[before] {
            Segment::Literal(text) => Some(one_of(text)),
            _ => None,
        });
        let own = variable.map(|variable| names[variable].clone());
        let wanted = match (whole, before) {
            (false, Some(name)) => name,
            (_, before) => own.or(before).unwrap_or_else(|| "segment".to_owned()),
        };
        let numbered = (2..).map(|number| format!("{wanted}{number}"));
        let taken = |name: &String| {
            places.iter().any(|place| place.name == *name) || (!whole && names.contains(name))
        };
        let name =
            std::iter::once(wanted.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
        path.extend(["{", &name, "}"]);
        places.push(Place { name, variable: variable.map(|variable| (variable, whole)), wide });
    }
    if count == 0 {
        path.push('/');
    }
    if let Some(verb) = &template.verb {
        path.push(':');
        path.push_str(verb);
    }
    (path, places)
}

/// What one of many is called: `shelve` of `shelves`, `book` of `books`.
fn one_of(many: &str) -> String {
    let plain: String = many.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let cut = |end: &str, by: &str| plain.strip_suffix(end).map(|start| format!("{start}{by}"));
    let one = cut("ies", "y").or_else(|| cut("sses", "ss")).or_else(|| cut("xes", "x"));
    one.or_else(|| cut("s", "").filter(|one| !one.ends_with('s'))).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_path_has_a_parameter_for_each_wildcard() {
        for (template, names, expected) in [
            ("/v1/a/{b}", &["bOne"][..], "/v1/a/{bOne}"),
            ("/v1/{name=shelves/*/books/*}:read", &["name"], "/v1/shelves/{shelve}/books/{book}:read"),
            ("/v1/{name=**}", &["name"], "/v1/{name}"),
            ("/v1/{name=files/**}/raw", &["name"], "/v1/files/{file}/raw"),
            ("/v1/{parent=*}/{x}", &["parent", "x"], "/v1/{parent}/{x}"),
            ("/v1/*/boxes/*", &[], "/v1/{v1}/boxes/{box}"),
            ("/v1/{a=x/*/x/*}", &["a"], "/v1/x/{x}/x/{x2}"),
            ("/", &[], "/"),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(path(&Template::parse(template).unwrap(), &names).0, expected, "{template}");
        }
    }

    #[test]
    fn one_of_many_has_a_name() {
        for (many, one) in [
            ("books", "book"),
            ("entries", "entry"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("status", "statu"),
            ("class", "class"),
        ] {
            assert_eq!(one_of(many), one);
        }
    }
}
