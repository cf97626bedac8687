//! Wire format to JSON, in one pass.
//!
//! Encoders write fields in the order of their numbers, and so the first attempt prints a message as it is read. It gives
//! up where the wire leaves that order: a singular field or message twice, a list in pieces, two members of a oneof. Then
//! (and for the rest of the call, so that the cost stays linear) values are collected first, merged as Protobuf says,
//! and printed in order.

mod known;
mod list;
mod map;
mod met;
mod value;

use super::known::Known;
use super::wire::{LEN, Malformed, Raw, Reader, VARINT};
use super::{Field, Key, Kind, Message, MessageId, Plans, PrintOptions, Selection, Shape};
use met::{Met, collect, content, is_64_bit, is_default, is_packable, merged, wire_of};

/// Messages inside messages.
const MAX_DEPTH: usize = 100;

/// A message that cannot become JSON: its sender's fault, not the client's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrintError {
    /// The bytes are no message.
    #[error("the bytes are not a message in Protobuf's wire format")]
    Malformed,
    /// Nesting beyond the limit.
    #[error("messages nested too deeply")]
    TooDeep,
    /// Longer than the limit.
    #[error("the text would be too long")]
    TooLong,
    /// A string that is not UTF-8.
    #[error("field {field} is not UTF-8")]
    Utf8 {
        /// The field's name.
        field: String,
    },
    /// A value that JSON has no form for: a timestamp out of range, an infinite number in a Value, and the like.
    #[error("a {message} holds a value that JSON cannot express")]
    Value {
        /// The message type's full name.
        message: String,
    },
    /// An Any of a type that the descriptors lack.
    #[error("an Any holds the unknown type {url:?}")]
    UnknownType {
        /// The type URL.
        url: String,
    },
}

impl From<Malformed> for PrintError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

pub(crate) use value::quote;

type Result<T> = std::result::Result<T, PrintError>;

pub(super) struct Printer<'a> {
    plans: &'a Plans,
    options: &'a PrintOptions,
    out: &'a mut Vec<u8>,
    depth: usize,
    /// Where the text is too long.
    end: usize,
    /// The wire has left the order of numbers once: collect before printing.
    careful: bool,
    /// Fields that are not on the wire may be wanted nonetheless.
    fills: bool,
    /// What is wanted of the message that comes next: everything where this is `None`.
    selection: Option<&'a Selection>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(plans: &'a Plans, options: &'a PrintOptions, out: &'a mut Vec<u8>) -> Self {
        let fills = options.always_print_primitive_fields || options.always_print_empty_lists;
        let end = out.len().saturating_add(options.max_bytes);
        Self { plans, options, out, depth: 0, end, careful: false, fills, selection: None }
    }

    /// Prints only what is selected.
    pub(super) fn select(self, selection: Option<&'a Selection>) -> Self {
        Self { selection, ..self }
    }

    /// Prints a message as a JSON value.
    pub(super) fn message(&mut self, id: MessageId, wire: &[u8]) -> Result<()> {
        let plan = self.plans.get(id);
        if self.depth == MAX_DEPTH {
            return Err(PrintError::TooDeep);
        }
        self.bound()?;
        self.depth += 1;
        match plan.known {
            Known::No => {
                let start = self.out.len();
                self.members(plan, wire)?;
                // The first member's comma makes room for the brace.
                match self.out.get_mut(start) {
                    Some(comma) => *comma = b'{',
                    None => self.out.push(b'{'),
                }
                self.out.push(b'}');
            }
            known => self.known(known, plan, wire)?,
        }
        self.depth -= 1;
        Ok(())
    }

    /// Ends what has become too long.
    #[inline]
    fn bound(&self) -> Result<()> {
        if self.out.len() > self.end { Err(PrintError::TooLong) } else { Ok(()) }
    }

    /// Prints one field of a message as a JSON value.
    pub(super) fn only(&mut self, id: MessageId, index: u32, wire: &[u8]) -> Result<()> {
        let plan = self.plans.get(id);
        let index = index as usize;
        let field = &plan.fields[index];
        let mut met = collect(plan, wire, |field, raw| self.fits(field, raw))?;
        met.retain(|(of, _)| *of == index);
        let start = self.out.len();
        self.collected(plan, index, &met, true)?;
        if self.out.len() == start {
            match (field.shape, field.kind) {
                (Shape::Singular, Kind::Message(id) | Kind::Group(id)) => match self.plans.get(id).known {
                    Known::No => self.out.extend_from_slice(b"{}"),
                    _ => self.out.extend_from_slice(b"null"),
                },
                _ => self.default(field),
            }
            return Ok(());
        }
        let key = self.key_of(field).text().len();
        self.out.drain(start..start + key);
        Ok(())
    }

    #[inline]
    fn key_of<'f>(&self, field: &'f Field) -> &'f Key {
        if self.options.proto_names { &field.proto_key } else { &field.json_key }
    }

    /// Prints a message's fields, each with a comma before it.
    fn members(&mut self, plan: &Message, wire: &[u8]) -> Result<()> {
        let start = self.out.len();
        if !self.careful && self.selection.is_none() {
            if self.in_order(plan, wire)? {
                return Ok(());
            }
            self.out.truncate(start);
            self.careful = true;
        }
        let selection = self.selection;
        let wanted = |field: &Field| selection.is_none_or(|selection| selection.has(field.number));
        let mut met = collect(plan, wire, |field, raw| self.fits(field, raw))?;
        // After that: of a oneof the last member counts, wanted or not.
        met.retain(|(index, _)| wanted(&plan.fields[*index]));
        met.sort_by_key(|(index, _)| *index);
        let mut rest = &met[..];
        let mut next = 0;
        while let Some(&(index, _)) = rest.first() {
            self.defaults(plan, next, index);
            let count = rest.iter().take_while(|(of, _)| *of == index).count();
            self.selection = selection.and_then(|selection| selection.inside(plan.fields[index].number));
            self.collected(plan, index, &rest[..count], false)?;
            self.selection = selection;
            rest = &rest[count..];
            next = index + 1;
        }
        self.defaults(plan, next, plan.fields.len());
        Ok(())
    }

    /// The attempt to print while reading; false if the order of the wire does not allow it.
    fn in_order(&mut self, plan: &Message, wire: &[u8]) -> Result<bool> {
        let mut reader = Reader::new(wire);
        let mut next = 0;
        let mut oneofs = 0_u64;
        if plan.oneofs > u64::BITS {
            return Ok(false);
        }
        while !reader.rest.is_empty() {
            let (number, wire) = reader.tag()?;
            let index = match plan.fields.get(next) {
                Some(field) if field.number == number => Some(next),
                _ => plan.by_number(number),
            };
            let Some(index) = index else {
                reader.value(number, wire)?;
                continue;
            };
            let field = &plan.fields[index];
            // What fits by its wire type alone is read where it is printed: a `Raw` in between would cost as much as the rest.
            let raw = if wire == field.wire && !self.is_closed(field.kind) {
                None
            } else {
                Some(reader.value(number, wire)?)
            };
            if raw.is_some_and(|raw| !self.fits(field, raw)) {
                continue;
            }
            if index < next {
                return Ok(false);
            }
            if let Some(oneof) = field.oneof {
                if oneofs & 1 << oneof != 0 {
                    return Ok(false);
                }
                oneofs |= 1 << oneof;
            }
            self.defaults(plan, next, index);
            next = index + 1;
            match (field.shape, raw) {
                (Shape::Singular, None) => self.next_singular(field, &mut reader)?,
                (Shape::Singular, Some(raw)) => self.singular(field, raw)?,
                (Shape::Repeated, None) if wire == LEN => self.next_list(field, &mut reader)?,
                (shape, raw) => {
                    let raw = match raw {
                        Some(raw) => raw,
                        None => reader.value(number, wire)?,
                    };
                    self.several(field, shape, raw, &mut reader)?;
                }
            }
        }
        self.defaults(plan, next, plan.fields.len());
        Ok(true)
    }

    fn is_closed(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Enum(id) if self.plans.get_enum(id).closed)
    }

    #[inline]
    fn leaves_out_default(&self, field: &Field) -> bool {
        field.implicit && !(self.options.always_print_primitive_fields && field.filled)
    }

    /// Prints the field whose value of its own wire type comes next.
    fn next_singular(&mut self, field: &Field, reader: &mut Reader<'_>) -> Result<()> {
        let left_out = self.leaves_out_default(field);
        match field.wire {
            LEN => {
                let bytes = reader.bytes()?;
                if left_out && bytes.is_empty() {
                    return Ok(());
                }
                self.put_key(field);
                self.delimited(field, bytes)
            }
            VARINT => {
                let value = reader.varint()?;
                if left_out && is_default(field.kind, Raw::Varint(value)) {
                    return Ok(());
                }
                self.put_key(field);
                self.varint(field, value);
                Ok(())
            }
            wire => {
                let raw = reader.value(field.number, wire)?;
                self.singular(field, raw)
            }
        }
    }

    /// Prints a field from all its values. `always`: also a default that is otherwise left out.
    fn collected(&mut self, plan: &Message, index: usize, met: &[Met<'_>], always: bool) -> Result<()> {
        let field = &plan.fields[index];
        let Some(&(_, last)) = met.last() else { return Ok(()) };
        match field.shape {
            Shape::Singular => {
                if let (Kind::Message(_) | Kind::Group(_), [_, _, ..]) = (field.kind, met) {
                    // Protobuf merges messages that come in pieces; their concatenation is the merged message.
                    return self.singular(field, Raw::Len(&merged(met)));
                }
                if always && field.implicit {
                    self.put_key(field);
                    return self.value(field, last);
                }
                self.singular(field, last)
            }
            Shape::Repeated => {
                let mut values = met.iter().map(|(_, raw)| *raw);
                match values.next() {
                    Some(first) => self.list(field, first, || Ok(values.next())),
                    None => Ok(()),
                }
            }
            Shape::Map(entry) => {
                let entries: Vec<&[u8]> = met.iter().map(|(_, raw)| content(*raw)).collect();
                self.map(field, self.plans.get(entry), &entries)
            }
        }
    }

    /// Whether a value is one of the field: of a wire type that its kind has, and known to its enum if that is closed.
    #[inline]
    fn fits(&self, field: &Field, raw: Raw<'_>) -> bool {
        let own = wire_of(raw) == field.wire;
        match (field.kind, raw) {
            (Kind::Enum(id), Raw::Varint(value)) => {
                let plan = self.plans.get_enum(id);
                !plan.closed || plan.position(value as i32).is_some()
            }
            (_, Raw::Len(_)) if field.shape == Shape::Repeated => own || is_packable(field.kind),
            _ => own,
        }
    }

    /// Prints the fields from `next` up to `end`, which are not on the wire, where the options want them.
    #[inline]
    fn defaults(&mut self, plan: &Message, next: usize, end: usize) {
        if self.fills {
            self.wanted_defaults(plan, next, end);
        }
    }

    fn wanted_defaults(&mut self, plan: &Message, next: usize, end: usize) {
        let selection = self.selection;
        let selected = |field: &&Field| selection.is_none_or(|selection| selection.has(field.number));
        for field in plan.fields[next..end].iter().filter(selected) {
            let wanted = match field.shape {
                Shape::Singular => {
                    field.implicit && self.options.always_print_primitive_fields && field.filled
                }
                // Extensions are not the message's own: an empty one is no part of its form.
                Shape::Repeated | Shape::Map(_) => {
                    self.options.always_print_empty_lists && !field.name.starts_with('[')
                }
            };
            if wanted {
                self.put_key(field);
                self.default(field);
            }
        }
    }

    fn default(&mut self, field: &Field) {
        let quoted = !(self.options.int64_as_numbers || field.number_in_json);
        let text: &[u8] = match (field.shape, field.kind) {
            (Shape::Repeated, _) => b"[]",
            (Shape::Map(_), _) => b"{}",
            (_, Kind::String | Kind::Bytes) => b"\"\"",
            (_, Kind::Bool) => b"false",
            (_, Kind::Enum(id)) => return self.enumeration(id, 0),
            (_, Kind::Message(_) | Kind::Group(_)) => b"null",
            (_, kind) if is_64_bit(kind) && quoted => b"\"0\"",
            _ => b"0",
        };
        self.out.extend_from_slice(text);
    }

    #[inline]
    fn put_key(&mut self, field: &Field) {
        self.key_of(field).append(self.out);
    }

    #[inline]
    fn singular(&mut self, field: &Field, raw: Raw<'_>) -> Result<()> {
        if self.leaves_out_default(field) && is_default(field.kind, raw) {
            return Ok(());
        }
        self.put_key(field);
        self.value(field, raw)
    }
}
