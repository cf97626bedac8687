//! The details of a status, as JSON.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::DescriptorPool;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ErrorContext;
use crate::error::Error;
use crate::plan::{Extensions, Plans, PrintOptions, Raw, Reader};

/// The domain of the reasons for which the transcoder itself refuses a call.
const DOMAIN: &str = "transcode";
/// More details than this are not shown: a status is small.
const MOST: usize = 100;

/// The standard types, for services whose descriptors lack them.
static STANDARD: LazyLock<Option<Plans>> = LazyLock::new(|| {
    // Made of `proto/google/rpc`; a test decodes it.
    let pool = DescriptorPool::decode(&include_bytes!("details.binpb")[..]).ok()?;
    Plans::new(&pool, &Extensions::default()).ok()
});

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BadRequest<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    field_violations: Vec<Violation<'a>>,
}

#[derive(Serialize)]
struct ErrorInfo {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'static str,
    domain: &'static str,
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Unknown<'a> {
    #[serde(rename = "@type")]
    kind: &'a str,
    value: String,
}

/// The details of an error: those of the service, and the violations that were found here.
pub(super) fn of(context: &ErrorContext<'_>, error: &Error) -> Vec<Box<RawValue>> {
    let mut details = Vec::new();
    let mut status = Reader::new(&error.details);
    // Bytes that are no status have no details.
    while let Ok(Some((number, raw))) = status.field() {
        if let (3, Raw::Len(any)) = (number, raw)
            && details.len() < MOST
        {
            details.extend(detail(context, any));
        }
    }
    if !error.violations.is_empty() {
        let violations = error.violations.iter();
        let found = BadRequest {
            kind: "type.googleapis.com/google.rpc.BadRequest",
            field_violations: violations
                .map(|v| Violation { field: &v.field, description: &v.description })
                .collect(),
        };
        details.extend(to_raw_value(&found).ok());
    }
    if let Some(reason) = error.kind.reason() {
        let info = ErrorInfo { kind: "type.googleapis.com/google.rpc.ErrorInfo", reason, domain: DOMAIN };
        details.extend(to_raw_value(&info).ok());
    }
    details
}

/// A `google.protobuf.Any` as JSON; none without a type.
fn detail(context: &ErrorContext<'_>, any: &[u8]) -> Option<Box<RawValue>> {
    let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(any);
    while let Ok(Some((number, raw))) = reader.field() {
        match (number, raw) {
            (1, Raw::Len(bytes)) => url = bytes,
            (2, Raw::Len(bytes)) => value = bytes,
            _ => {}
        }
    }
    let kind = str::from_utf8(url).ok().filter(|url| !url.is_empty())?;
    for plans in [context.plans, STANDARD.as_ref()].into_iter().flatten() {
        let mut json = Vec::new();
        let printed = plans
            .message("google.protobuf.Any")
            .map(|id| plans.print(id, any, &PrintOptions::default(), &mut json));
        if let (Some(Ok(())), Ok(json)) = (printed, String::from_utf8(json)) {
            return RawValue::from_string(json).ok();
        }
    }
    to_raw_value(&Unknown { kind, value: BASE64_STANDARD.encode(value) }).ok()
}
