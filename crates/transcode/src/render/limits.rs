//! What a status says of limits, as headers of HTTP.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::Error;
use crate::plan::{Raw, Reader};

const NAMES: [HeaderName; 3] =
    [header::RETRY_AFTER, HeaderName::from_static("ratelimit"), HeaderName::from_static("ratelimit-policy")];

impl Error {
    /// Adds `Retry-After`, `RateLimit` and `RateLimit-Policy` as the service gave them: by metadata of these names, or, for
    /// `Retry-After`, by a `google.rpc.RetryInfo` among the details of its status. For renderers; those of this crate do it.
    pub fn add_limits(&self, headers: &mut HeaderMap) {
        for name in NAMES {
            for value in self.metadata.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        if !headers.contains_key(header::RETRY_AFTER)
            && let Some(seconds) = retry_delay(&self.details)
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// The delay of a status's `google.rpc.RetryInfo`, in whole seconds, rounded up.
fn retry_delay(status: &[u8]) -> Option<u64> {
    let any = values(status, 3).find(|any| {
        let url = values(any, 1).last().unwrap_or_default();
        url.ends_with(b"/google.rpc.RetryInfo")
    })?;
    let info = values(any, 2).last()?;
    let (mut seconds, mut nanos) = (0, 0);
    let mut duration = Reader::new(values(info, 1).last()?);
    while let Some(field) = duration.field().ok()? {
        match field {
            (1, Raw::Varint(value)) => seconds = value.cast_signed(),
            (2, Raw::Varint(value)) => nanos = value.cast_signed(),
            _ => {}
        }
    }
    u64::try_from(seconds.saturating_add(i64::from(nanos > 0))).ok()
}

/// The values of a length-delimited field; bytes that are no message have none.
fn values(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(message);
    std::iter::from_fn(move || reader.field().ok().flatten()).filter_map(move |(of, raw)| match raw {
        Raw::Len(bytes) if of == number => Some(bytes),
        _ => None,
    })
}
