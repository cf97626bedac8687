//! The request log: one line a request, for people and for `grep`. It names the route's template and ids, never a body or a value
//! that is personal.
//!
//! `[2025-07-30T12:02:15Z] RequestId=abc123 Method=GET Path=/v2/analytics/{clientId} Status=200 Latency=120ms ClientId=xyz789
//! TraceId=…` on one line, or the same as a JSON object.

use crate::Format;
use crate::lines::Lines;
use crate::trace::TraceId;
use riskmesh_core::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

/// The longest value that is logged, in bytes; what is longer is cut.
const MAX_VALUE: usize = 256;

/// One request, answered.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When it arrived.
    pub at: Timestamp,
    /// Its id.
    pub request_id: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The route's template or the gRPC path; never the path with its ids filled in by a caller.
    pub path: &'a str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// How long it took.
    pub latency: Duration,
    /// Which API client asked (the token's `client_id`), where one is known.
    pub client_id: Option<&'a str>,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
}

/// Where the lines go; clones share the queue. Recording never blocks; the last clone to go writes what is queued.
#[derive(Clone, Debug)]
pub struct RequestLog {
    format: Format,
    lines: Lines,
}

impl RequestLog {
    /// A log that writes to `out` on a thread of its own. Errors when the thread cannot be started.
    pub fn new(format: Format, out: impl io::Write + Send + 'static) -> io::Result<Self> {
        Ok(Self { format, lines: Lines::new("request-log", out)? })
    }

    /// A log on standard output.
    pub fn stdout(format: Format) -> io::Result<Self> {
        Self::new(format, io::stdout())
    }

    /// Logs one request.
    pub fn record(&self, entry: &Entry<'_>) {
        let mut line = match self.format {
            Format::Text => text(entry),
            Format::Json => json(entry),
        };
        line.push('\n');
        self.lines.send(line.into_bytes());
    }

    /// How many lines found the queue full and were dropped.
    pub fn dropped(&self) -> u64 {
        self.lines.dropped()
    }
}

/// Visible ASCII without quotes; anything else becomes `_`, so a value can neither start a line nor forge a field.
fn push_clean(line: &mut String, value: &str) {
    if value.is_empty() {
        line.push('-');
    }
    let clean = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' };
    line.extend(value.chars().take(MAX_VALUE).map(clean));
}

fn text(entry: &Entry<'_>) -> String {
    let mut line = String::with_capacity(256);
    // Writing to a String cannot fail.
    let _ = write!(line, "[{}] RequestId=", Timestamp(entry.at.seconds() * 1000));
    push_clean(&mut line, entry.request_id);
    line.push_str(" Method=");
    push_clean(&mut line, entry.method);
    line.push_str(" Path=");
    push_clean(&mut line, entry.path);
    let _ = write!(line, " Status={} Latency={}ms ClientId=", entry.status, entry.latency.as_millis());
    push_clean(&mut line, entry.client_id.unwrap_or_default());
    line.push_str(" TraceId=");
    match entry.trace_id {
        Some(id) => {
            let _ = write!(line, "{id}");
        }
        None => line.push('-'),
    }
    line
}

fn json(entry: &Entry<'_>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line {
        timestamp: String,
        request_id: String,
        method: String,
        path: String,
        status: u16,
        latency_ms: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_id: Option<String>,
    }
    let clean = |value: &str| {
        let mut text = String::new();
        push_clean(&mut text, value);
        text
    };
    let line = Line {
        timestamp: entry.at.to_string(),
        request_id: clean(entry.request_id),
        method: clean(entry.method),
        path: clean(entry.path),
        status: entry.status,
        latency_ms: entry.latency.as_micros() as f64 / 1000.0,
        client_id: entry.client_id.map(clean),
        trace_id: entry.trace_id.map(|id| id.to_string()),
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_string(&line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::lines::tests::Shared;
    use crate::trace::TraceContext;
    use proptest::prelude::*;

    fn entry() -> Entry<'static> {
        let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        Entry {
            at: Timestamp::parse("2025-07-30T12:02:15.250Z").unwrap(),
            request_id: "abc123",
            method: "GET",
            path: "/v2/analytics/{clientId}",
            status: 200,
            latency: Duration::from_micros(120_456),
            client_id: Some("xyz789"),
            trace_id: Some(trace.trace_id),
        }
    }

    fn logged(format: Format, entry: &Entry<'_>) -> String {
        let out = Shared::default();
        RequestLog::new(format, out.clone()).unwrap().record(entry);
        out.text()
    }

    #[test]
    fn a_line_reads_as_documented() {
        assert_eq!(
            logged(Format::Text, &entry()),
            "[2025-07-30T12:02:15Z] RequestId=abc123 Method=GET Path=/v2/analytics/{clientId} Status=200 \
             Latency=120ms ClientId=xyz789 TraceId=0af7651916cd43dd8448eb211c80319c\n"
        );
    }

    #[test]
    fn what_is_unknown_is_a_dash() {
        let line = logged(Format::Text, &Entry { client_id: None, trace_id: None, ..entry() });
        assert!(line.ends_with("ClientId=- TraceId=-\n"), "{line}");
    }

    #[test]
    fn json_has_the_same_fields() {
        let line: serde_json::Value = serde_json::from_str(&logged(Format::Json, &entry())).unwrap();
        assert_eq!(line["timestamp"], "2025-07-30T12:02:15.250Z");
        assert_eq!(line["path"], "/v2/analytics/{clientId}");
        assert_eq!(line["latencyMs"], 120.456);
        assert_eq!(line["traceId"], "0af7651916cd43dd8448eb211c80319c");
    }

    proptest! {
        #[test]
        fn no_value_can_forge_a_line_or_a_field(value in any::<String>()) {
            let forged = Entry { request_id: &value, path: &value, client_id: Some(&value), ..entry() };
            let line = text(&forged);
            prop_assert!(line.bytes().all(|c| c == b' ' || c.is_ascii_graphic()));
            prop_assert_eq!(line.split(' ').count(), 8);
            prop_assert!(line.len() < 4 * MAX_VALUE);
            let value: serde_json::Value = serde_json::from_str(&json(&forged)).unwrap();
            prop_assert_eq!(value["status"].as_u64(), Some(200));
        }
    }
}
