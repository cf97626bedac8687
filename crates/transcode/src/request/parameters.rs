//! Parameters: names and texts that set fields, from a query or a form.

use std::cell::RefCell;
use std::collections::HashSet;

use super::capture::Captured;
use super::update::{Fixed, UpdateMask};
use super::{Put, Woven, put_entry, put_leaf, put_path};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::{
    Bound, Field, FieldBehavior, Kind, Known, MessageId, ParseOptions, Plans, Shape, TextError,
    UnknownFields, close_len, open_len, put_len, put_tag, shown,
};
use crate::rule::{BodyRule, RoutePlan};

/// Takes parameters, and writes what they set.
pub(crate) struct Parameters<'a> {
    plans: &'a Plans,
    route: &'a RoutePlan,
    options: &'a ParseOptions,
    source: Source,
    behavior: FieldBehavior,
    taken: Bound,
    /// Repeated fields and maps met before: they may come again.
    lists: Vec<Vec<u32>>,
    /// Keys of maps met before, on the wire: `1` and `+1` are one.
    keys: HashSet<(Vec<u32>, Vec<u8>)>,
    /// The update mask that the query gave.
    mask: Option<UpdateMask>,
    /// The paths that were set in the message of the body's field, in proto names.
    sent: Vec<String>,
    /// What a form gives of what is immutable.
    fixed: Fixed,
    /// Those that name no field, where the route captures them.
    captured: Captured,
    out: &'a mut Vec<u8>,
    /// Where in `out` they begin.
    start: usize,
}

/// Where parameters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Query,
    /// A form: names are those of the whole message, or of the message that the body's field holds.
    Form,
}

/// Where a parameter leads: the field indices, and a map's key.
struct Target<'q> {
    path: Vec<u32>,
    key: Option<&'q str>,
}

/// A part of a form that is not a text.
pub(crate) struct File<'a> {
    /// What it is sent as.
    pub(crate) content_type: Option<&'a str>,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Parameters<'a> {
    pub(crate) fn of_query(
        plans: &'a Plans,
        route: &'a RoutePlan,
        options: &'a ParseOptions,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let behavior = FieldBehavior { immutable: false, ..route.behavior };
        Self::new(plans, route, options, (Source::Query, behavior, &route.query_bound), out)
    }

    /// The parameters of a form that is the body.
    pub(crate) fn of_form(
        plans: &'a Plans,
        route: &'a RoutePlan,
        options: &'a ParseOptions,
        behavior: FieldBehavior,
        out: &'a mut Vec<u8>,
    ) -> Self {
        Self::new(plans, route, options, (Source::Form, behavior, &route.bound), out)
    }

    fn new(
        plans: &'a Plans,
        route: &'a RoutePlan,
        options: &'a ParseOptions,
        (source, behavior, taken): (Source, FieldBehavior, &Bound),
        out: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            plans,
            route,
            options,
            source,
            behavior,
            taken: taken.clone(),
            lists: Vec::new(),
            keys: HashSet::new(),
            mask: None,
            sent: Vec::new(),
            fixed: Fixed::default(),
            captured: Captured::new(),
            start: out.len(),
            out,
        }
    }

    /// Ends the fields of a form: the paths that were set in the message of the body's field, which are the mask of a PATCH.
    pub(crate) fn end_form(self, woven: &Woven) -> Result<Vec<String>> {
        super::behavior::check_body(self.plans, self.route, &self.taken)?;
        self.fixed.check(self.plans, self.route, woven, &self.out[self.start..])?;
        Ok(self.sent)
    }

    /// Writes what was captured, after the last parameter of a query. Returns what is taken now, and the update mask.
    pub(crate) fn end(self) -> Result<(Bound, Option<UpdateMask>)> {
        if let Some(capture) = self.route.capture.as_ref().filter(|_| !self.captured.is_empty()) {
            let put = capture.put(self.plans, self.route.input, &self.captured, self.out);
            put.map_err(|TextError { message, .. }| Error::boxed(ErrorKind::Query, message))?;
        }
        Ok((self.taken, self.mask))
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, key: &str, value: &str) -> Result<()> {
        if self.capture(key, value)? {
            return Ok(());
        }
        let (plans, options) = (self.plans, self.options);
        let mask = self.update_mask(key, value)?;
        let value = mask.as_deref().unwrap_or(value);
        self.put(key, |field, key, out| match (field.shape, key) {
            (Shape::Map(entry), Some(key)) => put_entry(plans, field, entry, key, value, options, out),
            (Shape::Map(_), None) => Err(TextError::new("a map", "a key in brackets, as in name[key]=value")),
            _ => put_leaf(plans, field, value, options, out),
        })
    }

    /// Takes bytes: for a field of bytes, a `google.api.HttpBody`, or, if they are JSON, any message.
    pub(crate) fn file(&mut self, key: &str, file: &File<'_>) -> Result<()> {
        let (plans, options) = (self.plans, self.options);
        let (behavior, partial) = (self.behavior, self.route.is_patch);
        let fixed = RefCell::new(Vec::new());
        self.put(key, |field, _, out| match field.kind {
            Kind::Bytes if !matches!(field.shape, Shape::Map(_)) => {
                put_len(out, field.number, file.bytes);
                Ok(())
            }
            Kind::Message(id) if !matches!(field.shape, Shape::Map(_)) => {
                put_tag(out, field.number, field.wire);
                let at = open_len(out, 1);
                if plans.get(id).is_http_body() {
                    super::put_http_body(file.content_type.unwrap_or_default().as_bytes(), file.bytes, out);
                } else {
                    let parsed = plans.parse_with(file.bytes, options, out, |parser| {
                        parser.enforce(behavior, partial);
                        parser.message(id, None)
                    });
                    let noted = |path: &str| {
                        fixed.borrow_mut().push(path.to_owned());
                        false
                    };
                    let named =
                        parsed.and_then(|()| plans.check_update(id, file.bytes, options, behavior, &noted));
                    named
                        .map_err(|error| TextError::new(error.to_string(), "JSON of the field's message"))?;
                }
                close_len(out, at, 1);
                Ok(())
            }
            _ => {
                let text = str::from_utf8(file.bytes).map_err(|_| TextError::new("not UTF-8", "a text"))?;
                put_leaf(plans, field, text, options, out)
            }
        })?;
        let at = self.resolve(key).map(|target| self.proto_path(&target.path)).unwrap_or_default();
        for path in fixed.into_inner() {
            self.fixed.push(key, format!("{at}.{path}"));
        }
        Ok(())
    }

    /// Takes a parameter of the query that names no field, if the route captures them. The field that they go to is
    /// set by no other name.
    fn capture(&mut self, key: &str, value: &str) -> Result<bool> {
        let Some(capture) = self.route.capture.as_ref().filter(|_| self.source == Source::Query) else {
            return Ok(false);
        };
        if self.resolve(key).is_some_and(|target| !target.path.starts_with(capture.field())) {
            return Ok(false);
        }
        let fail = |problem: &str| {
            let name = shown(key.as_bytes());
            let text = format!("query parameter {name}: {problem}");
            Err(Error::boxed(ErrorKind::Query, text).with_violation(name, problem, None))
        };
        if self.captured.is_empty() && !self.taken.take(self.plans, self.route.input, capture.field()) {
            return fail("unknown, and the oneof that would capture it is set");
        }
        let values = self.captured.entry(key.to_owned()).or_default();
        if !values.is_empty() && !capture.takes_lists() {
            return fail("given twice");
        }
        values.push(value.to_owned());
        Ok(true)
    }

    /// Takes the update mask, if this is it. Returns what there is to write of it.
    fn update_mask(&mut self, key: &str, value: &str) -> Result<Option<String>> {
        let (Some(mask), BodyRule::Field(index)) = (self.route.mask, self.route.body) else {
            return Ok(None);
        };
        let is_mask =
            self.source == Source::Query && self.resolve(key).is_some_and(|target| target.path == [mask]);
        // A second one is refused where it is written.
        let first = is_mask && self.mask.is_none();
        let Some(resource) = self.inside(self.route.input, index).filter(|_| first) else {
            return Ok(None);
        };
        let read = super::update::of_query(self.plans, self.route, resource, value).map_err(|problem| {
            let name = shown(key.as_bytes());
            Error::boxed(ErrorKind::Query, format!("query parameter {name}: {problem}"))
                .with_violation(name, problem, None)
        })?;
        Ok(read.map(|(mask, text)| {
            self.mask = Some(mask);
            text
        }))
    }

    fn put(&mut self, key: &str, leaf: impl FnOnce(&Field, Option<&str>, &mut Vec<u8>) -> Put) -> Result<()> {
        let source = self.source;
        let fail = |message: &str, expected: Option<String>| {
            let name = shown(key.as_bytes());
            let (kind, what) = match source {
                Source::Query => (ErrorKind::Query, "query parameter"),
                Source::Form => (ErrorKind::Body, "form field"),
            };
            Error::boxed(kind, format!("{what} {name}: {message}")).with_violation(name, message, expected)
        };
        let in_body = |path: &[u32]| match self.route.body {
            BodyRule::Whole => true,
            BodyRule::Field(index) => path[0] == index,
            BodyRule::No => false,
        };
        let names = key.split_once('[').map_or(key, |(names, _)| names);
        if names.bytes().filter(|c| *c == b'.').count() >= self.options.max_depth {
            return Err(fail("nested too deeply", None));
        }
        let target = match self.resolve(key) {
            Some(target) if source == Source::Form || !in_body(&target.path) => target,
            _ if self.options.unknown_fields == UnknownFields::Ignore => return Ok(()),
            Some(_) => return Err(fail("belongs into the body", None)),
            None => return Err(fail("unknown", None)),
        };
        if self.behavior.output_only
            && self.plans.passes(self.route.input, &target.path, |field| field.output_only)
        {
            return Ok(());
        }
        if self.behavior.immutable
            && self.plans.passes(self.route.input, &target.path, |field| field.immutable)
        {
            self.fixed.push(key, self.proto_path(&target.path));
        }
        let repeats = self.lists.contains(&target.path);
        if !repeats && !self.taken.take(self.plans, self.route.input, &target.path) {
            return Err(fail(
                "given twice, or set by the path, the body or another member of its oneof",
                None,
            ));
        }
        if let Some(entry) = self.map_key(&target)
            && !self.keys.insert((target.path.clone(), entry))
        {
            return Err(fail("given twice", None));
        }
        if source == Source::Form && self.route.mask.is_some() && !repeats {
            let path = self.proto_path(&target.path);
            self.sent.extend(path.split_once('.').map(|(_, inside)| inside.to_owned()));
        }
        let mut is_list = false;
        let put = put_path(self.plans, self.route.input, &target.path, self.out, |field, out| {
            is_list = field.shape != Shape::Singular;
            leaf(field, target.key, out)
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
        let (mut at, mut path) = (Some(self.route.input), Vec::new());
        if let (Source::Form, BodyRule::Field(index)) = (self.source, self.route.body) {
            at = self.inside(self.route.input, index);
            path.push(index);
        }
        let mut map = false;
        for name in names.split('.') {
            let id = at?;
            let plan = self.plans.get(id);
            if plan.known != Known::No {
                return None;
            }
            let index = plan.names.get(name.as_bytes())?;
            map = matches!(plan.fields[index as usize].shape, Shape::Map(_));
            at = self.inside(id, index);
            path.push(index);
        }
        (map_key.is_none() || map).then_some(Target { path, key: map_key })
    }

    /// The key that a parameter sets of a map, on the wire. One that is malformed is refused where it is written.
    fn map_key(&self, target: &Target<'_>) -> Option<Vec<u8>> {
        let (last, above) = target.path.split_last()?;
        let inside = |at: Option<MessageId>, index: &u32| at.and_then(|id| self.inside(id, *index));
        let message = above.iter().fold(Some(self.route.input), inside)?;
        let Shape::Map(entry) = self.plans.get(message).fields[*last as usize].shape else { return None };
        let mut wire = Vec::new();
        put_leaf(self.plans, self.plans.get(entry).fields.first()?, target.key?, self.options, &mut wire)
            .ok()?;
        Some(wire)
    }

    /// The proto names of a path.
    fn proto_path(&self, path: &[u32]) -> String {
        let (mut at, mut names) = (Some(self.route.input), Vec::new());
        for index in path {
            let Some(id) = at else { break };
            names.push(&*self.plans.get(id).fields[*index as usize].name);
            at = self.inside(id, *index);
        }
        names.join(".")
    }

    /// The message that a field holds, if it is not repeated.
    fn inside(&self, message: MessageId, index: u32) -> Option<MessageId> {
        let field = &self.plans.get(message).fields[index as usize];
        field.message().filter(|_| field.shape == Shape::Singular)
    }
}
