//! The field mask of a PATCH, inferred from its body: the paths of the keys that the client sent.
//!
//! A plain message is followed down to the keys inside; everything else (lists, maps, well-known types, `{}`, null)
//! is one path. A null counts as sent: it means that the field is to be cleared.

use super::fail::Fail;
use super::json::Json;
use super::known::Known;
use super::{FieldBehavior, Message, MessageId, ParseOptions, Plans, Shape};

type Result<T> = std::result::Result<T, Fail>;

/// The paths, in proto names, in the order of the text. The text must have been parsed without error before.
pub(crate) fn infer(
    plans: &Plans,
    message: MessageId,
    json: &[u8],
    options: &ParseOptions,
    behavior: FieldBehavior,
) -> Result<Vec<String>> {
    let mut walk =
        Walk { plans, behavior, json: Json::new(json, options)?, scratch: Vec::new(), paths: Vec::new() };
    if walk.json.peek() == Some(b'{') {
        walk.object(plans.get(message), "")?;
    }
    Ok(walk.paths)
}

struct Walk<'a> {
    plans: &'a Plans,
    behavior: FieldBehavior,
    json: Json<'a>,
    scratch: Vec<u8>,
    paths: Vec<String>,
}

impl Walk<'_> {
    fn object(&mut self, plan: &Message, prefix: &str) -> Result<()> {
        let mut more = !self.json.open(b'{')?;
        while more {
            let key = self.json.key(&mut self.scratch)?;
            let field = plan.names.get(key).map(|index| &plan.fields[index as usize]);
            match field.filter(|field| !(self.behavior.output_only && field.output_only)) {
                Some(field) => {
                    let inside = field.message().map(|id| self.plans.get(id));
                    let inside = inside.filter(|m| m.known == Known::No && field.shape == Shape::Singular);
                    let path = format!("{prefix}{}", field.name);
                    self.value(inside, path)?;
                }
                None => self.json.skip(&mut self.scratch)?,
            }
            more = self.json.more(b'{')?;
        }
        Ok(())
    }

    fn value(&mut self, inside: Option<&Message>, path: String) -> Result<()> {
        let known = self.paths.len();
        match inside {
            Some(plan) if self.json.peek() == Some(b'{') => self.object(plan, &format!("{path}."))?,
            _ => self.json.skip(&mut self.scratch)?,
        }
        if self.paths.len() == known {
            self.paths.push(path);
        }
        Ok(())
    }
}
