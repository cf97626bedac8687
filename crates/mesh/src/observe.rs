//! Span and RED metrics around a call, at either end of it.

use crate::body::{Watch, watched};
use crate::layer::Inner;
use crate::status::{code_in, code_name, is_fault};
use api::Method;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};
use telemetry::metrics::{Call, Side};
use telemetry::{Metrics, TraceContext, trace};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span};

/// The label for paths outside the contract: what a stranger asks for must not become a label.
const OTHER: &str = "other";

/// Measures the call, in a span that is the child of `parent`; the layers further in find their place in the trace in the request's
/// extensions.
pub(crate) async fn observe<S: Inner>(
    next: S,
    mut request: Request<Body>,
    side: Side,
    role: &'static str,
    metrics: Metrics,
    parent: Option<TraceContext>,
) -> Response<Body> {
    let method = Method::find(request.uri().path()).map_or(OTHER, |method| method.path);
    let kind = if side == Side::Server { "server" } else { "client" };
    let span = tracing::info_span!(
        "rpc",
        otel.name = method,
        otel.kind = kind,
        otel.status_code = tracing::field::Empty,
        rpc.system = "grpc",
        rpc.grpc.status_code = tracing::field::Empty,
        role,
    );
    let trace = trace::open(&span, parent.as_ref());
    let mut call = metrics.start(side, role, method);
    call.in_trace(trace.clone());
    request.extensions_mut().insert(trace);
    let meter = Meter { call: Some(call), span: span.clone() };
    let Ok(response) = next.oneshot(request).instrument(span).await;
    meter.watch(response)
}

struct Meter {
    call: Option<Call>,
    span: Span,
}

impl Meter {
    fn watch(mut self, response: Response<Body>) -> Response<Body> {
        if let Some(code) = code_in(response.headers()) {
            self.finish(code);
            return response;
        }
        if response.body().is_end_stream() {
            // An answer without a status: whoever made it speaks no gRPC.
            self.finish(Code::Unknown);
            return response;
        }
        response.map(|body| watched(body, self))
    }

    fn finish(&mut self, code: Code) {
        self.span.record("rpc.grpc.status_code", code as i32);
        if is_fault(code) {
            self.span.record("otel.status_code", "ERROR");
        }
        if let Some(call) = self.call.take() {
            call.finish(code_name(code));
        }
    }
}

impl Watch for Meter {
    fn poll(
        &mut self,
        body: Pin<&mut Body>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = {
            let _entered = self.span.enter();
            body.poll_frame(context)
        };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.finish(code_in(trailers).unwrap_or(Code::Unknown));
                }
            }
            Poll::Ready(Some(Err(status))) => self.finish(status.code()),
            Poll::Ready(None) => self.finish(Code::Unknown),
            Poll::Pending => {}
        }
        frame
    }
}
