//! Tracing, OTLP, RED metrics, request log
