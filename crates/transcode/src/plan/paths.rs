//! Paths of field masks (AIP-161): their steps, and how the proto file spells them.

use std::borrow::Cow;

use super::known::{Known, snake_case};
use super::{Field, Kind, Message, MessageId, Plans, Shape};

/// The characters of a path, each with whether it is the key of a map in backticks, or the first of those (AIP-161).
pub(super) fn characters(path: &str) -> impl Iterator<Item = (usize, char, bool)> {
    let mut quoted = false;
    path.char_indices().map(move |(at, c)| {
        quoted ^= c == '`';
        (at, c, quoted)
    })
}

/// Divides a text at a sign; in backticks it divides nothing.
pub(crate) fn divide(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let signs = characters(text).filter(move |(_, c, quoted)| *c == sign && !quoted).map(|(at, ..)| at);
    let mut start = 0;
    signs.chain([text.len()]).map(move |end| {
        let part = &text[start..end];
        start = end + sign.len_utf8();
        part
    })
}

/// What a path has led to.
#[derive(Clone, Copy)]
enum At {
    Message(MessageId),
    /// A list of messages: `*`, or at once what is in them.
    List(MessageId),
    /// A map: a key, or `*`.
    Map(Option<MessageId>),
    /// What has names of its own, such as those in a `Struct`.
    Free,
    /// No field.
    Nothing,
}

impl Plans {
    /// A path of a field mask in proto names, whether it was given in these, in JSON names or in lowerCamelCase. What names no field is
    /// taken for lowerCamelCase, as the JSON form of a field mask has it; keys of maps and structs are what they are.
    pub(crate) fn spelled(&self, resource: MessageId, path: &str) -> String {
        let mut at = At::Message(resource);
        let mut spelled = String::with_capacity(path.len() + 8);
        for step in divide(path, '.') {
            if !spelled.is_empty() {
                spelled.push('.');
            }
            let name;
            (name, at) = self.step(at, step);
            spelled.push_str(&name);
        }
        spelled
    }

    fn step<'s>(&'s self, at: At, step: &'s str) -> (Cow<'s, str>, At) {
        match at {
            At::List(id) if step == "*" => (step.into(), At::Message(id)),
            At::Message(id) | At::List(id) => match self.field_called(id, step) {
                Some(field) => ((&*field.name).into(), self.behind(field)),
                None => (snake_case(step), At::Nothing),
            },
            At::Map(value) => (step.into(), value.map_or(At::Free, |id| self.inside(id))),
            At::Free => (step.into(), At::Free),
            At::Nothing => (snake_case(step), At::Nothing),
        }
    }

    /// The field that a step of a path means.
    fn field_called(&self, message: MessageId, step: &str) -> Option<&Field> {
        let plan = self.get(message);
        let index =
            plan.names.get(step.as_bytes()).or_else(|| plan.names.get(snake_case(step).as_bytes()))?;
        Some(&plan.fields[index as usize])
    }

    fn behind(&self, field: &Field) -> At {
        match (field.shape, field.message()) {
            (Shape::Map(entry), _) => At::Map(self.get(entry).map_value()),
            (Shape::Repeated, Some(id)) => At::List(id),
            (Shape::Singular, Some(id)) => self.inside(id),
            _ => At::Nothing,
        }
    }

    fn inside(&self, message: MessageId) -> At {
        if self.get(message).known == Known::No { At::Message(message) } else { At::Free }
    }
}

impl Message {
    /// Of the entry of a map: the message that is its value.
    pub(crate) fn map_value(&self) -> Option<MessageId> {
        match self.fields.last()?.kind {
            Kind::Message(id) => Some(id),
            _ => None,
        }
    }
}
