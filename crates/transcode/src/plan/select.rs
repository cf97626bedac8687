//! Partial responses: which fields of an answer the client wants (AIP-157, and the older notation with brackets).
//!
//! ```text
//! fields = item *( "," item )
//! item   = name *( ( "." | "/" ) name ) [ "(" fields ")" ]
//! name   = a field, by its JSON or proto name, or the key of an entry of a map, or "*" for all of them
//! ```
//!
//! Lists are looked through: `books.name` and `books.*.name` are the names of all books. A key that holds a sign of these, or is `*`,
//! stands in backticks (AIP-161). Well-known types are taken whole.

use std::collections::{BTreeMap, HashMap};

use super::known::Known;
use super::{MessageId, Plans, Shape, shown};

/// Brackets and dots inside each other.
const MAX_DEPTH: usize = 32;

/// What is wanted of something: everything where this is `None`.
pub(crate) type Wanted = Option<Selection>;

/// The parts wanted of a message or a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Of a message: fields by number.
    fields: BTreeMap<u32, Wanted>,
    /// Of a map: entries by the text of their keys.
    entries: HashMap<String, Wanted>,
    /// Of a map: what is wanted of every entry, if not some are chosen.
    each: Option<Box<Wanted>>,
}

impl Selection {
    pub(crate) fn has(&self, number: u32) -> bool {
        self.fields.contains_key(&number)
    }

    /// What is wanted inside a field that is.
    pub(crate) fn inside(&self, number: u32) -> Option<&Self> {
        self.fields.get(&number)?.as_ref()
    }

    /// What is wanted of the entry with this key, if it is.
    pub(crate) fn entry(&self, key: &str) -> Option<&Wanted> {
        self.each.as_deref().or_else(|| self.entries.get(key))
    }
}

/// What there is to choose from.
#[derive(Debug, Clone, Copy)]
enum From {
    Message(MessageId),
    /// A list of messages.
    List(MessageId),
    /// A map, and the message that its values are, if they are.
    Map(Option<MessageId>),
    Nothing,
}

impl Plans {
    /// Reads a selection of the fields of a message, or of what is in its field `of`; `None` is everything.
    ///
    /// # Errors
    /// What is no such text, or names what is not there.
    pub(crate) fn select(
        &self,
        message: MessageId,
        of: Option<u32>,
        text: &str,
    ) -> Result<Option<Selection>, String> {
        let from = of.map_or_else(|| self.parts(message), |index| self.parts_of_field(message, index));
        let mut reader = Reader { plans: self, rest: text };
        let mut wanted = Some(Selection::default());
        reader.items(from, &mut wanted, 0)?;
        match reader.rest.trim_start() {
            "" => Ok(wanted),
            rest if rest.starts_with(')') => Err("a bracket closes that was not opened".to_owned()),
            _ => Err("a comma is missing after a bracket".to_owned()),
        }
    }

    fn parts(&self, message: MessageId) -> From {
        if self.get(message).known == Known::No { From::Message(message) } else { From::Nothing }
    }

    fn parts_of_field(&self, message: MessageId, index: u32) -> From {
        let field = &self.get(message).fields[index as usize];
        match (field.shape, field.message().map(|id| self.parts(id))) {
            (Shape::Map(entry), _) => From::Map(self.get(entry).map_value()),
            (Shape::Repeated, Some(From::Message(id))) => From::List(id),
            (_, parts) => parts.unwrap_or(From::Nothing),
        }
    }
}

struct Reader<'a> {
    plans: &'a Plans,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn items(&mut self, from: From, wanted: &mut Wanted, depth: usize) -> Result<(), String> {
        self.item(from, wanted, depth)?;
        while self.eat(',') {
            self.item(from, wanted, depth)?;
        }
        Ok(())
    }

    /// Adds an item to what is wanted. What is wanted whole stays so.
    fn item(&mut self, from: From, wanted: &mut Wanted, depth: usize) -> Result<(), String> {
        if depth == MAX_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        let (name, quoted) = self.name()?;
        let all = name == "*" && !quoted;
        match from {
            From::Nothing => {
                let name = shown(name.as_bytes());
                Err(format!("{name} cannot be chosen: there are no fields to choose from"))
            }
            _ if name.is_empty() && !quoted => Err("a name is missing".to_owned()),
            From::Map(_) | From::List(_) | From::Message(_) if all && !self.goes_on() => {
                *wanted = None;
                Ok(())
            }
            From::Message(_) if all => Err("* is followed by more".to_owned()),
            From::List(id) if all => self.parts(From::Message(id), wanted, depth),
            From::Map(value) if all => self.each(value, wanted, depth),
            From::Map(value) => self.entry(name, value, wanted, depth),
            From::List(id) | From::Message(id) => self.field(name, id, wanted, depth),
        }
    }

    fn field(
        &mut self,
        name: &str,
        message: MessageId,
        wanted: &mut Wanted,
        depth: usize,
    ) -> Result<(), String> {
        let plan = self.plans.get(message);
        let index = plan.names.get(name.as_bytes());
        let index = index.ok_or_else(|| format!("{} has no field {}", plan.name, shown(name.as_bytes())))?;
        let number = plan.fields[index as usize].number;
        let first = || self.goes_on().then(Selection::default);
        let mut whole = None;
        let inside = match wanted {
            None => &mut whole,
            Some(selection) => selection.fields.entry(number).or_insert_with(first),
        };
        self.parts(self.plans.parts_of_field(message, index), inside, depth)
    }

    fn entry(
        &mut self,
        key: &str,
        value: Option<MessageId>,
        wanted: &mut Wanted,
        depth: usize,
    ) -> Result<(), String> {
        let first = || self.goes_on().then(Selection::default);
        let mut whole = None;
        let inside = match wanted {
            None => &mut whole,
            Some(Selection { each: Some(_), .. }) => return Err(mixed()),
            Some(selection) => selection.entries.entry(key.to_owned()).or_insert_with(first),
        };
        let value = value.map_or(From::Nothing, |id| self.plans.parts(id));
        self.parts(value, inside, depth)
    }

    fn each(&mut self, value: Option<MessageId>, wanted: &mut Wanted, depth: usize) -> Result<(), String> {
        let mut inside = match wanted {
            None => None,
            Some(selection) if !selection.entries.is_empty() => return Err(mixed()),
            Some(selection) => selection.each.take().map_or_else(|| Some(Selection::default()), |each| *each),
        };
        let value = value.map_or(From::Nothing, |id| self.plans.parts(id));
        self.parts(value, &mut inside, depth)?;
        match (wanted, &inside) {
            (Some(selection), Some(_)) => selection.each = Some(Box::new(inside)),
            (wanted, _) => *wanted = None,
        }
        Ok(())
    }

    /// Reads what is wanted of what was just named: all of it, unless more follows.
    fn parts(&mut self, from: From, wanted: &mut Wanted, depth: usize) -> Result<(), String> {
        if self.eat('.') || self.eat('/') {
            self.item(from, wanted, depth + 1)
        } else if self.eat('(') {
            self.items(from, wanted, depth + 1)?;
            match self.eat(')') {
                true => Ok(()),
                false if self.rest.trim_start().is_empty() => Err("a bracket does not close".to_owned()),
                false => Err("a comma is missing after a bracket".to_owned()),
            }
        } else {
            *wanted = None;
            Ok(())
        }
    }

    /// Takes a name, and whether it stands in backticks.
    fn name(&mut self) -> Result<(&'a str, bool), String> {
        let text = self.rest.trim_start();
        if let Some(quoted) = text.strip_prefix('`') {
            let (name, rest) = quoted.split_once('`').ok_or("a backtick does not close")?;
            self.rest = rest;
            return match rest.trim_start().chars().next() {
                None | Some(',' | '.' | '/' | '(' | ')') => Ok((name, true)),
                Some(_) => Err("a name goes on behind its backticks".to_owned()),
            };
        }
        let end = text.find([',', '.', '/', '(', ')']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        self.rest = rest;
        Ok((name.trim_end(), false))
    }

    /// Whether parts follow of what was just named.
    fn goes_on(&self) -> bool {
        self.rest.trim_start().starts_with(['.', '/', '('])
    }

    /// Takes a sign, and the white space before it.
    fn eat(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

fn mixed() -> String {
    "some entries of a map are chosen by their keys, and parts of all of them".to_owned()
}
