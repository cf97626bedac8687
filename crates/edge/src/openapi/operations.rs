//! Paths and operations.

use super::answers;
use super::comments::{self, Comments};
use super::schemas::{Place, Schemas};
use crate::rules::{Binding, Body};
use api::Method;
use api::method::Cache;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The paths, and the tags that their operations bear: one a service.
pub(super) fn paths(
    bindings: &[&Binding],
    schemas: &mut Schemas<'_>,
    comments: &Comments,
) -> (Value, Vec<Value>) {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let (mut tags, mut ids) = (BTreeMap::new(), BTreeSet::new());
    let changing = bindings.iter().filter(|binding| matches!(&*binding.http_method, "PUT" | "PATCH"));
    let versioned: BTreeSet<&str> = changing.map(|binding| &*binding.path).collect();
    for binding in bindings {
        let service = binding.rpc.parent_service();
        let comment = comments.at(service.parent_file().name(), service.path());
        tags.insert(tag(binding), comment.to_owned());
        let Some(method) = Method::find(&format!("/{}/{}", service.full_name(), binding.rpc.name())) else {
            continue;
        };
        let conditional = Conditional::new(binding, method, &versioned);
        let id = operation_id(binding, &mut ids);
        let operation = operation(binding, method, &conditional, &id, schemas, comments);
        paths.entry(&binding.path).or_default().insert(binding.http_method.to_ascii_lowercase(), operation);
    }
    let tags = tags.into_iter().map(|(name, text)| json!({ "name": name, "description": text })).collect();
    (json!(paths), tags)
}

/// What conditional requests (RFC 9110, section 13) mean to an operation.
pub(super) struct Conditional {
    /// The answer carries an ETag.
    pub(super) tagged: bool,
    /// A caller who has the answer already gets 304.
    pub(super) if_none_match: bool,
    /// It can be asked for only where the version is still the one that the caller knows.
    if_match: bool,
}

impl Conditional {
    /// `versioned` are the paths of resources that can be changed: what can be changed has a version.
    fn new(binding: &Binding, method: &Method, versioned: &BTreeSet<&str>) -> Self {
        let creates = |path: &&str| {
            let inside = path.strip_prefix(&*binding.path).and_then(|rest| rest.strip_prefix("/{"));
            inside.is_some_and(|rest| rest.find('}') == Some(rest.len() - 1))
        };
        let versioned = match &*binding.http_method {
            "POST" => method.success_status == 201 && versioned.iter().any(creates),
            _ => versioned.contains(&*binding.path),
        };
        let tagged = method.success_status != 204 && (versioned || method.cache != Cache::NoStore);
        Self {
            tagged,
            if_none_match: tagged && binding.http_method == "GET",
            if_match: versioned && matches!(&*binding.http_method, "PUT" | "PATCH" | "DELETE"),
        }
    }
}

fn tag(binding: &Binding) -> String {
    binding.rpc.parent_service().name().trim_end_matches("Service").to_owned()
}

/// The method's name as code would have it, numbered where a name comes again.
fn operation_id(binding: &Binding, ids: &mut BTreeSet<String>) -> String {
    let mut name = binding.rpc.name().to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let mut id = name.clone();
    let mut number = 2;
    while !ids.insert(id.clone()) {
        id = format!("{name}{number}");
        number += 1;
    }
    id
}

fn operation(
    binding: &Binding,
    method: &Method,
    conditional: &Conditional,
    id: &str,
    schemas: &mut Schemas<'_>,
    comments: &Comments,
) -> Value {
    let comment = comments.at(binding.rpc.parent_file().name(), binding.rpc.path());
    let mut operation = Map::from_iter([
        ("operationId".to_owned(), json!(id)),
        ("tags".to_owned(), json!([tag(binding)])),
        ("summary".to_owned(), json!(comments::summary(comment))),
        ("description".to_owned(), json!(comment)),
        ("security".to_owned(), json!([{ "bearer": [method.permission] }])),
        ("parameters".to_owned(), request_parameters(binding, method, conditional, schemas).into()),
    ]);
    if let Some(body) = request_body(binding, schemas, comment) {
        operation.insert("requestBody".into(), body);
    }
    let answer = response_schema(binding, method, schemas);
    let example = comments::response_body(comment);
    operation.insert("responses".into(), answers::of(binding, method, conditional, answer, example));
    if let Some(deprecation) = method.deprecation {
        operation.insert("deprecated".into(), json!(true));
        operation.insert(
            "x-deprecation".into(),
            json!({ "since": deprecation.since, "sunset": deprecation.sunset, "successor": deprecation.successor }),
        );
    }
    operation.into()
}

/// Path, query, and the headers that mean something to the method.
fn request_parameters(
    binding: &Binding,
    method: &Method,
    conditional: &Conditional,
    schemas: &mut Schemas<'_>,
) -> Vec<Value> {
    let mut parameters = Vec::new();
    for variable in &binding.variables {
        let Some(field) = variable.last() else { continue };
        let mut parameter = parameter(field, Binding::variable_name(variable), "path", schemas);
        parameter["required"] = json!(true);
        parameters.push(parameter);
    }
    if !matches!(binding.body, Body::Whole) {
        query(&binding.rpc.input(), "", binding, &mut parameters, schemas, 0);
    }
    let header = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    if conditional.if_none_match {
        parameters.push(header("IfNoneMatch"));
    }
    if conditional.if_match {
        parameters.push(header("IfMatch"));
    }
    if method.idempotency_key {
        parameters.push(header("IdempotencyKey"));
    }
    parameters.push(header("RequestId"));
    parameters.push(header("RequestTimeout"));
    parameters
}

/// The deepest that query parameters reach into messages.
const MAX_DEPTH: usize = 3;

/// Every field that neither path nor body gives, messages by their fields: `page.limit`.
fn query(
    message: &MessageDescriptor,
    prefix: &str,
    binding: &Binding,
    parameters: &mut Vec<Value>,
    schemas: &mut Schemas<'_>,
    depth: usize,
) {
    for field in message.fields() {
        let bound = binding.variables.iter().any(|variable| variable.last() == Some(&field));
        let is_body = matches!(&binding.body, Body::Field(body) if *body == field);
        if bound || is_body || field.is_map() {
            continue;
        }
        let name = format!("{prefix}{}", field.json_name());
        match field.kind() {
            Kind::Message(inside) if inside.package_name() != "google.protobuf" => {
                if !field.is_list() && depth < MAX_DEPTH {
                    query(&inside, &format!("{name}."), binding, parameters, schemas, depth + 1);
                }
            }
            _ => parameters.push(parameter(&field, &name, "query", schemas)),
        }
    }
}

fn parameter(field: &FieldDescriptor, name: &str, place: &str, schemas: &mut Schemas<'_>) -> Value {
    let facts = schemas.extensions.of(field);
    let mut schema = schemas.field(field, &facts, Place::Parameter);
    let mut parameter = json!({ "name": name, "in": place });
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("x-immutable");
        // A parameter has these beside its schema.
        if let Some(description) = schema.remove("description") {
            parameter["description"] = description;
        }
        if let Some(example) = schema.remove("examples").and_then(|examples| examples.get(0).cloned()) {
            parameter["example"] = example;
        }
    }
    if facts.required {
        parameter["required"] = json!(true);
    }
    parameter["schema"] = schema;
    parameter
}

fn request_body(binding: &Binding, schemas: &mut Schemas<'_>, comment: &str) -> Option<Value> {
    let bound: Vec<&FieldDescriptor> =
        binding.variables.iter().filter_map(|variable| variable.last()).collect();
    let schema = match &binding.body {
        Body::Absent => return None,
        Body::Whole => schemas.body(&binding.rpc.input(), &bound),
        Body::Field(field) => match field.kind() {
            Kind::Message(message) if !field.is_list() && !field.is_map() => schemas.body(&message, &bound),
            _ => {
                let facts = schemas.extensions.of(field);
                schemas.field(field, &facts, Place::Body)
            }
        },
    };
    let mut content = json!({ "schema": schema });
    if let Some(example) = comments::request_body(comment, &binding.http_method) {
        content["example"] = example;
    }
    Some(json!({ "required": true, "content": { "application/json": content } }))
}

fn response_schema(binding: &Binding, method: &Method, schemas: &mut Schemas<'_>) -> Option<Value> {
    if method.success_status == 204 {
        return None;
    }
    let schema = match &binding.response_body {
        None => schemas.message(&binding.rpc.output()),
        Some(field) => match field.kind() {
            Kind::Message(message) if !field.is_list() && !field.is_map() => schemas.message(&message),
            _ => {
                let facts = schemas.extensions.of(field);
                schemas.field(field, &facts, Place::Body)
            }
        },
    };
    Some(schema)
}

/// The headers that any operation may be sent.
pub(super) fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "description": description, "schema": schema });
    json!({
        "IfNoneMatch": header(
            "If-None-Match",
            "The ETag of what the caller has: answered with 304 where it is still the same.",
            json!({ "type": "string" }),
        ),
        "IfMatch": header(
            "If-Match",
            "The ETag of the version that the caller knows, or `*`: answered with 412 where it is another one by now.",
            json!({ "type": "string" }),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "A key of the caller's: the same request with the same key is done once.",
            json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        ),
        "RequestId": header(
            "X-Request-Id",
            "An id for the caller's own log: 1 to 128 of letters, digits and `_.:/+=@~-`. One is made where there is none, or another \
             text. The answer carries it.",
            json!({ "type": "string" }),
        ),
        "RequestTimeout": header(
            "X-Request-Timeout",
            "How long the caller waits: seconds, or with a unit (500ms, 2s, 1m). 504 after that.",
            json!({ "type": "string", "pattern": crate::deadline::REQUEST_TIMEOUT_PATTERN }),
        ),
    })
}
