//! Calls by GET: the message is in the query.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::{Call, Codec, coding_of, invalid};
use crate::coding::{self, Coding};
use crate::error::{Error, Kind, Result};

/// URL-safe, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the query of a GET says: the codec, the coding that it came in, and the message.
pub(super) fn read(call: &Call) -> Result<(Codec, Option<Coding>, Bytes)> {
    let limits = call.engine.limits_of(&call.parts);
    let (mut encoding, mut message, mut compression, mut base64, mut version) =
        (None, None, None, None, None);
    let query = call.parts.uri.query().unwrap_or_default();
    for (count, parameter) in crate::escape::query_parameters(query).enumerate() {
        if count == limits.query_parameters {
            return Err(invalid("too many query parameters"));
        }
        // Whatever is not UTF-8 has to come as base64.
        let (key, value) = parameter.ok_or_else(|| invalid("a bad escape in the query"))?;
        let place = match &*key {
            "encoding" => &mut encoding,
            "message" => &mut message,
            "compression" => &mut compression,
            "base64" => &mut base64,
            "connect" => &mut version,
            // Others may be there, says the protocol.
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(invalid("a query parameter of Connect's is given twice"));
        }
    }
    if version.is_some_and(|version| version != "v1") {
        return Err(invalid("the query parameter connect must be v1"));
    }
    let encoding = encoding.ok_or_else(|| invalid("the query parameter encoding is missing"))?;
    let codec = Codec::of(&encoding).ok_or_else(|| {
        Error::boxed(Kind::UnsupportedMediaType, "the query parameter encoding must be json or proto")
    })?;
    let message = message.ok_or_else(|| invalid("the query parameter message is missing"))?;
    let coding = coding_of(&compression.unwrap_or_default())?;
    let message = if base64.is_some_and(|base64| base64 == "1") {
        Bytes::from(
            BASE64.decode(&*message).map_err(|_| invalid("the query parameter message is not base64"))?,
        )
    } else {
        Bytes::from(message.into_owned())
    };
    if message.len() > limits.request_bytes {
        return Err(Error::body_too_large(limits.request_bytes));
    }
    let message = match coding {
        None => message,
        Some(coding) => match coding::decode(coding, message, limits.request_bytes) {
            Ok(message) => message.into(),
            Err(coding::Error::TooLarge(limit)) => return Err(Error::body_too_large(limit)),
            Err(error) => {
                return Err(Error::boxed(Kind::Query, format!("the message does not decode: {error}")));
            }
        },
    };
    Ok((codec, coding, message))
}
