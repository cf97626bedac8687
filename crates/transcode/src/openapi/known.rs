//! How proto3 JSON writes Google's well-known types.

use serde_json::{Value, json};

/// The schema of a well-known type; none for other messages.
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
        "DoubleValue" | "FloatValue" => json!({ "type": ["number", "null"] }),
        "Int32Value" | "UInt32Value" => json!({ "type": ["integer", "null"] }),
        "Int64Value" | "UInt64Value" | "StringValue" => json!({ "type": ["string", "null"] }),
        "BytesValue" => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
        "BoolValue" => json!({ "type": ["boolean", "null"] }),
        _ => return None,
    })
}
