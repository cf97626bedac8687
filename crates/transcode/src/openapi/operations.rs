//! Paths and operations.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::schemas::{Place, Without};
use super::{Binding, Body, Maker, comments, errors};

/// The methods that a path item has a place for.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

impl Maker<'_> {
    /// The paths, and the tags that their operations bear: one a service.
    pub(super) fn paths(&mut self, bindings: &[Binding]) -> (Value, Vec<Value>) {
        let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let (mut tags, mut ids) = (BTreeMap::new(), BTreeSet::new());
        // By the path without its names: OpenAPI takes paths that differ in names only for one.
        let mut known: BTreeMap<String, &Binding> = BTreeMap::new();
        for binding in bindings {
            let service = binding.rpc.parent_service();
            let comment = self.comments.at(service.parent_file().name(), service.path()).to_owned();
            let tag = self.describe.tag(service);
            tags.insert(tag.clone(), comment);
            let first = *known.entry(shape(&binding.path)).or_insert(binding);
            let names: Vec<String> = first.places.iter().map(|place| place.name.clone()).collect();
            let id = operation_id(binding, &mut ids);
            let operation = self.operation(binding, &names, &tag, &id);
            let item = paths.entry(first.path.clone()).or_default();
            if METHODS.contains(&&*binding.method) {
                item.insert(binding.method.to_ascii_lowercase(), operation);
            } else if let Some(more) =
                item.entry("x-additional-operations").or_insert(json!({})).as_object_mut()
            {
                more.insert(binding.method.clone(), operation);
            }
        }
        let tags = tags.into_iter().map(|(name, text)| {
            if text.is_empty() {
                json!({ "name": name })
            } else {
                json!({ "name": name, "description": text })
            }
        });
        (json!(paths), tags.collect())
    }

    fn operation(&mut self, binding: &Binding, path: &[String], tag: &str, id: &str) -> Value {
        let comment = self.comments.at(binding.rpc.parent_file().name(), binding.rpc.path()).to_owned();
        let mut operation = Map::from_iter([
            ("operationId".to_owned(), json!(id)),
            ("tags".to_owned(), json!([tag])),
            ("parameters".to_owned(), self.parameters(binding, path).into()),
        ]);
        let summary = comments::summary(&comment);
        operation
            .insert("summary".into(), json!(if summary.is_empty() { binding.rpc.name() } else { summary }));
        if !comment.is_empty() {
            operation.insert("description".into(), json!(comment));
        }
        let security = self.describe.security(binding);
        if !security.is_empty() {
            operation.insert("security".into(), security.into());
        }
        if let Some(body) = self.request_body(binding, &comment) {
            operation.insert("requestBody".into(), body);
        }
        let status = binding.route.success.as_u16();
        let mut responses = match self.describe.errors(binding) {
            Some(errors) => errors,
            None => errors::of(binding),
        };
        responses.insert(status.to_string(), self.success(binding, status, &comment));
        // In the order of their numbers, whatever order a map has.
        let responses: BTreeMap<_, _> = responses.into_iter().collect();
        operation.insert("responses".into(), responses.into_iter().collect::<Map<_, _>>().into());
        let options = binding.rpc.method_descriptor_proto().options.as_ref();
        if options.is_some_and(prost_reflect::prost_types::MethodOptions::deprecated) {
            operation.insert("deprecated".into(), json!(true));
        }
        self.describe.operation(binding, &mut operation);
        operation.into()
    }

    fn request_body(&mut self, binding: &Binding, comment: &str) -> Option<Value> {
        if binding.route.raw_body {
            let content = json!({ "*/*": { "schema": { "description": "Any content." } } });
            return Some(json!({ "required": true, "content": content }));
        }
        let names: Vec<Vec<String>> = binding
            .variables
            .iter()
            .map(|variable| variable.iter().map(|field| field.name().to_owned()).collect())
            .collect();
        let schema = match &binding.body {
            Body::Absent => return None,
            Body::Whole => {
                let without: Vec<&[String]> = names.iter().map(Vec::as_slice).collect();
                self.body(&binding.rpc.input(), &without)
            }
            Body::Field(field) => {
                let inside = names.iter().filter(|path| path[0] == field.name() && path.len() > 1);
                self.content(field, &inside.map(|path| &path[1..]).collect::<Vec<_>>())
            }
        };
        let mut content = json!({ "schema": schema });
        if let Some(example) = comments::request_body(comment, &binding.method) {
            content["example"] = example;
        }
        let content = if binding.rpc.is_client_streaming() {
            json!({ "application/json": list_of(&content), "application/x-ndjson": content })
        } else {
            json!({ "application/json": content })
        };
        Some(json!({ "required": self.needs_body(binding), "content": content }))
    }

    /// Whether a body must be sent: where it is the whole request and nothing in it is required, none is as good as an empty object.
    fn needs_body(&self, binding: &Binding) -> bool {
        let required = |field: &FieldDescriptor| {
            let facts = self.extensions.of(field);
            facts.required && !facts.output_only
        };
        let optional = matches!(binding.body, Body::Whole) && !binding.rpc.is_client_streaming();
        !optional || binding.rpc.input().fields().any(|field| required(&field))
    }

    /// A field that is a whole body.
    fn content(&mut self, field: &FieldDescriptor, without: &Without<'_>) -> Value {
        if let Some(message) = message_of(field) {
            return self.body(&message, without);
        }
        let facts = self.extensions.of(field);
        self.field(field, &facts, Place::Body)
    }

    /// The answer of a call that did not fail.
    fn success(&mut self, binding: &Binding, status: u16, comment: &str) -> Value {
        let description = match status {
            201 => "Created",
            202 => "Accepted",
            204 => "Done; there is nothing to say",
            _ => "The answer",
        };
        let mut answer = json!({ "description": description });
        if status == 204 {
            return answer;
        }
        if binding.route.raw_response {
            answer["content"] = json!({ "*/*": { "schema": { "description": "Any content." } } });
            return answer;
        }
        let schema = match &binding.response_body {
            None => self.message(&binding.rpc.output()),
            Some(field) => self.content(field, &[]),
        };
        let mut content = json!({ "schema": schema });
        if let Some(example) = comments::response_body(comment) {
            content["example"] = example;
        }
        answer["content"] = if binding.rpc.is_server_streaming() {
            // What ends a stream that fails after its first message.
            if let Some(error) = self.engine.renderer.schema_in_stream() {
                content["schema"] = json!({ "anyOf": [content["schema"], error] });
            }
            json!({
                "application/json": list_of(&content),
                "application/x-ndjson": content,
                "text/event-stream": { "schema": {
                    "type": "string",
                    "description": "Events, each with one message as JSON in its data; one of the type `error` ends a stream that fails.",
                } },
            })
        } else {
            json!({ "application/json": content })
        };
        answer
    }
}

/// The content of a list, from that of one.
fn list_of(content: &Value) -> Value {
    let mut list = json!({ "schema": { "type": "array", "items": content["schema"] } });
    if let Some(example) = content.get("example") {
        list["example"] = json!([example]);
    }
    list
}

/// The type of a field that holds one message.
fn message_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_list() && !field.is_map() => Some(message),
        _ => None,
    }
}

/// A path without the names in it.
fn shape(path: &str) -> String {
    path.split(['{', '}']).enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "{}" }).collect()
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
