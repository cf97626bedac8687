//! Bodies that are forms, as browsers and curl send them: `application/x-www-form-urlencoded` and `multipart/form-data`
//! (RFC 7578).

use bytes::Bytes;
use http_body_util::{BodyDataStream, Full};
use multer::Multipart;

use super::behavior::of_body;
use super::file::File;
use super::parameters::Parameters;
use super::{Limits, Woven};
use crate::error::{Error, Kind, Result};
use crate::plan::{ParseOptions, Plans, shown};
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

/// The frame of a request whose body is a form in parts. A part with a file name, or of a type that is not `text/plain`, is a file:
/// bytes, a `google.api.HttpBody`, or JSON of a message.
pub(crate) async fn multipart(
    woven: &Woven,
    plans: &Plans,
    route: &RoutePlan,
    body: Bytes,
    boundary: String,
    options: &ParseOptions,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let mut form = Multipart::new(BodyDataStream::new(Full::new(body)), boundary);
    let mut out = Vec::new();
    let mut parameters = Parameters::of_form(plans, route, options, of_body(route), &mut out);
    let mut count = 0;
    while let Some(part) = form.next_field().await.map_err(fail)? {
        if count == limits.query_parameters {
            return Err(Error::boxed(Kind::Body, "too many parts in the form"));
        }
        count += 1;
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(Error::boxed(Kind::Body, "a part of the form has no name"));
        };
        let content_type = part.content_type().map(ToString::to_string);
        let file_name = part.file_name().map(str::to_owned);
        let bytes = part.bytes().await.map_err(fail)?;
        // What browsers send of an input of files that nobody chose one for.
        if file_name.as_deref() == Some("") && bytes.is_empty() {
            continue;
        }
        if file_name.is_none() && content_type.as_deref().is_none_or(is_text) {
            let text = str::from_utf8(&bytes).map_err(|_| not_text(&name))?;
            parameters.text(&name, text)?;
        } else {
            parameters.file(&name, &File { content_type: content_type.as_deref(), bytes: &bytes })?;
        }
    }
    let sent = parameters.end_form(woven)?;
    woven.frame(out.len(), |frame| {
        frame.extend_from_slice(&out);
        woven.put_mask(plans, route, &sent, frame);
        Ok(())
    })
}

/// Whether a part is a text like one without a type (RFC 7578, section 4.4).
fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/plain")
}

fn not_text(name: &str) -> Box<Error> {
    let (name, problem) = (shown(name.as_bytes()), "not UTF-8");
    Error::boxed(Kind::Body, format!("form field {name}: {problem}")).with_violation(
        name,
        problem,
        Some("text in UTF-8".to_owned()),
    )
}

fn fail(error: multer::Error) -> Box<Error> {
    Error::boxed(Kind::Body, "the body is not a multipart form").with_source(error)
}
