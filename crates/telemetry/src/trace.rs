//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): which trace a request belongs to, across HTTP, gRPC, the log and
//! webhooks.
//!
//! A [`TraceContext`] travels in `traceparent` and `tracestate` headers, and inside a process in a task-local ([`scope`],
//! [`current`]). [`open`] joins it to a `tracing` span: where OTLP export is on, the exporter's ids are the ones that travel, so
//! Jaeger, the request log and an error's `traceId` all name the same trace; where it is off, ids are made here and nothing else
//! changes. The caller's sampling decision is kept; a trace that starts here without an exporter is not sampled.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use std::fmt;
use std::sync::Arc;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Carries trace id, parent span id and the sampling flag.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Carries what tracing vendors add.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The length of a version 00 `traceparent`.
const PARENT_LEN: usize = 55;
/// The most bytes of `tracestate` that are passed on; the specification asks for at least 512.
const MAX_STATE: usize = 512;
/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The id of these bytes; all zeros is none.
            pub fn from_bytes(bytes: [u8; $len]) -> Option<Self> {
                (bytes != [0; $len]).then_some(Self(bytes))
            }

            /// Its bytes.
            pub const fn to_bytes(self) -> [u8; $len] {
                self.0
            }

            /// A random one. It names a trace or span and decides nothing, so it is not drawn from the seeded rng.
            fn random() -> Self {
                loop {
                    if let Some(id) = Self::from_bytes(rand::random()) {
                        return id;
                    }
                }
            }

            /// Lower-case hexadecimal, exactly.
            fn parse(hex: &[u8]) -> Option<Self> {
                let mut bytes = [0; $len];
                if hex.len() != 2 * $len {
                    return None;
                }
                for (byte, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
                    *byte = hex_byte(digits)?;
                }
                Self::from_bytes(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id!(
    /// A trace's id, never all zeros; prints as 32 hexadecimal digits.
    TraceId,
    16
);
id!(
    /// A span's id, never all zeros; prints as 16 hexadecimal digits.
    SpanId,
    8
);

/// One byte of two lower-case hexadecimal digits.
fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    match digits {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Where in which trace we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that calls: the parent of what the callee opens.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// A valid `tracestate`, passed on as it came.
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// A new trace.
    pub fn root(sampled: bool) -> Self {
        Self { trace_id: TraceId::random(), span_id: SpanId::random(), sampled, state: None }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: SpanId::random(), ..self.clone() }
    }

    /// Parses a `traceparent`. Strict: lower-case hexadecimal, no zero ids, version 00 of exactly its length; a later version is
    /// read as the specification says (the first four fields), `ff` is refused.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let text = traceparent.as_bytes();
        let (head, rest) = text.split_at_checked(PARENT_LEN)?;
        let version = hex_byte(&head[..2])?;
        let dashes = [2, 35, 52].iter().all(|&at| head[at] == b'-');
        let length_fits = rest.is_empty() || (version != 0 && rest[0] == b'-');
        if version == 0xff || !dashes || !length_fits {
            return None;
        }
        Some(Self {
            trace_id: TraceId::parse(&head[3..35])?,
            span_id: SpanId::parse(&head[36..52])?,
            sampled: hex_byte(&head[53..55])? & 1 == 1,
            state: None,
        })
    }

    /// With this `tracestate`; one that is not valid is left out, as the specification wants.
    #[must_use]
    pub fn with_state(mut self, tracestate: &str) -> Self {
        self.state = valid_state(tracestate).then(|| tracestate.into());
        self
    }

    /// The `tracestate` that came with it.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The `traceparent` that names this context, version 00.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }

    /// Reads the context out of headers; `None` where there is no single valid `traceparent`.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let context = Self::parse(parent.to_str().ok()?)?;
        let mut state = String::new();
        for part in headers.get_all(TRACESTATE) {
            let Ok(part) = part.to_str() else { return Some(context) };
            if !state.is_empty() {
                state.push(',');
            }
            state.push_str(part);
            if state.len() > MAX_STATE {
                return Some(context);
            }
        }
        Some(context.with_state(&state))
    }

    /// Writes the context into headers, replacing what is there.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.remove(TRACESTATE);
        // Both are made of visible ASCII: the conversions cannot fail.
        if let Ok(parent) = HeaderValue::from_str(&self.traceparent()) {
            headers.insert(TRACEPARENT, parent);
        }
        if let Some(state) = self.state().and_then(|state| HeaderValue::from_str(state).ok()) {
            headers.insert(TRACESTATE, state);
        }
    }

    fn from_otel(context: &SpanContext) -> Option<Self> {
        let made = Self {
            trace_id: TraceId::from_bytes(context.trace_id().to_bytes())?,
            span_id: SpanId::from_bytes(context.span_id().to_bytes())?,
            sampled: context.is_sampled(),
            state: None,
        };
        Some(made.with_state(&context.trace_state().header()))
    }

    fn to_otel(&self) -> SpanContext {
        let state = self.state().and_then(|state| state.parse::<TraceState>().ok());
        SpanContext::new(
            opentelemetry::trace::TraceId::from_bytes(self.trace_id.0),
            opentelemetry::trace::SpanId::from_bytes(self.span_id.0),
            TraceFlags::default().with_sampled(self.sampled),
            true,
            state.unwrap_or_default(),
        )
    }
}

/// Whether this is a `tracestate` as the specification has it: at most 32 `key=value` members, each key once.
fn valid_state(text: &str) -> bool {
    if text.is_empty() || text.len() > MAX_STATE {
        return false;
    }
    let mut keys = Vec::with_capacity(4);
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        if member.is_empty() {
            continue;
        }
        let Some((key, value)) = member.split_once('=') else { return false };
        if !valid_key(key) || !valid_value(value) || keys.contains(&key) || keys.len() == MAX_MEMBERS {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn valid_key(key: &str) -> bool {
    let part = |text: &str, max: usize, digit_first: bool| {
        let first = text.as_bytes().first().copied().unwrap_or(b'!');
        text.len() <= max
            && (first.is_ascii_lowercase() || (digit_first && first.is_ascii_digit()))
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-*/".contains(&c))
    };
    match key.split_once('@') {
        Some((tenant, system)) => part(tenant, 241, true) && part(system, 14, false),
        None => part(key, 256, false),
    }
}

fn valid_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value.bytes().all(|c| (b' '..=b'~').contains(&c) && c != b',' && c != b'=')
        && !value.ends_with(' ')
}

/// Joins a new `tracing` span to the trace of `parent`, or begins a trace, and says where in it the span stands. Call it right
/// after making the span, before it is entered.
pub fn open(span: &tracing::Span, parent: Option<&TraceContext>) -> TraceContext {
    if let Some(parent) = parent {
        // Without the OTLP layer, or with the span filtered out, there is nothing to join: that is fine.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent.to_otel()));
    }
    let exported = TraceContext::from_otel(span.context().span().span_context());
    exported.unwrap_or_else(|| parent.map_or_else(|| TraceContext::root(false), TraceContext::child))
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Runs a future within a trace.
pub async fn scope<F: Future>(context: TraceContext, future: F) -> F::Output {
    CURRENT.scope(context, future).await
}

/// Runs a closure within a trace.
pub fn sync_scope<T>(context: TraceContext, run: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(context, run)
}

/// The context that this task runs in.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The id of the trace that this task runs in: the `traceId` of an error.
pub fn current_id() -> Option<TraceId> {
    CURRENT.try_with(|context| context.trace_id).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_the_specifications_example() {
        let context = TraceContext::parse(PARENT).unwrap();
        assert_eq!(context.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id.to_string(), "b7ad6b7169203331");
        assert!(context.sampled);
        assert_eq!(context.traceparent(), PARENT);
    }

    #[test]
    fn refuses_what_the_specification_refuses() {
        for bad in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_later_version_is_read_by_its_first_fields() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-ever";
        assert_eq!(TraceContext::parse(later).unwrap().traceparent(), PARENT);
    }

    #[test]
    fn headers_carry_it_both_ways() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(PARENT));
        headers.append(TRACESTATE, HeaderValue::from_static("rojo=00f067aa0ba902b7"));
        headers.append(TRACESTATE, HeaderValue::from_static("congo=t61rcWkgMzE"));
        let context = TraceContext::extract(&headers).unwrap();
        assert_eq!(context.state(), Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
        let mut out = HeaderMap::new();
        context.inject(&mut out);
        assert_eq!(TraceContext::extract(&out), Some(context));
    }

    #[test]
    fn two_parents_are_none_and_a_bad_state_is_left_out() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(PARENT));
        for bad in ["no-equals", "a=1,a=2", "A=1", "a=", "a=\x7f", "a@1=x", "="] {
            let state = TraceContext::parse(PARENT).unwrap().with_state(bad);
            assert_eq!(state.state(), None, "{bad}");
        }
        headers.append(TRACEPARENT, HeaderValue::from_static(PARENT));
        assert_eq!(TraceContext::extract(&headers), None);
    }

    #[test]
    fn a_child_stays_in_the_trace_and_keeps_the_decision() {
        let parent = TraceContext::parse(PARENT).unwrap().with_state("a=1");
        let child = open(&tracing::Span::none(), Some(&parent));
        assert_eq!((child.trace_id, child.sampled, child.state()), (parent.trace_id, true, Some("a=1")));
        assert_ne!(child.span_id, parent.span_id);
        assert!(!open(&tracing::Span::none(), None).sampled);
    }

    #[tokio::test]
    async fn the_current_trace_is_that_of_the_innermost_scope() {
        assert_eq!(current_id(), None);
        let (outer, inner) = (TraceContext::root(true), TraceContext::root(true));
        scope(outer.clone(), async {
            assert_eq!(current(), Some(outer.clone()));
            sync_scope(inner.clone(), || assert_eq!(current_id(), Some(inner.trace_id)));
            assert_eq!(current_id(), Some(outer.trace_id));
        })
        .await;
    }

    proptest! {
        #[test]
        fn any_text_parses_or_not_without_panic(text in any::<String>()) {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(TraceContext::parse(&context.traceparent()), Some(context));
            }
        }

        #[test]
        fn near_misses_do_not_panic(at in 0_usize..55, c in any::<char>()) {
            let text: String = PARENT.chars().enumerate().map(|(i, old)| if i == at { c } else { old }).collect();
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(TraceContext::parse(&context.traceparent()), Some(context));
            }
        }

        #[test]
        fn what_prints_parses(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled in any::<bool>()) {
            if let (Some(trace_id), Some(span_id)) = (TraceId::from_bytes(trace), SpanId::from_bytes(span)) {
                let context = TraceContext { trace_id, span_id, sampled, state: None };
                prop_assert_eq!(TraceContext::parse(&context.traceparent()), Some(context));
            }
        }

        #[test]
        fn a_kept_state_is_a_header_and_reads_back(text in "[a-c@=, 1\t]{0,40}") {
            let context = TraceContext::parse(PARENT).unwrap().with_state(&text);
            if context.state().is_some() {
                let mut headers = HeaderMap::new();
                context.inject(&mut headers);
                prop_assert!(headers.contains_key(TRACESTATE));
            }
        }
    }
}
