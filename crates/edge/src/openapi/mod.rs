//! OpenAPI 3.1 documents, made at start from the same descriptors as everything else: there is no second description to go stale.
//!
//! One document a version of the paths (`/v1/…`, `/v2/…`): operations from the HTTP rules and method options, schemas from the
//! messages with what validation asks of them, words and examples from the protos' comments, errors from the table of error codes.

mod answers;
mod comments;
mod facts;
mod operations;
mod schemas;

use crate::rules::{self, Binding};
use comments::Comments;
use facts::Extensions;
use prost_reflect::DescriptorPool;
use schemas::Schemas;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The document of a version of the contract: `v1`, `v2`. Errors only where the contract itself is broken.
pub fn openapi(version: &str) -> Result<Value, crate::Error> {
    let pool = DescriptorPool::decode(api::DESCRIPTOR_SET)?;
    Ok(document(&pool, &rules::bindings(&pool)?, version))
}

/// The document of the bindings whose paths begin with `/version/`.
pub(crate) fn document(pool: &DescriptorPool, bindings: &[Binding], version: &str) -> Value {
    let prefix = format!("/{version}/");
    let bindings: Vec<&Binding> =
        bindings.iter().filter(|binding| binding.path.starts_with(&prefix)).collect();
    let (comments, extensions) = (Comments::new(pool), Extensions::new(pool));
    let mut schemas = Schemas::new(&comments, &extensions);
    let (paths, tags) = operations::paths(&bindings, &mut schemas, &comments);
    let mut components = schemas.finish();
    answers::add_schemas(&mut components);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Riskmesh API",
            "version": version,
            "description": "Risk scores, clients, accounts and transactions. Every operation takes `Authorization: Bearer <token>`. \
                            The same methods are served over gRPC and gRPC-Web on the same port, with the same messages.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [
            { "url": "/", "description": "This host" },
            { "url": "/api", "description": "The same, for hosts that serve the API beside other things" },
        ],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": answers::responses(),
            "headers": answers::headers(),
            "parameters": operations::parameters(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of this server's issuer (RFC 6750). The permission that an operation needs is \
                                    listed with it.",
                },
            },
        },
    });
    prune(&mut document);
    document
}

/// Takes away the components that no operation leads to.
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
    for section in ["schemas", "responses", "headers", "parameters"] {
        if let Some(components) = document["components"][section].as_object_mut() {
            components.retain(|name, _| used.contains(&format!("#/components/{section}/{name}")));
        }
    }
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

#[cfg(test)]
mod tests;
