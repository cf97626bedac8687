//! Answers: what success looks like, and every error, from the table of error codes.

use crate::rules::{Binding, Body};
use api::Method;
use api::method::{Cache, Idempotency};
use riskmesh_core::ErrorCode;
use serde_json::{Map, Value, json};

/// The answers of an operation.
pub(super) fn of(binding: &Binding, method: &Method, schema: Option<Value>, example: Option<Value>) -> Value {
    let mut answers = Map::new();
    answers.insert(method.success_status.to_string(), success(method, schema, example));
    if method.cache != Cache::NoStore {
        answers.insert(
            "304".into(),
            json!({ "description": "The caller has it already: `If-None-Match` named its ETag." }),
        );
    }
    let mut statuses = vec![400, 401, 403, 404, 406, 429, 431, 500, 501, 503, 504];
    if !matches!(binding.body, Body::Absent) {
        statuses.extend([408, 413, 415]);
    }
    if method.idempotency != Idempotency::NoSideEffects {
        statuses.extend([409, 412]);
    }
    statuses.sort_unstable();
    for status in statuses {
        answers.insert(
            status.to_string(),
            json!({ "$ref": format!("#/components/responses/{}", name(status)) }),
        );
    }
    answers.into()
}

fn success(method: &Method, schema: Option<Value>, example: Option<Value>) -> Value {
    let description = match method.success_status {
        201 => "Created",
        202 => "Accepted",
        204 => "Done; there is nothing to say",
        _ => "The answer",
    };
    let mut names = vec!["X-Request-Id", "RateLimit", "RateLimit-Policy"];
    if method.cache != Cache::NoStore {
        names.push("ETag");
    }
    if method.success_status == 201 {
        names.push("Location");
    }
    if method.deprecation.is_some() {
        names.extend(["Deprecation", "Sunset", "Link"]);
    }
    let headers: Map<String, Value> = names
        .into_iter()
        .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
        .collect();
    let mut answer = json!({ "description": description, "headers": headers });
    if let Some(schema) = schema {
        let mut content = json!({ "schema": schema });
        if let Some(example) = example {
            content["example"] = example;
        }
        answer["content"] = if method.server_streaming {
            json!({
                "application/json": { "schema": { "type": "array", "items": content["schema"] } },
                "application/x-ndjson": { "schema": content["schema"] },
                "text/event-stream": { "schema": { "type": "string" } },
            })
        } else {
            json!({ "application/json": content })
        };
    }
    answer
}

/// The name of a status among the components.
fn name(status: u16) -> String {
    format!("Error{status}")
}

/// One answer for each status that the table of error codes has.
pub(super) fn responses() -> Value {
    let mut responses = Map::new();
    for code in ErrorCode::ALL {
        let name = name(code.http());
        if responses.contains_key(&name) {
            continue;
        }
        let codes: Vec<ErrorCode> =
            ErrorCode::ALL.iter().copied().filter(|other| other.http() == code.http()).collect();
        let words: Vec<String> = codes
            .iter()
            .map(|code| format!("- `{}`: {}. {}", code.name(), code.message(), code.hint()))
            .collect();
        let examples: Map<String, Value> =
            codes.iter().map(|code| (code.name().to_owned(), json!({ "value": example(*code) }))).collect();
        let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
        for (status, header) in [(401, "WWW-Authenticate"), (429, "Retry-After"), (503, "Retry-After")] {
            if status == code.http() {
                headers[header] = json!({ "$ref": format!("#/components/headers/{header}") });
            }
        }
        responses.insert(
            name,
            json!({
                "description": words.join("\n"),
                "headers": headers,
                "content": {
                    "application/json": {
                        "schema": { "$ref": "#/components/schemas/Error" },
                        "examples": examples,
                    },
                    "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
                },
            }),
        );
    }
    responses.into()
}

fn example(code: ErrorCode) -> Value {
    let details = match code {
        ErrorCode::InvalidInput => {
            json!([{ "field": "accountId", "issue": "must be 10 digits", "expected": "^[0-9]{10}$" }])
        }
        ErrorCode::ClientNotFound => {
            json!([{ "field": "clientId", "issue": "424242 does not exist", "expected": "" }])
        }
        _ => json!([]),
    };
    let message =
        if code == ErrorCode::InvalidInput { "Account ID must be 10 digits" } else { code.message() };
    json!({
        "errorCode": code.name(),
        "message": message,
        "status": code.http(),
        "timestamp": "2025-07-30T14:15:00Z",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "details": details,
        "hint": code.hint(),
    })
}

/// The headers of answers.
pub(super) fn headers() -> Value {
    let header =
        |description: &str, kind: &str| json!({ "description": description, "schema": { "type": kind } });
    json!({
        "X-Request-Id": header("The caller's id of the request, or the one that was made.", "string"),
        "RateLimit": header("What is left of the quota and when more comes: `\"default\";r=99;t=60`.", "string"),
        "RateLimit-Policy": header("The quota: `\"default\";q=100;w=60` is 100 requests in any 60 seconds.", "string"),
        "Retry-After": header("After how many seconds a repeat makes sense.", "integer"),
        "WWW-Authenticate": header("What is wrong with the token (RFC 6750).", "string"),
        "ETag": header("Names this state of the resource, for `If-None-Match`.", "string"),
        "Location": header("Where the created resource is.", "string"),
        "Deprecation": header("Since when the method is deprecated: `@` and seconds since 1970 (RFC 9745).", "string"),
        "Sunset": header("When the method goes away (RFC 8594).", "string"),
        "Link": header("The successor of the method: `</v2/…>; rel=\"successor-version\"`.", "string"),
    })
}

/// The schemas of errors.
pub(super) fn add_schemas(schemas: &mut Map<String, Value>) {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    let ours = json!({
        "errorCode": { "type": "string", "enum": codes, "description": "What went wrong; the names are stable." },
        "status": { "type": "integer", "description": "The HTTP status." },
        "timestamp": { "type": "string", "format": "date-time" },
        "traceId": { "type": "string", "pattern": "^[0-9a-f]{32}$", "description": "What to report." },
        "details": { "type": "array", "items": { "$ref": "#/components/schemas/ErrorDetail" } },
        "hint": { "type": "string", "description": "What the caller can do about it." },
    });
    let with = |more: Value| {
        let mut properties = ours.clone();
        if let (Some(properties), Value::Object(more)) = (properties.as_object_mut(), more) {
            properties.extend(more);
        }
        properties
    };
    schemas.insert(
        "Error".into(),
        json!({
            "type": "object",
            "properties": with(json!({ "message": { "type": "string", "description": "A sentence for people." } })),
            "required": ["errorCode", "message", "status", "timestamp", "traceId", "details", "hint"],
        }),
    );
    schemas.insert(
        "Problem".into(),
        json!({
            "type": "object",
            "description": "RFC 9457, for those who accept it.",
            "properties": with(json!({
                "type": { "type": "string", "format": "uri" },
                "title": { "type": "string" },
                "detail": { "type": "string" },
            })),
            "required": ["type", "title", "status", "detail", "errorCode", "timestamp", "traceId", "details", "hint"],
        }),
    );
    let text = |description: &str| json!({ "type": "string", "description": description });
    schemas.insert(
        "ErrorDetail".into(),
        json!({
            "type": "object",
            "properties": {
                "field": text("The field's path in the body, or the parameter's name."),
                "issue": text("What is wrong with it."),
                "expected": text("What would be right, for machines; empty where that cannot be said."),
            },
            "required": ["field", "issue", "expected"],
        }),
    );
}
