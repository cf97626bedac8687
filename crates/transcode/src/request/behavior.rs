//! Field behaviour, held against a whole request: what path, query and body give together.

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::{Bound, FieldBehavior, MISSING, Plans, Taken};
use crate::rule::{BodyRule, RoutePlan};

/// What the body is held to.
pub(super) fn of_body(route: &RoutePlan) -> FieldBehavior {
    FieldBehavior { immutable: route.behavior.immutable && route.is_patch, ..route.behavior }
}

/// Checks what path and query give, and what they leave to the body.
pub(super) fn check_parameters(plans: &Plans, route: &RoutePlan, taken: &Bound) -> Result<()> {
    if !route.behavior.required || route.body == BodyRule::Whole {
        return Ok(());
    }
    let body = match route.body {
        BodyRule::Field(index) => Some(index),
        _ => None,
    };
    match plans.missing(route.input, taken, body) {
        Some(name) => Err(missing(ErrorKind::Query, "parameter", name)),
        None => Ok(()),
    }
}

/// Checks what a body gives that is none, or is no JSON: `taken` is what was given by it and by the path.
pub(super) fn check_body(plans: &Plans, route: &RoutePlan, taken: &Bound) -> Result<()> {
    if !route.behavior.required {
        return Ok(());
    }
    let name = match route.body {
        BodyRule::No => None,
        BodyRule::Whole if route.is_patch => None,
        BodyRule::Whole => plans.missing(route.input, taken, None),
        BodyRule::Field(index) => {
            let plan = plans.get(route.input);
            let field = &plan.fields[index as usize];
            match (taken.get(index, field), field.message()) {
                (None, _) if plan.required.contains(&index) => Some(field.json_name.to_string()),
                (Some(Taken::Inside(inside)), Some(message)) if !route.is_patch => {
                    let path = plans.missing(message, inside, None);
                    path.map(|path| format!("{}.{path}", field.json_name))
                }
                _ => None,
            }
        }
    };
    name.map_or(Ok(()), |name| Err(missing(ErrorKind::Body, "field", name)))
}

fn missing(kind: ErrorKind, what: &str, name: String) -> Box<Error> {
    Error::boxed(kind, format!("{what} {name}: {MISSING}")).with_violation(
        name,
        MISSING,
        Some("a value".to_owned()),
    )
}
