//! The update mask of a PATCH (AIP-134), and what field behaviour says of it (AIP-161, AIP-203).

use std::collections::HashSet;

use super::Woven;
use super::behavior::of_body;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::{
    Field, Known, LEN, MessageId, ParseOptions, Plans, Raw, Reader, Shape, UNCHANGEABLE, close_len,
    field_mask_paths, open_len, put_len, put_tag, shown,
};
use crate::rule::{BodyRule, RoutePlan};

/// The paths that an update mask names, in proto names, from the resource down. What is behind a path with `.*` is all that lies in it.
#[derive(Debug)]
pub(super) struct UpdateMask(HashSet<String>);

impl UpdateMask {
    fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let whole = |path: String| path.strip_suffix(".*").map(str::to_owned).unwrap_or(path);
        Self(paths.into_iter().map(whole).collect())
    }

    /// Whether an update with this mask changes what is at a path: one lookup for each step of it. A mask that names nothing changes
    /// all that is given.
    pub(super) fn covers(&self, path: &str) -> bool {
        let names = |path: &str| self.0.contains(path);
        let mut above = path.match_indices('.').map(|(dot, _)| &path[..dot]);
        self.0.is_empty() || names("*") || names(path) || above.any(names)
    }

    /// The first path that names what must not change.
    fn unchangeable(&self, plans: &Plans, resource: MessageId) -> Option<String> {
        let is_fixed = |path: &&String| plans.names(resource, path, |field| field.immutable);
        let path = self.0.iter().filter(is_fixed).min()?;
        Some(format!("{} is {UNCHANGEABLE}", shown(path.as_bytes())))
    }

    /// The mask in a request on the wire, if it gives one.
    fn on_wire(plans: &Plans, route: &RoutePlan, wire: &[u8]) -> Option<Self> {
        let number = plans.get(route.input).fields[route.mask? as usize].number;
        let fields = |wire| {
            let mut reader = Reader::new(wire);
            std::iter::from_fn(move || reader.field().ok().flatten())
        };
        let masks = fields(wire).filter_map(|(of, raw)| bytes(raw).filter(|_| of == number));
        let paths = masks.flat_map(fields).filter_map(|(of, raw)| bytes(raw).filter(|_| of == 1));
        let mask = Self::new(paths.map(|path| String::from_utf8_lossy(path).into_owned()));
        (!mask.0.is_empty()).then_some(mask)
    }
}

fn bytes(raw: Raw<'_>) -> Option<&[u8]> {
    match raw {
        Raw::Len(bytes) => Some(bytes),
        _ => None,
    }
}

/// Reads the mask that a query gives, and how it reads without what is output-only, which is not named by clients. That is left
/// where there is nothing else: an empty mask would change everything. One that is empty from the start is none.
///
/// # Errors
/// Names what is immutable.
pub(super) fn of_query(
    plans: &Plans,
    route: &RoutePlan,
    resource: MessageId,
    text: &str,
) -> std::result::Result<Option<(UpdateMask, String)>, String> {
    // What is wrong with it is said where it is written.
    let Ok(mut paths) = field_mask_paths(text, true) else { return Ok(None) };
    let is_output = |path: &String| plans.names(resource, path, |field| field.output_only);
    if route.behavior.output_only && !paths.iter().all(is_output) {
        paths.retain(|path| !is_output(path));
    }
    let text = paths.join(",");
    let mask = UpdateMask::new(paths);
    match mask.unchangeable(plans, resource).filter(|_| route.behavior.immutable) {
        Some(problem) => Err(problem),
        None if mask.0.is_empty() => Ok(None),
        None => Ok(Some((mask, text))),
    }
}

impl Woven {
    /// Whether an update changes what is at this path of the resource.
    pub(super) fn changes(&self, path: &str) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.covers(path))
    }

    /// Adds the update mask of a PATCH that gives none: the paths that its body names.
    pub(super) fn put_mask(&self, plans: &Plans, route: &RoutePlan, paths: &[String], out: &mut Vec<u8>) {
        let infers = self.mask.is_none() && matches!(route.body, BodyRule::Field(_));
        let Some(mask) = route.mask.filter(|_| infers && !paths.is_empty()) else { return };
        put_tag(out, plans.get(route.input).fields[mask as usize].number, LEN);
        let at = open_len(out, 1);
        for path in paths {
            put_len(out, 1, path.as_bytes());
        }
        close_len(out, at, 1);
    }
}

/// Checks a PATCH whose body is the whole request; `wire`: what the body was turned into.
pub(super) fn check_whole(
    plans: &Plans,
    route: &RoutePlan,
    (body, wire): (&[u8], &[u8]),
    options: &ParseOptions,
) -> Result<()> {
    let behavior = of_body(route);
    if !behavior.immutable {
        return Ok(());
    }
    let mask = UpdateMask::on_wire(plans, route, wire);
    check_named(plans, route, mask.as_ref())?;
    let changes = |path: &str| in_resource(mask.as_ref(), path);
    Ok(plans.check_update(route.input, body, options, behavior, &changes)?)
}

/// Checks what a mask inside a whole request names: its paths are those of each message in the request.
fn check_named(plans: &Plans, route: &RoutePlan, mask: Option<&UpdateMask>) -> Result<()> {
    let (Some(mask), Some(index)) = (mask, route.mask) else { return Ok(()) };
    let input = plans.get(route.input);
    let resources = input.fields.iter().filter(|field| field.shape == Shape::Singular);
    let resources = resources.filter_map(Field::message);
    let mut resources = resources.filter(|id| plans.get(*id).known == Known::No);
    let Some(problem) = resources.find_map(|resource| mask.unchangeable(plans, resource)) else {
        return Ok(());
    };
    let name = &input.fields[index as usize].json_name;
    Err(Error::boxed(ErrorKind::Body, format!("field {name}: {problem}")).with_violation(
        name.to_string(),
        problem,
        None,
    ))
}

/// Whether an update changes what is at this path of a whole request with this mask.
fn in_resource(mask: Option<&UpdateMask>, path: &str) -> bool {
    let inside = path.split_once('.').map(|(_, inside)| inside);
    mask.is_none_or(|mask| inside.is_some_and(|path| mask.covers(path)))
}

/// What a form gives of a PATCH, by the order of its fields: what is immutable is known only when the mask is.
#[derive(Debug, Default)]
pub(super) struct Fixed(Vec<(String, String)>);

impl Fixed {
    /// Notes that the form field `key` sets what is immutable, at this path of the request.
    pub(super) fn push(&mut self, key: &str, path: String) {
        self.0.push((shown(key.as_bytes()), path));
    }

    /// Checks, at the end of the form, that nothing of it would change.
    pub(super) fn check(self, plans: &Plans, route: &RoutePlan, woven: &Woven, wire: &[u8]) -> Result<()> {
        let whole = route.body == BodyRule::Whole;
        let mask = if whole { UpdateMask::on_wire(plans, route, wire) } else { None };
        if route.behavior.immutable && route.is_patch {
            check_named(plans, route, mask.as_ref())?;
        }
        let changes = |path: &str| match path.split_once('.') {
            Some((_, inside)) if !whole => woven.changes(inside),
            _ => in_resource(mask.as_ref(), path),
        };
        let Some((name, _)) = self.0.into_iter().find(|(_, path)| changes(path)) else { return Ok(()) };
        Err(Error::boxed(ErrorKind::Body, format!("form field {name}: {UNCHANGEABLE}")).with_violation(
            name,
            UNCHANGEABLE,
            None,
        ))
    }
}
