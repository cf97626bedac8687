//! Wire format to JSON, in one pass.
//!
//! Encoders write fields in the order of their numbers, and so the first attempt prints a message as it is read. It gives
//! up where the wire leaves that order: a singular field or message twice, a list in pieces, two members of a oneof. Then
//! (and for the rest of the call, so that the cost stays linear) values are collected first, merged as Protobuf says,
//! and printed in order.

mod known;
mod map;
mod met;

use base64::Engine as _;

use super::json::{plain_len, scan};
use super::known::Known;
use super::wire::{FIXED32, FIXED64, LEN, Malformed, Raw, Reader, VARINT, unzigzag};
use super::{Field, Key, Kind, Message, MessageId, Plans, PrintOptions, Shape};
use met::{Met, collect, content, following, is_64_bit, is_default, is_packable, wire_of};

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

type Result<T> = std::result::Result<T, PrintError>;

pub(super) struct Printer<'a> {
    plans: &'a Plans,
    options: &'a PrintOptions,
    out: &'a mut Vec<u8>,
    depth: usize,
    /// The wire has left the order of numbers once: collect before printing.
    careful: bool,
    /// Fields that are not on the wire may be wanted nonetheless.
    fills: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(plans: &'a Plans, options: &'a PrintOptions, out: &'a mut Vec<u8>) -> Self {
        let fills = options.always_print_primitive_fields || options.always_print_empty_lists;
        Self { plans, options, out, depth: 0, careful: false, fills }
    }

    /// Prints a message as a JSON value.
    pub(super) fn message(&mut self, id: MessageId, wire: &[u8]) -> Result<()> {
        let plan = self.plans.get(id);
        if self.depth == MAX_DEPTH {
            return Err(PrintError::TooDeep);
        }
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
        if !self.careful {
            if self.in_order(plan, wire)? {
                return Ok(());
            }
            self.out.truncate(start);
            self.careful = true;
        }
        let mut met = collect(plan, wire, |field, raw| self.fits(field, raw))?;
        met.sort_by_key(|(index, _)| *index);
        let mut rest = &met[..];
        let mut next = 0;
        while let Some(&(index, _)) = rest.first() {
            self.defaults(plan, next, index);
            let count = rest.iter().take_while(|(of, _)| *of == index).count();
            self.collected(plan, index, &rest[..count], false)?;
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

    /// Prints the field whose value of its own wire type comes next.
    fn next_singular(&mut self, field: &Field, reader: &mut Reader<'_>) -> Result<()> {
        let left_out = field.implicit && !self.options.always_print_primitive_fields;
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

    /// Prints a list of length-delimited values, the first of which comes next.
    fn next_list(&mut self, field: &Field, reader: &mut Reader<'_>) -> Result<()> {
        self.put_key(field);
        let mut before = b'[';
        loop {
            self.out.push(before);
            let bytes = reader.bytes()?;
            self.delimited(field, bytes)?;
            before = b',';
            if !reader.eat_tag(field.number, LEN) {
                break;
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// Prints a list or a map, the first of whose values was read.
    fn several<'w>(
        &mut self,
        field: &Field,
        shape: Shape,
        first: Raw<'w>,
        reader: &mut Reader<'w>,
    ) -> Result<()> {
        let Shape::Map(entry) = shape else { return self.list(field, first, || following(reader, field)) };
        let mut entries = Vec::new();
        let mut raw = Some(first);
        while let Some(Raw::Len(bytes)) = raw {
            entries.push(bytes);
            raw = following(reader, field)?;
        }
        self.map(field, self.plans.get(entry), &entries)
    }

    /// Prints a field from all its values. `always`: also a default that is otherwise left out.
    fn collected(&mut self, plan: &Message, index: usize, met: &[Met<'_>], always: bool) -> Result<()> {
        let field = &plan.fields[index];
        let Some(&(_, last)) = met.last() else { return Ok(()) };
        match field.shape {
            Shape::Singular => {
                if let (Kind::Message(_) | Kind::Group(_), [_, _, ..]) = (field.kind, met) {
                    // Protobuf merges messages that come in pieces; their concatenation is the merged message.
                    let merged: Vec<u8> = met.iter().flat_map(|(_, raw)| content(*raw)).copied().collect();
                    return self.singular(field, Raw::Len(&merged));
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
        for field in &plan.fields[next..end] {
            let wanted = match field.shape {
                Shape::Singular => field.implicit && self.options.always_print_primitive_fields,
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
        if field.implicit && !self.options.always_print_primitive_fields && is_default(field.kind, raw) {
            return Ok(());
        }
        self.put_key(field);
        self.value(field, raw)
    }

    /// Prints a list from its first value and those that `more` yields; packed runs are taken apart.
    fn list<'w>(
        &mut self,
        field: &Field,
        first: Raw<'w>,
        mut more: impl FnMut() -> std::result::Result<Option<Raw<'w>>, Malformed>,
    ) -> Result<()> {
        let start = self.out.len();
        self.put_key(field);
        let opening = self.out.len();
        let mut value = Some(first);
        while let Some(raw) = value {
            match raw {
                Raw::Len(packed) if is_packable(field.kind) => {
                    let mut reader = Reader::new(packed);
                    while !reader.rest.is_empty() {
                        let raw = match field.wire {
                            FIXED64 => Raw::Fixed64(reader.fixed64()?),
                            FIXED32 => Raw::Fixed32(reader.fixed32()?),
                            _ => Raw::Varint(reader.varint()?),
                        };
                        self.element(field, raw)?;
                    }
                }
                raw => self.element(field, raw)?,
            }
            value = more()?;
        }
        match self.out.get_mut(opening) {
            Some(comma) => *comma = b'[',
            None if self.options.always_print_empty_lists => self.out.push(b'['),
            None => {
                self.out.truncate(start);
                return Ok(());
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn element(&mut self, field: &Field, raw: Raw<'_>) -> Result<()> {
        if !self.fits(field, raw) {
            return Ok(());
        }
        self.out.push(b',');
        self.value(field, raw)
    }

    /// Prints a value, whose wire type fits.
    fn value(&mut self, field: &Field, raw: Raw<'_>) -> Result<()> {
        match (field.kind, raw) {
            (Kind::Group(id), _) => return self.message(id, content(raw)),
            (_, Raw::Len(bytes)) => return self.delimited(field, bytes),
            (_, Raw::Varint(value)) => self.varint(field, value),
            (Kind::Double, Raw::Fixed64(bits)) => self.float(f64::from_bits(bits)),
            (Kind::Float, Raw::Fixed32(bits)) => self.float(f32::from_bits(bits)),
            (Kind::Sfixed32, Raw::Fixed32(value)) => self.integer(field, value.cast_signed()),
            (_, Raw::Fixed32(value)) => self.integer(field, value),
            (Kind::Sfixed64, Raw::Fixed64(value)) => self.integer(field, value.cast_signed()),
            (_, Raw::Fixed64(value)) => self.integer(field, value),
            // A group stands in fields of groups only.
            (_, Raw::Group(_)) => return Err(PrintError::Malformed),
        }
        Ok(())
    }

    #[inline]
    fn delimited(&mut self, field: &Field, bytes: &[u8]) -> Result<()> {
        match field.kind {
            Kind::Message(id) | Kind::Group(id) => self.message(id, bytes),
            Kind::String => self.text(field, bytes),
            _ => {
                self.base64(bytes);
                Ok(())
            }
        }
    }

    #[inline]
    fn text(&mut self, field: &Field, text: &[u8]) -> Result<()> {
        // Most texts are ASCII without anything to escape: one look tells both.
        let (plain, ascii) = scan(text);
        if plain == text.len() && ascii {
            self.out.reserve(text.len() + 2);
            self.out.push(b'"');
            self.out.extend_from_slice(text);
            self.out.push(b'"');
            return Ok(());
        }
        if str::from_utf8(text).is_err() {
            return Err(PrintError::Utf8 { field: field.name.to_string() });
        }
        quote(text, self.out);
        Ok(())
    }

    #[inline]
    fn varint(&mut self, field: &Field, value: u64) {
        match field.kind {
            Kind::Enum(id) => self.enumeration(id, value as i32),
            Kind::Bool => self.out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
            Kind::Int32 => self.integer(field, value as i32),
            Kind::Int64 => self.integer(field, value.cast_signed()),
            Kind::Uint32 => self.integer(field, value as u32),
            Kind::Sint32 => self.integer(field, unzigzag(u64::from(value as u32)) as i32),
            Kind::Sint64 => self.integer(field, unzigzag(value)),
            _ => self.integer(field, value),
        }
    }

    #[inline]
    fn integer(&mut self, field: &Field, value: impl itoa::Integer) {
        let quoted = is_64_bit(field.kind) && !field.number_in_json && !self.options.int64_as_numbers;
        if quoted {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        if quoted {
            self.out.push(b'"');
        }
    }

    fn float(&mut self, value: impl zmij::Float) {
        let text: &[u8] = match zmij::Buffer::new().format(value) {
            "NaN" => b"\"NaN\"",
            "inf" => b"\"Infinity\"",
            "-inf" => b"\"-Infinity\"",
            text => return self.out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes()),
        };
        self.out.extend_from_slice(text);
    }

    fn enumeration(&mut self, id: super::EnumId, number: i32) {
        let plan = self.plans.get_enum(id);
        if plan.null {
            return self.out.extend_from_slice(b"null");
        }
        match plan.position(number) {
            Some(index) if !self.options.enums_as_numbers => {
                self.out.extend_from_slice(&plan.values[index].quoted);
            }
            _ => self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        let engine = base64::engine::general_purpose::STANDARD;
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        // The space is exactly what the encoding takes; a failure would leave zeros, which no test of ours lets pass.
        let written = engine.encode_slice(bytes, &mut self.out[start..]).unwrap_or_default();
        self.out.truncate(start + written);
        self.out.push(b'"');
    }
}

/// Appends a text, which must be UTF-8, as a JSON string.
pub(crate) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            _ => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                &[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]
            }
        };
        out.extend_from_slice(escape);
        rest = after;
    }
    out.push(b'"');
}
