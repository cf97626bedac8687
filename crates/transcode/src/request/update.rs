//! The update mask of a PATCH (AIP-134), and what field behaviour says of it (AIP-161, AIP-203).

use std::collections::HashSet;

use super::Woven;
use super::behavior::of_body;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::{
    Field, Known, LEN, MessageId, ParseOptions, Plans, Raw, Reader, Sent, Shape, UNCHANGEABLE, Update,
    check_path, close_len, mask_texts, open_len, put_len, put_tag, shown,
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
}

/// Reads the mask that a query gives, in proto names whichever it is given in, and without what is output-only, which is not named by
/// clients. That is left where there is nothing else: an empty mask would change everything. One that is empty from the start is none.
///
/// # Errors
/// Names what is immutable.
pub(super) fn of_query(
    plans: &Plans,
    route: &RoutePlan,
    resource: MessageId,
    text: &str,
) -> std::result::Result<Option<(UpdateMask, Vec<String>)>, String> {
    // What is wrong with it is said where it is written.
    if mask_texts(text).any(|path| check_path(path).is_err()) {
        return Ok(None);
    }
    let mut paths: Vec<String> = mask_texts(text).map(|path| plans.spelled(resource, path)).collect();
    let is_output = |path: &String| plans.names(resource, path, |field| field.output_only);
    if route.behavior.output_only && !paths.iter().all(is_output) {
        paths.retain(|path| !is_output(path));
    }
    let mask = UpdateMask::new(paths.iter().cloned());
    match mask.unchangeable(plans, resource).filter(|_| route.behavior.immutable) {
        Some(problem) => Err(problem),
        None if mask.0.is_empty() => Ok(None),
        None => Ok(Some((mask, paths))),
    }
}

/// Writes the field of a mask.
pub(super) fn put_mask(field: &Field, paths: &[String], out: &mut Vec<u8>) {
    put_tag(out, field.number, LEN);
    let at = open_len(out, 1);
    for path in paths {
        put_len(out, 1, path.as_bytes());
    }
    close_len(out, at, 1);
}

impl Woven {
    /// Whether an update changes what is at this path of the resource.
    pub(super) fn changes(&self, path: &str) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.covers(path))
    }

    /// Adds the update mask of a PATCH that gives none: the paths that its body names.
    pub(super) fn put_mask(&self, plans: &Plans, route: &RoutePlan, sent: &Sent, out: &mut Vec<u8>) {
        let infers = self.mask.is_none() && matches!(route.body, BodyRule::Field(_));
        let Some(mask) = route.mask.filter(|_| infers && !sent.mask().is_empty()) else { return };
        put_mask(&plans.get(route.input).fields[mask as usize], sent.mask(), out);
    }
}

/// The mask in a request whose body is the whole of it, if it has one: its paths are those of each message in the request.
struct WholeMask<'a>(Option<Vec<(&'a Field, MessageId, UpdateMask)>>);

impl<'a> WholeMask<'a> {
    /// Reads it from the request on the wire.
    fn new(plans: &'a Plans, route: &RoutePlan, wire: &[u8]) -> Self {
        let Some(mask) = route.mask else { return Self(None) };
        let input = plans.get(route.input);
        let number = input.fields[mask as usize].number;
        let fields = |wire| {
            let mut reader = Reader::new(wire);
            std::iter::from_fn(move || reader.field().ok().flatten())
        };
        let masks = fields(wire).filter_map(|(of, raw)| bytes(raw).filter(|_| of == number));
        let paths = masks.flat_map(fields).filter_map(|(of, raw)| bytes(raw).filter(|_| of == 1));
        let paths: Vec<_> = paths.map(String::from_utf8_lossy).collect();
        if paths.is_empty() {
            return Self(None);
        }
        let resources = input.fields.iter().filter(|field| field.shape == Shape::Singular);
        let resources = resources.filter_map(|field| Some((field, field.message()?)));
        let resources = resources.filter(|(_, id)| plans.get(*id).known == Known::No);
        let of = |id| UpdateMask::new(paths.iter().map(|path| plans.spelled(id, path)));
        Self(Some(resources.map(|(field, id)| (field, id, of(id))).collect()))
    }

    /// Whether an update changes what is at this path of the request.
    fn changes(&self, path: &str) -> bool {
        let Some(resources) = &self.0 else { return true };
        let Some((name, inside)) = path.split_once('.') else { return false };
        resources.iter().any(|(field, _, mask)| *field.name == *name && mask.covers(inside))
    }

    /// Checks what it names.
    fn check(&self, plans: &Plans, route: &RoutePlan) -> Result<()> {
        let (Some(resources), Some(index)) = (&self.0, route.mask) else { return Ok(()) };
        let mut problems = resources.iter().filter_map(|(_, id, mask)| mask.unchangeable(plans, *id));
        let Some(problem) = problems.next() else { return Ok(()) };
        let name = &plans.get(route.input).fields[index as usize].json_name;
        Err(Error::boxed(ErrorKind::Body, format!("field {name}: {problem}")).with_violation(
            name.to_string(),
            problem,
            Some("what can be changed".to_owned()),
        ))
    }
}

fn bytes(raw: Raw<'_>) -> Option<&[u8]> {
    match raw {
        Raw::Len(bytes) => Some(bytes),
        _ => None,
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
    let mask = WholeMask::new(plans, route, wire);
    mask.check(plans, route)?;
    let changes = |path: &str| mask.changes(path);
    let update = Update { at: "", behavior, changes: &changes, wanted: false };
    Ok(plans.sent(route.input, body, options, update).map(drop)?)
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
        let whole = (route.body == BodyRule::Whole).then(|| WholeMask::new(plans, route, wire));
        if let Some(mask) = whole.as_ref().filter(|_| route.behavior.immutable && route.is_patch) {
            mask.check(plans, route)?;
        }
        let changes = |path: &str| match (&whole, path.split_once('.')) {
            (Some(mask), _) => mask.changes(path),
            (None, inside) => inside.is_none_or(|(_, inside)| woven.changes(inside)),
        };
        let Some((name, _)) = self.0.into_iter().find(|(_, path)| changes(path)) else { return Ok(()) };
        Err(Error::boxed(ErrorKind::Body, format!("form field {name}: {UNCHANGEABLE}")).with_violation(
            name,
            UNCHANGEABLE,
            Some("what can be changed".to_owned()),
        ))
    }
}
