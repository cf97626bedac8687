//! What operators see: the trace that a request belongs to, RED metrics with exemplars, one log line a request, and OTLP export.
//!
//! Nothing here may cost a caller anything: every queue is bounded, what does not fit is dropped and counted, and a collector or a
//! terminal that is gone slows nobody down. Ids and route templates only: no PII, token or amount reaches a line, label or span.

mod init;
mod lines;
pub mod metrics;
pub mod request_id;
pub mod request_log;
pub mod trace;

pub use init::{Config, Error, Format, Guard, Otlp, init};
pub use metrics::Metrics;
pub use request_id::RequestId;
pub use request_log::RequestLog;
pub use trace::TraceContext;
