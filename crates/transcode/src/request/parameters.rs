//! Parameters: names and texts that set fields, from a query or a form.

use std::cell::RefCell;
use std::collections::HashSet;

use super::capture::Captured;
use super::file::{File, Place, Reading};
use super::update::{Fixed, UpdateMask, put_mask};
use super::{Put, Woven, put_entry, put_leaf, put_path};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::{
    Bound, FieldBehavior, Known, MessageId, ParseOptions, Plans, Sent, Shape, TextError, UnknownFields,
    Update, shown,
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
    /// What a form names of the message of the body's field.
    sent: Sent,
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
            sent: Sent::default(),
            fixed: Fixed::default(),
            captured: Captured::new(),
            start: out.len(),
            out,
        }
    }

    /// Ends the fields of a form: what they name of the message of the body's field, which is the mask of a PATCH.
    pub(crate) fn end_form(self, woven: &Woven) -> Result<Sent> {
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
        let path = self.put(key, |place, out| {
            let field = place.field(plans);
            if let Some(paths) = mask {
                put_mask(field, &paths, out);
                return Ok(());
            }
            match (field.shape, place.key) {
                (Shape::Map(entry), Some(key)) => put_entry(plans, field, entry, key, value, options, out),
                (Shape::Map(_), None) => {
                    Err(TextError::new("a map", "a key in brackets, as in name[key]=value"))
                }
                _ => put_leaf(plans, field, value, options, out),
            }
        })?;
        if let Some((path, _)) = path {
            self.name(Sent::of(path));
        }
        Ok(())
    }

    /// Takes bytes: for a field of bytes, a `google.api.HttpBody`, or, if they are JSON, any message.
    pub(super) fn file(&mut self, key: &str, file: &File<'_>) -> Result<()> {
        let (plans, options, behavior) = (self.plans, self.options, self.behavior);
        let reading = Reading { plans, options, behavior, partial: self.route.is_patch };
        let Some((at, message)) = self.put(key, |place, out| reading.put(file, place, out))? else {
            return Ok(());
        };
        let wanted = self.route.mask.is_some();
        let Some(message) = message.filter(|_| wanted || behavior.immutable) else {
            self.name(Sent::of(at));
            return Ok(());
        };
        let fixed = RefCell::new(Vec::new());
        let noted = |path: &str| {
            fixed.borrow_mut().push(path.to_owned());
            false
        };
        let update = Update { at: &at, behavior, changes: &noted, wanted };
        let sent = plans.sent(message, file.bytes, options, update);
        let sent = sent.map_err(|error| {
            let expected = error.expected.clone().or_else(|| Some("JSON".to_owned()));
            self.fail(key, &error.to_string(), expected)
        })?;
        for path in fixed.into_inner() {
            self.fixed.push(key, path);
        }
        self.name(sent);
        Ok(())
    }

    /// Notes what a form names, by paths of the request: those that lie in the message of the body's field.
    fn name(&mut self, sent: Sent) {
        if self.source == Source::Form && self.route.mask.is_some() {
            let inside = |path: String| path.split_once('.').map(|(_, inside)| inside.to_owned());
            self.sent.paths.extend(sent.paths.into_iter().filter_map(inside));
            self.sent.output.extend(sent.output.into_iter().filter_map(inside));
        }
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
            let once = Some("one value".to_owned());
            Err(Error::boxed(ErrorKind::Query, text).with_violation(name, problem, once))
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

    /// Takes the update mask, if this is it. Returns the paths that there are to write of it.
    fn update_mask(&mut self, key: &str, value: &str) -> Result<Option<Vec<String>>> {
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
            self.fail(key, &problem, Some("names of fields that can be changed".to_owned()))
        })?;
        Ok(read.map(|(mask, paths)| {
            self.mask = Some(mask);
            paths
        }))
    }

    /// The names that a parameter may have, as an error tells them: those that neither the path nor the body sets.
    fn expected_names(&self) -> String {
        let set_elsewhere = |index: u32| match self.source {
            Source::Query => {
                self.route.body == BodyRule::Whole
                    || self.route.body == BodyRule::Field(index)
                    || self.route.variables.iter().any(|path| path == &[index])
            }
            Source::Form => false,
        };
        let message = match (self.source, self.route.body) {
            (Source::Form, BodyRule::Field(index)) => self.inside(self.route.input, index),
            _ => Some(self.route.input),
        };
        let plan = message.map(|id| self.plans.get(id));
        plan.map_or_else(|| "none".to_owned(), |plan| plan.names_but(set_elsewhere))
    }

    fn fail(&self, key: &str, message: &str, expected: Option<String>) -> Box<Error> {
        let name = shown(key.as_bytes());
        let (kind, what) = match self.source {
            Source::Query => (ErrorKind::Query, "query parameter"),
            Source::Form => (ErrorKind::Body, "form field"),
        };
        Error::boxed(kind, format!("{what} {name}: {message}")).with_violation(name, message, expected)
    }

    /// Takes what `leaf` writes for a key. Returns the path that a form sets in the request, unless that was set before or is passed
    /// over, and the message that it is as a whole.
    fn put(
        &mut self,
        key: &str,
        leaf: impl FnOnce(Place<'_>, &mut Vec<u8>) -> Put,
    ) -> Result<Option<(String, Option<MessageId>)>> {
        let in_body = |path: &[u32]| match self.route.body {
            BodyRule::Whole => true,
            BodyRule::Field(index) => path[0] == index,
            BodyRule::No => false,
        };
        let names = key.split_once('[').map_or(key, |(names, _)| names);
        if names.bytes().filter(|c| *c == b'.').count() >= self.options.max_depth {
            return Err(self.fail(key, "nested too deeply", Some("less depth".to_owned())));
        }
        let target = match self.resolve(key) {
            Some(target) if self.source == Source::Form || !in_body(&target.path) => target,
            _ if self.options.unknown_fields == UnknownFields::Ignore => return Ok(None),
            Some(_) => return Err(self.fail(key, "belongs into the body", Some(self.expected_names()))),
            None => return Err(self.fail(key, "unknown", Some(self.expected_names()))),
        };
        let path = match self.source {
            Source::Query => String::new(),
            Source::Form => self.proto_path(&target.path),
        };
        if self.behavior.output_only
            && self.plans.passes(self.route.input, &target.path, |field| field.output_only)
        {
            self.name(Sent { paths: Vec::new(), output: vec![path] });
            return Ok(None);
        }
        if self.behavior.immutable
            && self.plans.passes(self.route.input, &target.path, |field| field.immutable)
        {
            self.fixed.push(key, path.clone());
        }
        let repeats = self.lists.contains(&target.path);
        if !repeats && !self.taken.take(self.plans, self.route.input, &target.path) {
            let twice = "given twice, or set by the path, the body or another member of its oneof";
            return Err(self.fail(key, twice, Some("one value".to_owned())));
        }
        let Some(place) = self.place(&target) else { return Ok(None) };
        if let Some(entry) = self.map_key(place)
            && !self.keys.insert((target.path.clone(), entry))
        {
            return Err(self.fail(key, "given twice", Some("one value".to_owned())));
        }
        put_path(self.plans, self.route.input, &target.path, self.out, |_, out| leaf(place, out)).map_err(
            |TextError { message, expected }| self.fail(key, &message, Some(expected.into_owned())),
        )?;
        let message = place.json_of(self.plans);
        if place.field(self.plans).shape != Shape::Singular && !repeats {
            self.lists.push(target.path);
        }
        Ok((!repeats).then_some((path, message)))
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

    /// Where a target's value goes.
    fn place<'q>(&self, target: &Target<'q>) -> Option<Place<'q>> {
        let (last, above) = target.path.split_last()?;
        let inside = |at: Option<MessageId>, index: &u32| at.and_then(|id| self.inside(id, *index));
        let message = above.iter().fold(Some(self.route.input), inside)?;
        Some(Place { message, index: *last, key: target.key })
    }

    /// The key that a parameter sets of a map, on the wire. One that is malformed is refused where it is written.
    fn map_key(&self, place: Place<'_>) -> Option<Vec<u8>> {
        let Shape::Map(entry) = place.field(self.plans).shape else { return None };
        let mut wire = Vec::new();
        let key = self.plans.get(entry).fields.first()?;
        put_leaf(self.plans, key, place.key?, self.options, &mut wire).ok()?;
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
