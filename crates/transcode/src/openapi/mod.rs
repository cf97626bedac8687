//! OpenAPI 3.1 documents from the descriptors: what is served is what is told, for there is no second description to go stale.
//!
//! Operations come from the routes that the transcoder has, whether their rules are annotations or from a file; schemas from the messages
//! as proto3 JSON writes them under the transcoder's own options; bounds from `buf.validate` and `google.api.field_behavior`, where
//! the descriptors have them; words, and examples in backquotes, from comments, where the descriptors have source information;
//! errors from the renderer. What `google.api.field_behavior` says is told whether it is held here or by the service. What no descriptor says, such as who may call, comes from a [`Describe`]; [`Api`] is the plainest one.
//!
//! ```ignore
//! let transcoder = Transcoder::builder(pool).build(channel)?;
//! let document = transcoder.openapi(&Api::new("Library", "1.4.0").license("Apache-2.0").bearer("JWT"));
//! std::fs::write("openapi.json", serde_json::to_vec_pretty(&document)?)?;
//! ```
//!
//! Examples are read from comments so:
//!
//! ```protobuf
//! // Creates a book. `POST /v1/books {"title":"Emma"}` -> `{"id":"7","title":"Emma"}`
//! rpc CreateBook(CreateBookRequest) returns (Book) { … }
//!
//! // A book. `{"id":"7","title":"Emma"}`
//! message Book {
//!   // The book's id: "7".
//!   string id = 1;
//! }
//! ```
//!
//! Three things OpenAPI cannot say: a path variable of several segments (a parameter of it has `x-multi-segment`, or one parameter
//! stands for each wildcard where there are literals between them), methods of HTTP other than the usual ones (they stand under
//! `x-additional-operations`), and that two parameters exclude each other. Forms are taken wherever JSON is, and are not listed.

mod binding;
mod bounds;
mod comments;
mod enums;
mod errors;
mod facts;
mod floats;
mod known;
mod operations;
mod parameters;
mod schemas;

use std::collections::BTreeSet;

use prost_reflect::{FieldDescriptor, ServiceDescriptor};
use serde_json::{Map, Value, json};

pub use binding::{Binding, Body};

use crate::builder::Engine;
use crate::service::Transcoder;
use comments::Comments;
use facts::Extensions;
use schemas::Schemas;

/// What the descriptors do not say. Only [`info`](Self::info) has no default. Values are those of the OpenAPI specification
/// (<https://spec.openapis.org/oas/v3.1.0>).
pub trait Describe {
    /// The `info` object: `title` and `version` at least.
    fn info(&self) -> Value;

    /// The `servers`. By default the host that the document comes from.
    fn servers(&self) -> Vec<Value> {
        vec![json!({ "url": "/" })]
    }

    /// Whether the document tells of a binding. By default of all.
    fn includes(&self, binding: &Binding) -> bool {
        let _ = binding;
        true
    }

    /// The tag of a service's operations. By default its name without `Service`.
    fn tag(&self, service: &ServiceDescriptor) -> String {
        let name = service.name();
        name.strip_suffix("Service").filter(|name| !name.is_empty()).unwrap_or(name).to_owned()
    }

    /// What a caller has to show, as a list of security requirements: one of them suffices. By default nothing is said. The schemes
    /// are among the [`components`](Self::components).
    fn security(&self, binding: &Binding) -> Vec<Value> {
        let _ = binding;
        Vec::new()
    }

    /// The answers of calls that fail, by status. By default (`None`) every status that a gRPC code or the transcoder itself leads to,
    /// in the shape that the [renderer](crate::ErrorRenderer::schema) has.
    fn errors(&self, binding: &Binding) -> Option<Map<String, Value>> {
        let _ = binding;
        None
    }

    /// Changes an operation that is otherwise complete: adds headers, further answers, extensions.
    fn operation(&self, binding: &Binding, operation: &mut Map<String, Value>) {
        let _ = (binding, operation);
    }

    /// Changes the schema of one value of a field, before its words are added: adds a format or a pattern.
    fn field(&self, field: &FieldDescriptor, schema: &mut Map<String, Value>) {
        let _ = (field, schema);
    }

    /// Whether a floating-point field holds nothing but numbers. By default it may be `"NaN"`, `"Infinity"` and `"-Infinity"` as well,
    /// as far as its rules let these through, for that is how proto3 JSON writes them.
    fn is_finite(&self, field: &FieldDescriptor) -> bool {
        let _ = field;
        false
    }

    /// Components to add: `securitySchemes`, and whatever else is referred to. Those that nothing refers to are left out.
    fn components(&self) -> Map<String, Value> {
        Map::new()
    }
}

/// A title, a version and a few words: everything else as the descriptors have it.
#[derive(Debug, Clone)]
pub struct Api {
    title: String,
    version: String,
    description: Option<String>,
    license: Option<String>,
    bearer: Option<String>,
}

impl Api {
    /// An API by its name and version.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self { title: title.into(), version: version.into(), description: None, license: None, bearer: None }
    }

    /// What it is, in CommonMark.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Its licence, as SPDX calls it: `Apache-2.0`.
    #[must_use]
    pub fn license(mut self, identifier: impl Into<String>) -> Self {
        self.license = Some(identifier.into());
        self
    }

    /// Every call needs a bearer token (RFC 6750) of this format: `JWT`.
    #[must_use]
    pub fn bearer(mut self, format: impl Into<String>) -> Self {
        self.bearer = Some(format.into());
        self
    }
}

impl Describe for Api {
    fn info(&self) -> Value {
        let mut info = json!({ "title": self.title, "version": self.version });
        if let Some(text) = &self.description {
            info["description"] = json!(text);
        }
        if let Some(license) = &self.license {
            info["license"] = json!({ "name": license, "identifier": license });
        }
        info
    }

    fn security(&self, _: &Binding) -> Vec<Value> {
        self.bearer.iter().map(|_| json!({ "bearer": [] })).collect()
    }

    fn components(&self) -> Map<String, Value> {
        let scheme =
            |format| json!({ "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": format } });
        self.bearer.iter().map(|format| ("securitySchemes".to_owned(), scheme(format))).collect()
    }
}

impl<S> Transcoder<S> {
    /// The OpenAPI 3.1 document of what is served now.
    pub fn openapi(&self, describe: &dyn Describe) -> Value {
        document(&self.engine(), describe)
    }

    /// Every way to call a method over HTTP, in the order of the routes.
    pub fn bindings(&self) -> Vec<Binding> {
        Binding::all(&self.engine())
    }
}

/// Makes a document.
struct Maker<'a> {
    engine: &'a Engine,
    describe: &'a dyn Describe,
    comments: Comments,
    extensions: Extensions,
    schemas: Schemas,
}

fn document(engine: &Engine, describe: &dyn Describe) -> Value {
    let mut bindings = Binding::all(engine);
    bindings.retain(|binding| describe.includes(binding));
    let mut schemas = Schemas::default();
    let shape = engine.renderer.schema();
    if let Some((_, schema)) = &shape {
        schemas.put(errors::SHAPE, schema.clone());
    }
    let (comments, extensions) = match bindings.first() {
        Some(binding) => {
            let pool = binding.rpc().parent_pool();
            (Comments::new(pool), Extensions::new(pool))
        }
        None => (Comments::default(), Extensions::default()),
    };
    let mut maker = Maker { engine, describe, comments, extensions, schemas };
    let (paths, tags) = maker.paths(&bindings);
    let mut components = Map::from_iter([
        ("schemas".to_owned(), Value::Object(maker.schemas.finish())),
        ("responses".to_owned(), errors::responses(shape.map(|(media, _)| media)).into()),
    ]);
    for (section, more) in describe.components() {
        match (components.get_mut(&section), more) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
            (_, more) => drop(components.insert(section, more)),
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": describe.info(),
        "servers": describe.servers(),
        "tags": tags,
        "paths": paths,
        "components": components,
    });
    prune(&mut document);
    document
}

/// Takes away the components that no operation leads to; security schemes are referred to by name and stay.
fn prune(document: &mut Value) {
    let (mut used, mut found) = (BTreeSet::new(), Vec::new());
    references(&document["paths"], &mut found);
    while let Some(reference) = found.pop() {
        if let Some(target) = reference.strip_prefix('#').and_then(|place| document.pointer(place))
            && used.insert(reference)
        {
            references(target, &mut found);
        }
    }
    let Some(sections) = document["components"].as_object_mut() else { return };
    for (section, components) in sections.iter_mut().filter(|(section, _)| *section != "securitySchemes") {
        if let Some(components) = components.as_object_mut() {
            components.retain(|name, _| used.contains(&format!("#/components/{section}/{name}")));
        }
    }
    sections.retain(|_, components| components.as_object().is_none_or(|components| !components.is_empty()));
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        _ => {}
    }
}
