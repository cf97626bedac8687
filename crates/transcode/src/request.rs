//! One request message from path, query and body, by concatenation: `query ‖ body ‖ path`.
//!
//! Protobuf merges what is concatenated, so that no object is needed to weave the three. What each of them sets is kept
//! apart by a tree of taken fields: a field set twice, or two members of a oneof, is an error, not a merge.

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::{
    Bound, Field, Kind, Known, LEN, MessageId, ParseOptions, Plans, Shape, TextError, UnknownFields,
    close_len, open_len, put_duration, put_field_mask, put_len, put_tag, put_timestamp, shown,
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

/// What stays the same for every message of a request: the fields that query and path set, on the wire.
#[derive(Debug, Default)]
pub(crate) struct Woven {
    query: Vec<u8>,
    path: Vec<u8>,
    /// The query gave the mask that a PATCH would infer.
    masked: bool,
}

/// The header of a gRPC frame: a flag and four bytes of length.
pub(crate) const FRAME_HEADER: usize = 5;

impl Woven {
    /// Turns bindings and query into wire format.
    pub(crate) fn new(
        plans: &Plans,
        route: &RoutePlan,
        bindings: &[String],
        query: Option<&str>,
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
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            Query {
                plans,
                route,
                options,
                taken: route.query_bound.clone(),
                lists: Vec::new(),
                woven: &mut woven,
            }
            .run(query, limits)?;
        }
        Ok(woven)
    }

    /// The gRPC frame of a request with this body. `content_type` is what a raw body was sent as.
    pub(crate) fn frame(
        &self,
        plans: &Plans,
        route: &RoutePlan,
        body: &[u8],
        content_type: &[u8],
        options: &ParseOptions,
    ) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(FRAME_HEADER + self.query.len() + self.path.len() + body.len() + 16);
        out.extend_from_slice(&[0; FRAME_HEADER]);
        out.extend_from_slice(&self.query);
        self.body(plans, route, body, content_type, options, &mut out)?;
        out.extend_from_slice(&self.path);
        let length = u32::try_from(out.len() - FRAME_HEADER)
            .map_err(|_| Error::boxed(ErrorKind::BodyTooLarge, "the request body is too large"))?;
        out[1..FRAME_HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(out)
    }

    fn body(
        &self,
        plans: &Plans,
        route: &RoutePlan,
        body: &[u8],
        content_type: &[u8],
        options: &ParseOptions,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if route.raw_body {
            raw_body(plans, route, body, content_type, out);
            return Ok(());
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        match route.body {
            BodyRule::No => {
                return Err(Error::boxed(ErrorKind::Body, "this method takes no body"));
            }
            BodyRule::Whole => {
                plans.parse_with(body, options, out, |parser| {
                    parser.message(route.input, Some(&route.bound))
                })?;
            }
            BodyRule::Field(index) => {
                let bound = Some(&route.bound);
                plans
                    .parse_with(body, options, out, |parser| parser.body_field(route.input, index, bound))?;
                self.mask(plans, route, index, body, options, out)?;
            }
        }
        Ok(())
    }

    /// Adds the update mask of a PATCH that gives none: the paths that its body names.
    fn mask(
        &self,
        plans: &Plans,
        route: &RoutePlan,
        body_field: u32,
        body: &[u8],
        options: &ParseOptions,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(mask) = route.mask.filter(|_| !self.masked) else { return Ok(()) };
        let fields = &plans.get(route.input).fields;
        let Some(message) = fields[body_field as usize].message() else { return Ok(()) };
        let paths = plans.mask(message, body, options)?;
        if paths.is_empty() {
            return Ok(());
        }
        put_tag(out, fields[mask as usize].number, LEN);
        let at = open_len(out, 1);
        for path in paths {
            put_len(out, 1, path.as_bytes());
        }
        close_len(out, at, 1);
        Ok(())
    }
}

/// Writes a `google.api.HttpBody`: the content type and the bytes as they came.
fn raw_body(plans: &Plans, route: &RoutePlan, body: &[u8], content_type: &[u8], out: &mut Vec<u8>) {
    let mut message = Vec::with_capacity(body.len() + content_type.len() + 16);
    if !content_type.is_empty() {
        put_len(&mut message, 1, content_type);
    }
    put_len(&mut message, 2, body);
    match route.body {
        BodyRule::Field(index) => {
            put_len(out, plans.get(route.input).fields[index as usize].number, &message);
        }
        BodyRule::Whole | BodyRule::No => out.extend_from_slice(&message),
    }
}

struct Query<'a> {
    plans: &'a Plans,
    route: &'a RoutePlan,
    options: &'a ParseOptions,
    taken: Bound,
    /// Repeated fields and maps met before: they may come again.
    lists: Vec<Vec<u32>>,
    woven: &'a mut Woven,
}

/// Where a parameter leads: the field indices, and a map's key.
struct Target<'q> {
    path: Vec<u32>,
    key: Option<&'q str>,
}

impl Query<'_> {
    fn run(mut self, query: &str, limits: &Limits) -> Result<()> {
        for (count, parameter) in crate::escape::query_parameters(query).enumerate() {
            if count == limits.query_parameters {
                return Err(Error::boxed(ErrorKind::Query, "too many query parameters"));
            }
            let Some((key, value)) = parameter else {
                return Err(Error::boxed(ErrorKind::Query, "a bad escape in the query"));
            };
            self.parameter(&key, &value)?;
        }
        Ok(())
    }

    fn parameter(&mut self, key: &str, value: &str) -> Result<()> {
        let fail = |message: &str, expected: Option<String>| {
            let name = shown(key.as_bytes());
            let text = format!("query parameter {name}: {message}");
            Error::boxed(ErrorKind::Query, text).with_violation(name, message, expected)
        };
        let target = match self.resolve(key) {
            Some(target) if self.route.body != BodyRule::Whole => target,
            _ if self.options.unknown_fields == UnknownFields::Ignore => return Ok(()),
            Some(_) => return Err(fail("belongs into the body", None)),
            None => return Err(fail("unknown", None)),
        };
        if self.route.body == BodyRule::Field(target.path[0]) {
            return Err(fail("belongs into the body", None));
        }
        let repeats = self.lists.contains(&target.path);
        if !repeats && !self.taken.take(self.plans, self.route.input, &target.path) {
            return Err(fail(
                "given twice, or set by the path, the body or another member of its oneof",
                None,
            ));
        }
        if self.route.mask.is_some_and(|mask| target.path == [mask]) {
            self.woven.masked = true;
        }
        let (plans, options) = (self.plans, self.options);
        let out = &mut self.woven.query;
        let mut is_list = false;
        let put = put_path(plans, self.route.input, &target.path, out, |field, out| {
            is_list = field.shape != Shape::Singular;
            match (field.shape, target.key) {
                (Shape::Map(entry), Some(key)) => put_entry(plans, field, entry, key, value, options, out),
                (Shape::Map(_), None) => {
                    Err(TextError::new("a map", "a key in brackets, as in name[key]=value"))
                }
                _ => put_leaf(plans, field, value, options, out),
            }
        });
        put.map_err(|TextError { message, expected }| fail(&message, Some(expected.into_owned())))?;
        if is_list && !repeats {
            self.lists.push(target.path);
        }
        Ok(())
    }

    /// Finds the field of `a.b.c` or `a.b[key]`, by JSON or proto names.
    fn resolve<'q>(&self, key: &'q str) -> Option<Target<'q>> {
        let (names, map_key) = match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
            Some((names, map_key)) => (names, Some(map_key)),
            None => (key, None),
        };
        let mut at = Some(self.route.input);
        let mut path = Vec::new();
        let mut map = false;
        for name in names.split('.') {
            let plan = self.plans.get(at?);
            if plan.known != Known::No {
                return None;
            }
            let index = plan.names.get(name.as_bytes())?;
            let field = &plan.fields[index as usize];
            map = matches!(field.shape, Shape::Map(_));
            at = field.message().filter(|_| field.shape == Shape::Singular);
            path.push(index);
        }
        (map_key.is_none() || map).then_some(Target { path, key: map_key })
    }
}

type Put = std::result::Result<(), TextError>;

/// Writes a field that lies inside messages: their tags and lengths around what `leaf` writes.
fn put_path(
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
fn put_leaf(plans: &Plans, field: &Field, text: &str, options: &ParseOptions, out: &mut Vec<u8>) -> Put {
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
fn put_entry(
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
