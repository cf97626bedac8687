//! The headers that requests may have.

use super::conditional::Conditional;
use api::Method;
use serde_json::{Value, json};

/// The headers that mean something to a method, which may be a stream that can be resumed.
pub(super) fn of(
    method: &Method,
    conditional: &Conditional,
    resumed: bool,
) -> impl Iterator<Item = Value> + use<> {
    let names = [
        (conditional.if_none_match, "IfNoneMatch"),
        (conditional.if_match, "IfMatch"),
        (method.idempotency_key, "IdempotencyKey"),
        (resumed, "LastEventId"),
        (true, "RequestId"),
        (true, "RequestTimeout"),
    ];
    let taken = names.into_iter().filter(|(taken, _)| *taken);
    taken.map(|(_, name)| json!({ "$ref": format!("#/components/parameters/{name}") }))
}

/// The headers that any operation may be sent.
pub(super) fn components() -> Value {
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
            "A key of the caller's: the same request with the same key is done once. Visible ASCII without a blank; quotes around it \
             make no other key. Sent once.",
            json!({ "type": "string", "pattern": r#"^("[!#-\[\]-~]{1,255}"|[!#-~][!-~]{0,254})$"# }),
        ),
        "LastEventId": header(
            "Last-Event-ID",
            "The id of the last event that the caller got: the stream goes on after it, as with `after`.",
            json!({ "type": "string" }),
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
