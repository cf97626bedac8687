//! Plans: every message type compiled once, at start, into what a call needs to turn JSON into wire bytes and back.
//!
//! A plan is a dense array of fields in the order of their numbers, a perfect hash over JSON and proto names, and the
//! keys and enum names as they are printed, escaped and quoted beforehand. A call runs over bytes with it: JSON is read
//! once and written as wire format ([`Plans::parse`]), wire format is read once and written as JSON ([`Plans::print`]).
//! No message object exists in between. The mapping is proto3 JSON (<https://protobuf.dev/programming-guides/json>).

mod behavior;
mod bound;
mod build;
mod decimal;
mod fail;
mod json;
mod known;
mod mask;
mod names;
mod options;
mod parse;
pub(crate) mod paths;
mod print;
mod scalar;
mod select;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicUsize};

pub use behavior::FieldBehavior;
pub use build::Error;
pub use fail::{ParseError, ParseErrorKind};
pub use options::{Extensions, ParseOptions, PrintOptions, UnknownFields};
pub use print::PrintError;

pub(crate) use behavior::{MISSING, UNCHANGEABLE};
pub(crate) use bound::{Bound, Taken};
pub(crate) use fail::{Fail, shown};
pub(crate) use json::Json;
pub(crate) use known::{Known, check_path, mask_texts, put_duration, put_field_mask, put_timestamp};
pub(crate) use mask::{Sent, Update};
pub(crate) use parse::Parser;
pub(crate) use scalar::TextError;
pub(crate) use select::Selection;
pub(crate) use wire::{LEN, Raw, Reader, close_len, open_len, put_len, put_tag};

use names::Names;

/// The plan of one message type, by its place among the [`Plans`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnumId(u32);

/// The plans of all message types of a descriptor pool.
#[derive(Debug)]
pub struct Plans {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    by_name: HashMap<Box<str>, MessageId>,
}

/// The plan of a message type.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: Box<str>,
    pub(crate) known: Known,
    /// In the order of their numbers.
    pub(crate) fields: Box<[Field]>,
    /// JSON names and proto names, to indices of `fields`.
    pub(crate) names: Names,
    /// From a field number to its index plus one, for small numbers; the rest by binary search.
    pub(crate) dense: Box<[u16]>,
    pub(crate) oneofs: u32,
    /// The fields that every request must give.
    pub(crate) required: Box<[u32]>,
    /// How many times as long its JSON was lately, in sixteenths: how much is reserved for the next one.
    pub(crate) growth: AtomicUsize,
}

/// In what parts growth is counted, and the most that is believed.
const GROWTH: usize = 16;
const MOST_GROWTH: usize = 8 * GROWTH;

/// The plan of a field.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a field")]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// The wire type of one value.
    pub(crate) wire: u32,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    /// Whether JSON lists of it are written packed.
    pub(crate) packed: bool,
    /// No presence: the default value and absence are the same.
    pub(crate) implicit: bool,
    /// Printed with its default where defaults are: all but enums whose zero says nothing.
    pub(crate) filled: bool,
    pub(crate) oneof: Option<u32>,
    pub(crate) name: Box<str>,
    pub(crate) json_name: Box<str>,
    /// `,"jsonName":`
    pub(crate) json_key: Key,
    /// `,"proto_name":`
    pub(crate) proto_key: Key,
    /// 64-bit integers print as numbers.
    pub(crate) number_in_json: bool,
    /// A string that also takes an exact JSON number.
    pub(crate) decimal: bool,
    /// Ignored in requests.
    pub(crate) output_only: bool,
    /// Not to be changed by updates.
    pub(crate) immutable: bool,
    /// How many bytes the last length of this field took: what is reserved for the next one.
    pub(crate) width: AtomicU8,
}

/// A key as it is printed behind another member: comma, name in quotes, colon.
#[derive(Debug)]
pub(crate) struct Key {
    text: Box<[u8]>,
    /// The same, as far as it goes: a copy of a fixed length is a few instructions, another one a call.
    head: [u8; HEAD],
}

/// Longer than most keys.
const HEAD: usize = 24;

impl Key {
    fn new(text: Vec<u8>) -> Self {
        let mut head = [0; HEAD];
        for (to, from) in head.iter_mut().zip(&text) {
            *to = *from;
        }
        Self { text: text.into(), head }
    }

    #[inline]
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.text.len();
        out.extend_from_slice(&self.head);
        match self.text.get(HEAD..) {
            Some(rest) => out.extend_from_slice(rest),
            None => out.truncate(end),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Singular,
    Repeated,
    /// A map; the entry's fields are key and value.
    Map(MessageId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
    Group(MessageId),
}

/// The plan of an enum type.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about an enum")]
pub(crate) struct Enum {
    /// Spellings and proto names, to indices of `values`.
    names: Names,
    /// Names are read in any case: `names` has them in upper case too.
    any_case: bool,
    /// In the order of their numbers; of aliases the first declared.
    pub(crate) values: Box<[EnumValue]>,
    /// `google.protobuf.NullValue`: JSON null.
    pub(crate) null: bool,
    /// Numbers without a name are not values of the enum (proto2).
    pub(crate) closed: bool,
    /// Its values have spellings, but for zero: that one is read, and never shown.
    pub(crate) silent_zero: bool,
    /// What an error says would have been right.
    pub(crate) expected: Box<str>,
}

#[derive(Debug)]
pub(crate) struct EnumValue {
    pub(crate) number: i32,
    /// The spelling to print, in quotes.
    pub(crate) quoted: Box<[u8]>,
}

impl Plans {
    /// The plan of a message type, by its full name (`pkg.Message`).
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    /// Turns a JSON text into a wire-format message, appended to `out`.
    ///
    /// # Errors
    /// Says what is wrong and where; `out` then holds a part of the message.
    pub fn parse(
        &self,
        message: MessageId,
        json: &[u8],
        options: &ParseOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        self.parse_with(json, options, out, |parser| parser.message(message, None))
    }

    /// Runs a parser over a whole JSON text.
    pub(crate) fn parse_with(
        &self,
        json: &[u8],
        options: &ParseOptions,
        out: &mut Vec<u8>,
        value: impl FnOnce(&mut Parser<'_>) -> Result<(), fail::Fail>,
    ) -> Result<(), ParseError> {
        let run = || {
            let mut parser = Parser::new(self, options, Json::new(json, options)?, out);
            value(&mut parser)?;
            parser.end()
        };
        run().map_err(|fail| fail.locate(json))
    }

    /// Turns a wire-format message into JSON, appended to `out`.
    ///
    /// # Errors
    /// Bytes that are no such message, and values that JSON cannot hold; `out` then holds a part of the text.
    pub fn print(
        &self,
        message: MessageId,
        wire: &[u8],
        options: &PrintOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), PrintError> {
        let start = out.len();
        print::Printer::new(self, options, out).message(message, wire)?;
        let growth = &self.get(message).growth;
        let (before, now) =
            (growth.load(Relaxed), ((out.len() - start) * GROWTH).div_ceil(wire.len().max(GROWTH)));
        // Up at once, down by and by.
        let after = now.max(before - before.saturating_sub(now) / 8).min(MOST_GROWTH);
        if after != before {
            growth.store(after, Relaxed);
        }
        Ok(())
    }

    /// How many bytes to reserve for the JSON of a message that is so long on the wire, so that it need not grow: by how it was
    /// with those before it.
    pub fn room(&self, message: MessageId, wire: usize) -> usize {
        let growth = self.get(message).growth.load(Relaxed);
        (wire.saturating_mul(growth + 1) / GROWTH).saturating_add(64)
    }

    /// Turns a part of a wire-format message into JSON: one field, or the whole, and what of it is selected. A field that the
    /// message lacks is its default.
    pub(crate) fn print_part(
        &self,
        message: MessageId,
        field: Option<u32>,
        selection: Option<&Selection>,
        wire: &[u8],
        options: &PrintOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), PrintError> {
        let mut printer = print::Printer::new(self, options, out).select(selection);
        match field {
            Some(field) => printer.only(message, field, wire),
            None => printer.message(message, wire),
        }
    }

    /// The paths that a JSON text names in a message, or in one at a path: the field mask of a PATCH with it. The text must have been
    /// parsed without error before.
    pub(crate) fn sent(
        &self,
        message: MessageId,
        json: &[u8],
        options: &ParseOptions,
        update: Update<'_>,
    ) -> Result<Sent, ParseError> {
        mask::infer(self, message, json, options, update).map_err(|fail| fail.locate(json))
    }

    pub(crate) fn get(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    pub(crate) fn get_enum(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }
}

impl Message {
    /// Whether its bytes are an HTTP body as it is.
    pub(crate) fn is_http_body(&self) -> bool {
        *self.name == *"google.api.HttpBody"
    }

    /// The names of the fields that a request may give, but for some by their indices, as errors tell them.
    pub(crate) fn names_but(&self, without: impl Fn(u32) -> bool) -> String {
        let given = (0..).zip(&self.fields).filter(|(index, field)| !field.output_only && !without(*index));
        let names: Vec<&str> = given.map(|(_, field)| &*field.json_name).collect();
        if names.is_empty() { "none".to_owned() } else { format!("one of {}", names.join(", ")) }
    }

    /// The index of the field with this number.
    #[inline]
    pub(crate) fn by_number(&self, number: u32) -> Option<usize> {
        match self.dense.get(number as usize) {
            Some(index) => usize::from(*index).checked_sub(1),
            None if self.fields.last()?.number < number => None,
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

impl Enum {
    /// The index of the value with this spelling or name.
    #[inline]
    pub(crate) fn named(&self, name: &[u8]) -> Option<u32> {
        let found = self.names.get(name);
        if found.is_some() || !self.any_case {
            return found;
        }
        self.names.get(&name.to_ascii_uppercase())
    }
}

impl Field {
    /// The type of a singular or repeated message field.
    pub(crate) fn message(&self) -> Option<MessageId> {
        match (self.shape, self.kind) {
            (Shape::Singular | Shape::Repeated, Kind::Message(id) | Kind::Group(id)) => Some(id),
            _ => None,
        }
    }
}
