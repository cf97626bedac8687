//! One request message from path, query and body, by concatenation: `query ‖ body ‖ path`.
//!
//! Protobuf merges what is concatenated, so that no object is needed to weave the three. What each of them sets is kept
//! apart by a tree of taken fields: a field set twice, or two members of a oneof, is an error, not a merge.

mod behavior;
mod capture;
mod file;
pub(crate) mod form;
mod parameters;
mod update;

pub(crate) use capture::Capture;
use parameters::Parameters;
use update::UpdateMask;

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::framing::PREFIX;
use crate::plan::{
    Field, Kind, Known, LEN, MessageId, ParseOptions, Plans, Selection, TextError, Update, close_len,
    open_len, put_duration, put_field_mask, put_len, put_tag, put_timestamp,
};
use crate::rule::{BodyRule, RoutePlan};

/// Bounds on what a client sends. All of them are generous for an API and small for a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body, and of each message of a request stream: 4 MiB.
    pub request_bytes: usize,
    /// Bytes of each response message: 16 MiB.
    pub response_bytes: usize,
    /// Query parameters of a request: 1000.
    pub query_parameters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_bytes: 4 << 20, response_bytes: 16 << 20, query_parameters: 1000 }
    }
}

/// The bound on one request's body, instead of [`Limits::request_bytes`], if it is among the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

/// What stays the same for every message of a request: the fields that query and path set, on the wire.
#[derive(Debug, Default)]
pub(crate) struct Woven {
    query: Vec<u8>,
    path: Vec<u8>,
    /// The update mask that the query gave.
    mask: Option<UpdateMask>,
    /// What the client wants of the answer, if not all.
    pub(crate) selection: Option<Selection>,
}

impl Woven {
    /// Turns bindings and query into wire format.
    pub(crate) fn new(
        plans: &Plans,
        route: &RoutePlan,
        bindings: &[String],
        query: Option<&str>,
        resumed: Option<&str>,
        options: &ParseOptions,
        limits: &Limits,
    ) -> Result<Self> {
        let mut woven = Self::default();
        for (path, value) in route.variables.iter().zip(bindings) {
            put_path(plans, route.input, path, &mut woven.path, |field, out| {
                put_leaf(plans, field, value, options, out)
            })
            .map_err(|error| {
                let (name, TextError { message, expected }) = (json_path(plans, route.input, path), error);
                Error::boxed(ErrorKind::Path, format!("{name} in the path: {message}")).with_violation(
                    name,
                    message,
                    Some(expected.into_owned()),
                )
            })?;
        }
        let query = query.unwrap_or_default();
        if !query.is_empty() || resumed.is_some() {
            let mut parameters = Parameters::of_query(plans, route, options, &mut woven.query);
            let (mut selection, mut selected) = (None, false);
            for (count, parameter) in crate::escape::query_parameters(query).enumerate() {
                if count == limits.query_parameters {
                    return Err(Error::boxed(ErrorKind::Query, "too many query parameters"));
                }
                let Some((key, value)) = parameter else {
                    return Err(Error::boxed(ErrorKind::Query, "a bad escape in the query"));
                };
                if selects(plans, route, &key) {
                    selection = select(plans, route, &key, &value, std::mem::replace(&mut selected, true))?;
                    continue;
                }
                parameters.text(&key, &value)?;
            }
            if let (Some(plan), Some(id)) = (&route.resume, resumed) {
                parameters.text(&plan.resume_from, id)?;
            }
            woven.selection = selection;
            let taken;
            (taken, woven.mask) = parameters.end()?;
            behavior::check_parameters(plans, route, &taken)?;
        } else {
            behavior::check_parameters(plans, route, &route.query_bound)?;
        }
        Ok(woven)
    }

    /// The gRPC frame of a request whose body adds what `put` writes, of about this many bytes.
    pub(crate) fn frame(&self, size: usize, put: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(PREFIX + self.query.len() + self.path.len() + size + 16);
        out.extend_from_slice(&[0; PREFIX]);
        out.extend_from_slice(&self.query);
        put(&mut out)?;
        out.extend_from_slice(&self.path);
        let length = u32::try_from(out.len() - PREFIX)
            .map_err(|_| Error::boxed(ErrorKind::BodyTooLarge, "the request body is too large"))?;
        out[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(out)
    }

    /// The frame of a request whose body is this JSON.
    pub(crate) fn json_frame(
        &self,
        plans: &Plans,
        route: &RoutePlan,
        body: &[u8],
        options: &ParseOptions,
    ) -> Result<Vec<u8>> {
        self.frame(body.len(), |out| self.json(plans, route, body, options, out))
    }

    /// The frame of a request whose body is these bytes, sent as this content type: a `google.api.HttpBody`.
    pub(crate) fn raw_frame(
        &self,
        plans: &Plans,
        route: &RoutePlan,
        body: &[u8],
        content_type: &[u8],
    ) -> Result<Vec<u8>> {
        self.frame(body.len() + content_type.len(), |out| {
            raw_body(plans, route, body, content_type, out);
            Ok(())
        })
    }

    fn json(
        &self,
        plans: &Plans,
        route: &RoutePlan,
        body: &[u8],
        options: &ParseOptions,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return behavior::check_body(plans, route, &route.bound);
        }
        let behavior = behavior::of_body(route);
        match route.body {
            BodyRule::No => {
                return Err(Error::boxed(ErrorKind::Body, "this method takes no body").with_violation(
                    "",
                    "must be empty",
                    Some("no body".to_owned()),
                ));
            }
            BodyRule::Whole => {
                let start = out.len();
                plans.parse_with(body, options, out, |parser| {
                    parser.enforce(behavior, route.is_patch);
                    parser.message(route.input, Some(&route.bound))
                })?;
                update::check_whole(plans, route, (body, &out[start..]), options)?;
            }
            BodyRule::Field(index) => {
                let bound = Some(&route.bound);
                let mut given = false;
                plans.parse_with(body, options, out, |parser| {
                    parser.enforce(behavior, route.is_patch);
                    given = parser.body_field(route.input, index, bound)?;
                    Ok(())
                })?;
                if !given {
                    return behavior::check_body(plans, route, &route.bound);
                }
                let Some(id) = plans.get(route.input).fields[index as usize].message() else { return Ok(()) };
                let changes = |path: &str| self.changes(path);
                let wanted = self.mask.is_none() && route.mask.is_some();
                if wanted || behavior.immutable {
                    let update = Update { at: "", behavior, changes: &changes, wanted };
                    self.put_mask(plans, route, &plans.sent(id, body, options, update)?, out);
                }
            }
        }
        Ok(())
    }
}

/// Whether a query parameter says what the client wants of the answer: `$fields`, or `fields` where the request has no such field.
fn selects(plans: &Plans, route: &RoutePlan, key: &str) -> bool {
    let named = match key {
        "fields" => plans.get(route.input).names.get(b"fields").is_none(),
        key => key == "$fields",
    };
    named && route.partial && !route.raw_response
}

/// Reads what the client wants of the answer; `again`: it has said so already.
fn select(
    plans: &Plans,
    route: &RoutePlan,
    key: &str,
    value: &str,
    again: bool,
) -> Result<Option<Selection>> {
    let selection =
        if again { Err("given twice".to_owned()) } else { plans.select(route.output, route.response, value) };
    selection.map_err(|problem| {
        let text = format!("query parameter {key}: {problem}");
        Error::boxed(ErrorKind::Query, text).with_violation(
            key,
            problem,
            Some("names of fields of the answer".to_owned()),
        )
    })
}

/// Writes a `google.api.HttpBody`: the content type and the bytes as they came.
fn raw_body(plans: &Plans, route: &RoutePlan, body: &[u8], content_type: &[u8], out: &mut Vec<u8>) {
    let BodyRule::Field(index) = route.body else { return put_http_body(content_type, body, out) };
    put_tag(out, plans.get(route.input).fields[index as usize].number, LEN);
    let at = open_len(out, 1);
    put_http_body(content_type, body, out);
    close_len(out, at, 1);
}

fn put_http_body(content_type: &[u8], data: &[u8], out: &mut Vec<u8>) {
    if !content_type.is_empty() {
        put_len(out, 1, content_type);
    }
    put_len(out, 2, data);
}

pub(super) type Put = std::result::Result<(), TextError>;

/// Writes a field that lies inside messages: their tags and lengths around what `leaf` writes.
pub(super) fn put_path(
    plans: &Plans,
    message: MessageId,
    path: &[u32],
    out: &mut Vec<u8>,
    leaf: impl FnOnce(&Field, &mut Vec<u8>) -> Put,
) -> Put {
    let Some((&index, rest)) = path.split_first() else { return Ok(()) };
    let field = &plans.get(message).fields[index as usize];
    match field.kind {
        Kind::Message(inside) if !rest.is_empty() => {
            put_tag(out, field.number, LEN);
            let at = open_len(out, 1);
            put_path(plans, inside, rest, out, leaf)?;
            close_len(out, at, 1);
            Ok(())
        }
        _ => leaf(field, out),
    }
}

/// Writes a field from one text, also where that is the default: what is given is there.
pub(super) fn put_leaf(
    plans: &Plans,
    field: &Field,
    text: &str,
    options: &ParseOptions,
    out: &mut Vec<u8>,
) -> Put {
    let no =
        || TextError::new("a message, which no single text can hold", "its fields, as in name.field=value");
    let id = match field.kind {
        Kind::Message(id) => id,
        Kind::Group(_) => return Err(no()),
        _ => {
            put_tag(out, field.number, field.wire);
            return plans.put_text(field, text, out).map(drop);
        }
    };
    put_tag(out, field.number, LEN);
    let at = open_len(out, 1);
    let plan = plans.get(id);
    match plan.known {
        Known::Timestamp => put_timestamp(text.as_bytes(), out)?,
        Known::Duration => put_duration(text.as_bytes(), out)?,
        Known::FieldMask => put_field_mask(text.as_bytes(), true, out)?,
        Known::Wrapper => {
            let Some(value) = plan.fields.first() else { return Err(no()) };
            put_tag(out, value.number, value.wire);
            plans.put_text(value, text, out)?;
        }
        Known::Struct | Known::ListValue | Known::Value => {
            let start = out.len();
            if let Err(error) = plans.parse(id, text.as_bytes(), options, out) {
                out.truncate(start);
                if plan.known != Known::Value {
                    return Err(TextError::new(error.to_string(), "JSON"));
                }
                // What is not JSON is a string.
                put_len(out, 3, text.as_bytes());
            }
        }
        Known::Any | Known::No => return Err(no()),
    }
    close_len(out, at, 1);
    Ok(())
}

/// Writes one entry of a map.
pub(super) fn put_entry(
    plans: &Plans,
    field: &Field,
    entry: MessageId,
    key: &str,
    value: &str,
    options: &ParseOptions,
    out: &mut Vec<u8>,
) -> Put {
    put_tag(out, field.number, LEN);
    let at = open_len(out, 1);
    for (field, text) in plans.get(entry).fields.iter().zip([key, value]) {
        put_leaf(plans, field, text, options, out)?;
    }
    close_len(out, at, 1);
    Ok(())
}

/// The JSON names of a path, with dots between.
fn json_path(plans: &Plans, message: MessageId, path: &[u32]) -> String {
    let mut at = Some(message);
    let mut names: Vec<&str> = Vec::new();
    for index in path {
        let Some(id) = at else { break };
        let field = &plans.get(id).fields[*index as usize];
        names.push(&field.json_name);
        at = field.message();
    }
    names.join(".")
}
