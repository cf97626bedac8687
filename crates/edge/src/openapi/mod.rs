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
    json!({
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
    })
}

#[cfg(test)]
mod tests;
