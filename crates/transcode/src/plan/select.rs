//! Partial responses: which fields of an answer the client wants (AIP-157, and the older notation with brackets).
//!
//! ```text
//! fields = item *( "," item )
//! item   = name *( ( "." | "/" ) name ) [ "(" fields ")" ]
//! name   = a field, by its JSON or proto name, or "*" for all of them
//! ```
//!
//! Lists are looked through: `books.name` are the names of all books. Maps and well-known types are taken whole.

use super::known::Known;
use super::{MessageId, Plans, Shape, shown};

/// Brackets and dots inside each other.
const MAX_DEPTH: usize = 32;

/// The fields wanted of a message, by number, and what is wanted of those inside them: everything where that is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection(Vec<(u32, Option<Selection>)>);

impl Selection {
    pub(crate) fn has(&self, number: u32) -> bool {
        self.0.iter().any(|(of, _)| *of == number)
    }

    /// What is wanted inside a field that is.
    pub(crate) fn inside(&self, number: u32) -> Option<&Self> {
        self.0.iter().find(|(of, _)| *of == number).and_then(|(_, inside)| inside.as_ref())
    }
}

impl Plans {
    /// Reads a selection of the fields of a message, or of the messages in its field `of`; `None` is everything.
    ///
    /// # Errors
    /// What is no such text, or names what is not there.
    pub(crate) fn select(
        &self,
        message: MessageId,
        of: Option<u32>,
        text: &str,
    ) -> Result<Option<Selection>, String> {
        let message = match of {
            None => Some(message),
            Some(index) => {
                let field = &self.get(message).fields[index as usize];
                field.message().filter(|_| !matches!(field.shape, Shape::Map(_)))
            }
        };
        let mut reader = Reader { plans: self, rest: text };
        let mut wanted = Some(Selection::default());
        reader.items(message, &mut wanted, 0)?;
        match reader.rest.trim_start() {
            "" => Ok(wanted),
            rest if rest.starts_with(')') => Err("a bracket closes that was not opened".to_owned()),
            _ => Err("a comma is missing after a bracket".to_owned()),
        }
    }
}

struct Reader<'a> {
    plans: &'a Plans,
    rest: &'a str,
}

impl Reader<'_> {
    fn items(
        &mut self,
        message: Option<MessageId>,
        wanted: &mut Option<Selection>,
        depth: usize,
    ) -> Result<(), String> {
        self.item(message, wanted, depth)?;
        while self.eat(',') {
            self.item(message, wanted, depth)?;
        }
        Ok(())
    }

    /// Adds an item to what is wanted of a message. What is wanted whole stays so.
    fn item(
        &mut self,
        message: Option<MessageId>,
        wanted: &mut Option<Selection>,
        depth: usize,
    ) -> Result<(), String> {
        if depth == MAX_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        let end = self.rest.find([',', '.', '/', '(', ')']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let name = name.trim();
        let plan = message.map(|id| self.plans.get(id)).filter(|plan| plan.known == Known::No);
        let plan = plan.ok_or_else(|| {
            format!("{} cannot be chosen: there are no fields to choose from", shown(name.as_bytes()))
        })?;
        if name.is_empty() {
            return Err("a name is missing".to_owned());
        }
        if name == "*" {
            *wanted = None;
            return match self.rest.chars().next() {
                None | Some(',' | ')') => Ok(()),
                Some(_) => Err("* is followed by more".to_owned()),
            };
        }
        let index = plan.names.get(name.as_bytes());
        let index = index.ok_or_else(|| format!("{} has no field {}", plan.name, shown(name.as_bytes())))?;
        let field = &plan.fields[index as usize];
        let mut all = None;
        let inside = match wanted {
            None => &mut all,
            Some(selection) => selection.inner(field.number, self.rest.starts_with(['.', '/', '('])),
        };
        if self.eat('.') || self.eat('/') {
            self.item(field.message(), inside, depth + 1)
        } else if self.eat('(') {
            self.items(field.message(), inside, depth + 1)?;
            match self.eat(')') {
                true => Ok(()),
                false if self.rest.trim_start().is_empty() => Err("a bracket does not close".to_owned()),
                false => Err("a comma is missing after a bracket".to_owned()),
            }
        } else {
            *inside = None;
            Ok(())
        }
    }

    /// Takes a sign, and the white space before it.
    fn eat(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

impl Selection {
    /// The place for what is wanted inside a field. `parts`: of a field met first, only some.
    fn inner(&mut self, number: u32, parts: bool) -> &mut Option<Self> {
        let at = self.0.iter().position(|(of, _)| *of == number).unwrap_or_else(|| {
            self.0.push((number, parts.then(Self::default)));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}
