//! OpenAPI 3.1 documents, made at start from the same descriptors as everything else: there is no second description to go stale.
//!
//! One document a version of the paths (`/v1/…`, `/v2/…`). The transcoder tells of operations and schemas; here is what only Riskmesh
//! knows: errors from the table of error codes, permissions, conditional requests, deprecation, headers, formats.

mod answers;
mod conditional;
mod formats;
mod parameters;

use crate::contract;
use crate::translate::Renderer;
use api::Method;
use conditional::{Conditional, Versioned};
use formats::Formats;
use prost_reflect::{DescriptorPool, FieldDescriptor};
use riskmesh_core::SystemClock;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use transcode::Transcoder;
use transcode::openapi::{Binding, Describe};

/// The document of a version of the contract: `v1`, `v2`. Errors only where the contract itself is broken.
pub fn openapi(version: &str) -> Result<Value, crate::Error> {
    let pool = DescriptorPool::decode(api::DESCRIPTOR_SET)?;
    let renderer = Renderer { clock: Arc::new(SystemClock) };
    Ok(document(&contract::builder(pool).error_renderer(renderer).build(())?, version))
}

/// The document of the bindings whose paths begin with `/version/`.
pub(crate) fn document<S>(transcoder: &Transcoder<S>, version: &str) -> Value {
    let mut bindings = transcoder.bindings();
    let prefix = format!("/{version}/");
    bindings.retain(|binding| binding.path().starts_with(&prefix));
    transcoder.openapi(&Contract {
        version,
        prefix,
        versioned: Versioned::of(&bindings),
        formats: bindings
            .first()
            .map(|binding| Formats::new(binding.rpc().parent_pool()))
            .unwrap_or_default(),
    })
}

/// What the descriptors alone do not say.
struct Contract<'a> {
    version: &'a str,
    prefix: String,
    versioned: Versioned,
    formats: Formats,
}

impl Contract<'_> {
    /// What the contract says of a binding's method, and what conditional requests mean to it.
    fn facts(&self, binding: &Binding) -> Option<(&'static Method, Conditional)> {
        let method = contract::method(binding.rpc())?;
        Some((method, self.versioned.conditional(binding, method)))
    }
}

impl Describe for Contract<'_> {
    fn info(&self) -> Value {
        json!({
            "title": "Riskmesh API",
            "version": self.version,
            "description": "Risk scores, clients, accounts, transactions and reference data. Every operation takes \
                            `Authorization: Bearer <token>`; reference data needs none. \
                            The same methods are served over gRPC, gRPC-Web and Connect on the same port, with the same messages.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        })
    }

    fn servers(&self) -> Vec<Value> {
        vec![
            json!({ "url": "/", "description": "This host" }),
            json!({ "url": "/api", "description": "The same, for hosts that serve the API beside other things" }),
        ]
    }

    fn includes(&self, binding: &Binding) -> bool {
        binding.path().starts_with(&self.prefix) && contract::method(binding.rpc()).is_some()
    }

    fn security(&self, binding: &Binding) -> Vec<Value> {
        let method = contract::method(binding.rpc()).filter(|method| !method.public);
        method.map(|method| json!({ "bearer": [method.permission] })).into_iter().collect()
    }

    fn errors(&self, binding: &Binding) -> Option<Map<String, Value>> {
        contract::method(binding.rpc()).map(|method| answers::errors(binding, method))
    }

    fn operation(&self, binding: &Binding, operation: &mut Map<String, Value>) {
        let Some((method, conditional)) = self.facts(binding) else { return };
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            let resumed = contract::resume(binding.rpc()).is_some();
            parameters.extend(parameters::of(method, &conditional, resumed));
        }
        if let Some(Value::Object(answers)) = operation.get_mut("responses") {
            answers::complete(answers, method, &conditional);
        }
        if method.public {
            // Said, so that nobody takes it for forgotten.
            operation.insert("security".into(), json!([]));
        }
        if let Some(deprecation) = method.deprecation {
            operation.insert("deprecated".into(), json!(true));
            operation.insert(
                "x-deprecation".into(),
                json!({ "since": deprecation.since, "sunset": deprecation.sunset, "successor": deprecation.successor }),
            );
        }
    }

    fn field(&self, field: &FieldDescriptor, schema: &mut Map<String, Value>) {
        self.formats.add(field, schema);
    }

    /// Numbers of the contract are counts and shares: answers hold no other, and a request that could is for a rule of its own.
    fn is_finite(&self, _: &FieldDescriptor) -> bool {
        true
    }

    fn components(&self) -> Map<String, Value> {
        let bearer = json!({
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of this server's issuer (RFC 6750). The permission that an operation needs is \
                            listed with it.",
        });
        Map::from_iter([
            ("schemas".to_owned(), answers::schemas().into()),
            ("responses".to_owned(), answers::responses()),
            ("headers".to_owned(), answers::headers()),
            ("parameters".to_owned(), parameters::components()),
            ("securitySchemes".to_owned(), json!({ "bearer": bearer })),
        ])
    }
}

#[cfg(test)]
mod tests;
