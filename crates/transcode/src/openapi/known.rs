//! How proto3 JSON writes Google's well-known types.

use serde_json::{Value, json};

/// Whether a message is written as the value that it wraps.
pub(super) fn is_wrapper(full_name: &str) -> bool {
    full_name.strip_prefix("google.protobuf.").is_some_and(|name| {
        let wraps = ["Double", "Float", "Int32", "UInt32", "Int64", "UInt64", "Bool", "String", "Bytes"];
        name.strip_suffix("Value").is_some_and(|name| wraps.contains(&name))
    })
}

/// Whether JSON has a form of its own for a message.
pub(super) fn is_known(full_name: &str) -> bool {
    is_wrapper(full_name) || schema(full_name).is_some()
}

/// The schema of a well-known type that is no wrapper; none for other messages.
pub(super) fn schema(full_name: &str) -> Option<Value> {
    if full_name == "google.api.HttpBody" {
        return Some(json!({ "description": "Any content." }));
    }
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$" }),
        "FieldMask" => json!({ "type": "string", "pattern": "^([A-Za-z0-9_.]+(,[A-Za-z0-9_.]+)*)?$" }),
        "Empty" => json!({ "type": "object", "additionalProperties": false }),
        "Struct" => json!({ "type": "object" }),
        "ListValue" => json!({ "type": "array", "items": {} }),
        "Value" => json!({}),
        "Any" => {
            json!({ "type": "object", "properties": { "@type": { "type": "string" } }, "required": ["@type"] })
        }
        _ => return None,
    })
}
