//! Answers: what success looks like, and every error, from the table of error codes.

use super::conditional::Conditional;
use api::Method;
use api::method::{Cache, Idempotency};
use riskmesh_core::ErrorCode;
use serde_json::{Map, Value, json};
use transcode::openapi::{Binding, Body};

/// What every answer to a counted request carries.
const COMMON: [&str; 3] = ["X-Request-Id", "RateLimit", "RateLimit-Policy"];
/// What answers that every cache may keep carry.
const CACHED: [&str; 2] = ["Cache-Control", "Surrogate-Key"];
/// What every answer of a deprecated method carries.
const DEPRECATED: [&str; 3] = ["Deprecation", "Sunset", "Link"];
/// The errors that are found before it is known which method is called.
const NO_METHOD: [u16; 3] = [405, 414, 431];
/// The error that is found before it is known whose quota to count against.
const NO_CALLER: u16 = 401;

/// What is computed from data that may be lacking: such a read can be in conflict with the state that there is.
const COMPUTED: [&str; 1] = ["/riskmesh.market.v1.PortfolioRiskService/GetPortfolioAnalytics"];

/// The errors of an operation.
pub(super) fn errors(binding: &Binding, method: &Method) -> Map<String, Value> {
    let mut statuses = vec![400, 401, 404, 406, 414, 429, 431, 500, 501, 503, 504];
    if !method.public {
        statuses.push(403);
    }
    if !matches!(binding.body(), Body::Absent) {
        statuses.extend([408, 413, 415]);
    }
    if method.idempotency != Idempotency::NoSideEffects || COMPUTED.contains(&method.path) {
        statuses.extend([409, 412]);
    }
    let answer = |status: u16| {
        let name = name(status, method.deprecation.is_some());
        (status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }))
    };
    statuses.into_iter().map(answer).collect()
}

/// Adds to the answers of an operation what success looks like beside its body.
pub(super) fn complete(answers: &mut Map<String, Value>, method: &Method, conditional: &Conditional) {
    let mut more = Vec::new();
    if conditional.tagged {
        more.push("ETag");
    }
    // What makes something once for a key, or for an id that the caller chose, answers a repeat as it did the first time.
    if method.idempotency_key || creates(method) && method.idempotency == Idempotency::Idempotent {
        more.push("Idempotent-Replayed");
    }
    if creates(method) {
        more.push("Location");
    }
    let public: &[&str] = if method.cache == Cache::Public { &CACHED } else { &[] };
    more.extend(public);
    if let Some(success) = answers.get_mut(&method.success_status.to_string()) {
        success["headers"] = headers_of(method, &more);
    }
    if conditional.if_none_match {
        let known: Vec<&str> = ["ETag"].into_iter().chain(public.iter().copied()).collect();
        let description = "The caller has it already: `If-None-Match` named its ETag.";
        let answer = json!({ "description": description, "headers": headers_of(method, &known) });
        answers.insert("304".into(), answer);
    }
}

fn creates(method: &Method) -> bool {
    method.success_status == 201
}

/// References to the headers of an answer: those of every answer of the method, and more.
fn headers_of(method: &Method, more: &[&'static str]) -> Value {
    let deprecated: &[&str] = if method.deprecation.is_some() { &DEPRECATED } else { &[] };
    references(COMMON.iter().chain(deprecated).chain(more))
}

fn references<'a>(names: impl Iterator<Item = &'a &'a str>) -> Value {
    let reference =
        |name: &&str| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    names.map(reference).collect::<Map<_, _>>().into()
}

/// The name of a status among the components.
fn name(status: u16, deprecated: bool) -> String {
    let deprecated = deprecated && !NO_METHOD.contains(&status);
    format!("{}Error{status}", if deprecated { "Deprecated" } else { "" })
}

/// One answer for each status that the table of error codes has, and one more of deprecated methods.
pub(super) fn responses() -> Value {
    let mut responses = Map::new();
    for code in ErrorCode::ALL {
        let status = code.http();
        if responses.contains_key(&name(status, false)) {
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
        for deprecated in [false, true] {
            responses.insert(
                name(status, deprecated),
                json!({
                    "description": words.join("\n"),
                    "headers": error_headers(status, deprecated && !NO_METHOD.contains(&status)),
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
    }
    responses.into()
}

fn error_headers(status: u16, deprecated: bool) -> Value {
    let counted = status != NO_CALLER && !NO_METHOD.contains(&status);
    let own: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        415 => &["Accept-Encoding"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    let common = COMMON.iter().take(if counted { COMMON.len() } else { 1 });
    references(common.chain(if deprecated { DEPRECATED.as_slice() } else { &[] }).chain(own))
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
        "Accept-Encoding": header("The content codings that a body may have, where its own was not understood.", "string"),
        "ETag": header("Names this state of the resource, for `If-None-Match` and `If-Match`.", "string"),
        "Idempotent-Replayed": header("`true` where the request was carried out before, and this is its answer.", "boolean"),
        "Location": header("Where the created resource is.", "string"),
        "Cache-Control": header("How long every cache may keep the answer.", "string"),
        "Surrogate-Key": header("What shared caches know the answer by, to forget it when it changes.", "string"),
        "Deprecation": header("Since when the method is deprecated: `@` and seconds since 1970 (RFC 9745).", "string"),
        "Sunset": header("When the method goes away (RFC 8594).", "string"),
        "Link": header("The successor of the method: `</v2/…>; rel=\"successor-version\"`.", "string"),
    })
}

/// The schemas of errors.
pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
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
    schemas
}
