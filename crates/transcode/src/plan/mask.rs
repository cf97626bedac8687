//! The field mask of a PATCH, inferred from its body: the paths of the keys that the client sent.
//!
//! A plain message is followed down to the keys inside; everything else (lists, maps, well-known types, `{}`, null)
//! is one path. A null counts as sent: it means that the field is to be cleared.

use super::fail::{Fail, ParseErrorKind};
use super::json::Json;
use super::known::Known;
use super::{FieldBehavior, Message, MessageId, ParseOptions, Plans, Shape, UNCHANGEABLE};

/// Each path repeats those above it: deep texts name much more than they hold. So many bytes of paths are always allowed, and four
/// times the text.
const LEAST: usize = 64 << 10;

type Result<T> = std::result::Result<T, Fail>;

/// The paths, in proto names, in the order of the text; none if they are not `wanted`, but what would change is looked at. The
/// text must have been parsed without error before.
pub(crate) fn infer(
    plans: &Plans,
    (message, json, options): (MessageId, &[u8], &ParseOptions),
    behavior: FieldBehavior,
    changes: &dyn Fn(&str) -> bool,
    wanted: bool,
) -> Result<Vec<String>> {
    let mut walk = Walk {
        plans,
        behavior,
        changes,
        json: Json::new(json, options)?,
        scratch: Vec::new(),
        paths: Vec::new(),
        wanted,
        left: LEAST + 4 * json.len(),
    };
    if walk.json.peek() == Some(b'{') {
        walk.object(plans.get(message), "")?;
    }
    Ok(walk.paths)
}

struct Walk<'a> {
    plans: &'a Plans,
    behavior: FieldBehavior,
    changes: &'a dyn Fn(&str) -> bool,
    json: Json<'a>,
    scratch: Vec<u8>,
    paths: Vec<String>,
    wanted: bool,
    /// How many bytes of paths may follow.
    left: usize,
}

impl Walk<'_> {
    /// Whether something in it is passed over.
    fn object(&mut self, plan: &Message, prefix: &str) -> Result<bool> {
        let mut passed = false;
        let mut more = !self.json.open(b'{')?;
        while more {
            let key = self.json.key(&mut self.scratch)?;
            let field = plan.names.get(key).map(|index| &plan.fields[index as usize]);
            if let Some(field) = field.filter(|field| !(self.behavior.output_only && field.output_only)) {
                let inside = field.message().map(|id| self.plans.get(id));
                let inside = inside.filter(|m| m.known == Known::No && field.shape == Shape::Singular);
                let path = format!("{prefix}{}", field.name);
                if field.immutable && self.behavior.immutable && (self.changes)(&path) {
                    let fail = Fail::new(ParseErrorKind::Behavior, self.json.offset(), UNCHANGEABLE);
                    return Err(fail.field(&field.json_name));
                }
                passed |= self.value(inside, path).map_err(|fail| fail.field(&field.json_name))?;
            } else {
                passed = true;
                self.json.skip(&mut self.scratch)?;
            }
            more = self.json.more(b'{')?;
        }
        Ok(passed)
    }

    fn value(&mut self, inside: Option<&Message>, path: String) -> Result<bool> {
        let known = self.paths.len();
        match inside {
            // An object that holds nothing but what is passed over changes nothing; an empty one clears.
            Some(plan) if self.json.peek() == Some(b'{') => {
                if self.object(plan, &format!("{path}."))? {
                    return Ok(true);
                }
            }
            _ => self.json.skip(&mut self.scratch)?,
        }
        if self.wanted && self.paths.len() == known {
            self.left = self.left.checked_sub(path.len()).ok_or_else(|| {
                Fail::new(ParseErrorKind::TooMany, self.json.offset(), "names too much for a field mask")
            })?;
            self.paths.push(path);
        }
        Ok(false)
    }
}
