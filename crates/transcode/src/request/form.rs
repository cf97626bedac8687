//! Bodies that are forms, as browsers and curl send them: `application/x-www-form-urlencoded` and `multipart/form-data`
//! (RFC 7578).

use bytes::Bytes;
use http_body_util::BodyDataStream;
use multer::{Constraints, Multipart, SizeLimit};

use super::behavior::of_body;
use super::parameters::{File, Parameters};
use super::{Limits, Woven};
use crate::error::{BoxError, Error, Kind, Result};
use crate::plan::{ParseOptions, Plans};
use crate::rule::RoutePlan;

/// The frame of a request whose body is a form in one text.
pub(crate) fn urlencoded(
    woven: &Woven,
    plans: &Plans,
    route: &RoutePlan,
    body: &[u8],
    options: &ParseOptions,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let text = str::from_utf8(body).map_err(|_| Error::boxed(Kind::Body, "the form is not UTF-8"))?;
    woven.frame(body.len(), |out| {
        let mut parameters = Parameters::of_form(plans, route, options, of_body(route), out);
        for (count, parameter) in crate::escape::query_parameters(text.trim_ascii_end()).enumerate() {
            if count == limits.query_parameters {
                return Err(Error::boxed(Kind::Body, "too many fields in the form"));
            }
            let Some((key, value)) = parameter else {
                return Err(Error::boxed(Kind::Body, "a bad escape in the form"));
            };
            parameters.text(&key, &value)?;
        }
        let sent = parameters.end_form(woven)?;
        woven.put_mask(plans, route, &sent, out);
        Ok(())
    })
}

/// The frame of a request whose body is a form in parts. A part with a file name or a content type is a file: bytes, a
/// `google.api.HttpBody`, or JSON of a message.
pub(crate) async fn multipart<B>(
    woven: &Woven,
    plans: &Plans,
    route: &RoutePlan,
    body: B,
    boundary: String,
    options: &ParseOptions,
    limits: &Limits,
) -> Result<Vec<u8>>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Send + Unpin,
{
    let size = SizeLimit::new().whole_stream(limits.request_bytes as u64);
    let constraints = Constraints::new().size_limit(size);
    let mut form = Multipart::with_constraints(BodyDataStream::new(body), boundary, constraints);
    let mut out = Vec::new();
    let mut parameters = Parameters::of_form(plans, route, options, of_body(route), &mut out);
    let mut count = 0;
    while let Some(part) = form.next_field().await.map_err(|error| fail(error, limits))? {
        if count == limits.query_parameters {
            return Err(Error::boxed(Kind::Body, "too many parts in the form"));
        }
        count += 1;
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(Error::boxed(Kind::Body, "a part of the form has no name"));
        };
        let content_type = part.content_type().map(ToString::to_string);
        let is_file = content_type.is_some() || part.file_name().is_some();
        let bytes = part.bytes().await.map_err(|error| fail(error, limits))?;
        if is_file {
            parameters.file(&name, &File { content_type: content_type.as_deref(), bytes: &bytes })?;
        } else {
            let text = str::from_utf8(&bytes)
                .map_err(|_| Error::boxed(Kind::Body, format!("form field {name}: not UTF-8")))?;
            parameters.text(&name, text)?;
        }
    }
    let sent = parameters.end_form(woven)?;
    woven.frame(out.len(), |frame| {
        frame.extend_from_slice(&out);
        woven.put_mask(plans, route, &sent, frame);
        Ok(())
    })
}

fn fail(error: multer::Error, limits: &Limits) -> Box<Error> {
    match error {
        multer::Error::StreamSizeExceeded { .. } => Error::body_too_large(limits.request_bytes),
        multer::Error::StreamReadFailed(source) => Error::body_read(source),
        error => Error::boxed(Kind::Body, "the body is not a multipart form").with_source(error),
    }
}
