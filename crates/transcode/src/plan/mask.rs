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

/// What is asked of a text that updates a message.
pub(crate) struct Update<'a> {
    /// The path of the message, in proto names; empty for the resource itself.
    pub(crate) at: &'a str,
    pub(crate) behavior: FieldBehavior,
    /// Whether the update changes what is at a path, which an immutable field forbids.
    pub(crate) changes: &'a dyn Fn(&str) -> bool,
    /// Whether the paths are wanted; otherwise what is immutable is only looked for.
    pub(crate) wanted: bool,
}

/// What a request names of a resource: paths in proto names, in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) paths: Vec<String>,
    /// What is output-only, and passed over.
    pub(crate) output: Vec<String>,
}

impl Sent {
    /// One path.
    pub(crate) fn of(path: String) -> Self {
        Self { paths: vec![path], output: Vec::new() }
    }

    /// The mask. What is output-only is in it where there is nothing else: an empty one would change everything.
    pub(crate) fn mask(&self) -> &[String] {
        if self.paths.is_empty() { &self.output } else { &self.paths }
    }
}

pub(super) fn infer(
    plans: &Plans,
    message: MessageId,
    json: &[u8],
    options: &ParseOptions,
    update: Update<'_>,
) -> Result<Sent> {
    let left = LEAST + 4 * json.len();
    let json = Json::new(json, options)?;
    let mut walk = Walk { plans, json, scratch: Vec::new(), sent: Sent::default(), left, update };
    let plan = Some(plans.get(message)).filter(|plan| plan.known == Known::No);
    match (plan, walk.update.at) {
        (Some(plan), "") if walk.json.peek() == Some(b'{') => drop(walk.object(plan, "")?),
        (_, "") => {}
        (plan, at) => drop(walk.value(plan, at.to_owned())?),
    }
    Ok(walk.sent)
}

struct Walk<'a> {
    plans: &'a Plans,
    json: Json<'a>,
    scratch: Vec<u8>,
    sent: Sent,
    /// How many bytes of paths may follow.
    left: usize,
    update: Update<'a>,
}

impl Walk<'_> {
    /// Whether something in it is passed over.
    fn object(&mut self, plan: &Message, prefix: &str) -> Result<bool> {
        let behavior = self.update.behavior;
        let mut passed = false;
        let mut more = !self.json.open(b'{')?;
        while more {
            let key = self.json.key(&mut self.scratch)?;
            match plan.names.get(key).map(|index| &plan.fields[index as usize]) {
                None => {
                    passed = true;
                    self.json.skip(&mut self.scratch)?;
                }
                Some(field) if field.output_only && behavior.output_only => {
                    passed = true;
                    self.json.skip(&mut self.scratch)?;
                    self.name(format!("{prefix}{}", field.name), |sent| &mut sent.output)?;
                }
                Some(field) => {
                    let inside = field.message().map(|id| self.plans.get(id));
                    let inside = inside.filter(|m| m.known == Known::No && field.shape == Shape::Singular);
                    let path = format!("{prefix}{}", field.name);
                    if field.immutable && behavior.immutable && (self.update.changes)(&path) {
                        let fail = Fail::new(ParseErrorKind::Behavior, self.json.offset(), UNCHANGEABLE);
                        return Err(fail.field(&field.json_name));
                    }
                    passed |= self.value(inside, path).map_err(|fail| fail.field(&field.json_name))?;
                }
            }
            more = self.json.more(b'{')?;
        }
        Ok(passed)
    }

    fn value(&mut self, inside: Option<&Message>, path: String) -> Result<bool> {
        let known = self.sent.paths.len();
        match inside {
            // An object that holds nothing but what is passed over changes nothing; an empty one clears.
            Some(plan) if self.json.peek() == Some(b'{') => {
                if self.object(plan, &format!("{path}."))? {
                    return Ok(true);
                }
            }
            _ => self.json.skip(&mut self.scratch)?,
        }
        if self.sent.paths.len() == known {
            self.name(path, |sent| &mut sent.paths)?;
        }
        Ok(false)
    }

    fn name(&mut self, path: String, list: impl FnOnce(&mut Sent) -> &mut Vec<String>) -> Result<()> {
        if self.update.wanted {
            self.left = self.left.checked_sub(path.len()).ok_or_else(|| {
                Fail::new(ParseErrorKind::TooMany, self.json.offset(), "names too much for a field mask")
            })?;
            list(&mut self.sent).push(path);
        }
        Ok(())
    }
}
