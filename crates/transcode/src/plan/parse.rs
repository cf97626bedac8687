//! JSON to wire format, in one pass.

mod known;
mod seen;

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use super::bound::{Bound, Taken};
use super::decimal;
use super::fail::{Fail, ParseErrorKind, shown};
use super::json::Json;
use super::known::Known;
use super::scalar::{TextError, expected, plain_integer, put_enum_number, put_number, put_string};
use super::wire::{END_GROUP, LEN, close_len, open_len, put_tag, put_varint};
use super::{
    Field, FieldBehavior, Kind, MISSING, Message, MessageId, ParseOptions, Plans, Shape, UnknownFields,
};

use seen::Seen;

type Result<T> = std::result::Result<T, Fail>;

/// What became of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Value,
    Default,
    /// An enum name that the enum lacks, where unknown things are ignored.
    Nothing,
}

pub(crate) struct Parser<'a> {
    plans: &'a Plans,
    options: &'a ParseOptions,
    behavior: FieldBehavior,
    partial: bool,
    json: Json<'a>,
    out: &'a mut Vec<u8>,
    scratch: Vec<u8>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(
        plans: &'a Plans,
        options: &'a ParseOptions,
        json: Json<'a>,
        out: &'a mut Vec<u8>,
    ) -> Self {
        Self {
            plans,
            options,
            behavior: FieldBehavior::IGNORED,
            partial: false,
            json,
            out,
            scratch: Vec::new(),
        }
    }

    /// Holds what comes to what is required and what is output-only. `partial`: it is a part of a resource, which need not have what
    /// is required; but a null would clear it.
    pub(crate) fn enforce(&mut self, behavior: FieldBehavior, partial: bool) {
        (self.behavior, self.partial) = (behavior, partial);
    }

    pub(crate) fn end(&mut self) -> Result<()> {
        self.json.end()
    }

    /// Writes the content of a message, whatever its JSON form.
    pub(crate) fn message(&mut self, id: MessageId, bound: Option<&Bound>) -> Result<()> {
        let plan = self.plans.get(id);
        match plan.known {
            Known::No => self.object(plan, bound, false),
            known => self.known(known, plan),
        }
    }

    /// Writes a message's fields from an object. `typed`: the object is an Any's, whose `@type` was read already.
    fn object(&mut self, plan: &'a Message, bound: Option<&Bound>, typed: bool) -> Result<()> {
        let mut seen = Seen::default();
        let mut typed = typed;
        let mut next = 0;
        let mut more = !self.json.open(b'{')?;
        let mut likely = None;
        while more {
            let index = match likely.take() {
                Some(index) => Some(index),
                None => self.key(plan, next, &mut typed)?,
            };
            let Some(index) = index else {
                more = self.json.more(b'{')?;
                continue;
            };
            next = index + 1;
            let field = &plan.fields[index];
            self.member(plan, index, bound, &mut seen).map_err(|fail| fail.field(&field.json_name))?;
            // Mostly a comma and the next field's key follow, without white space: one comparison.
            match plan.fields.get(next) {
                Some(field) if self.json.eat_literal(field.json_key.text()) => {
                    self.json.count()?;
                    likely = Some(next);
                }
                _ => more = self.json.more(b'{')?,
            }
        }
        if self.behavior.required && !self.partial && !plan.required.is_empty() {
            self.required(plan, bound, &seen)?;
        }
        Ok(())
    }

    /// Checks, at the end of an object, that nothing required is missing.
    fn required(&self, plan: &Message, bound: Option<&Bound>, seen: &Seen) -> Result<()> {
        for index in &plan.required {
            let field = &plan.fields[*index as usize];
            let given = seen.contains((plan.oneofs + index) as usize);
            if !given && bound.is_none_or(|bound| bound.get(*index, field).is_none()) {
                let fail = Fail::new(ParseErrorKind::Behavior, self.json.offset(), MISSING);
                return Err(fail.field(&field.json_name));
            }
        }
        Ok(())
    }

    /// Takes the value of a key, and writes its field.
    #[inline]
    fn member(
        &mut self,
        plan: &'a Message,
        index: usize,
        bound: Option<&Bound>,
        seen: &mut Seen,
    ) -> Result<()> {
        let field = &plan.fields[index];
        if !seen.insert(plan.oneofs as usize + index) {
            return Err(Fail::new(ParseErrorKind::Duplicate, self.json.offset(), "given twice"));
        }
        if field.output_only && self.behavior.output_only {
            return self.json.skip(&mut self.scratch);
        }
        if self.json.peek() == Some(b'n') && self.absent(field)? {
            if self.behavior.required && plan.required.contains(&(index as u32)) {
                return Err(Fail::new(ParseErrorKind::Behavior, self.json.offset(), MISSING));
            }
            return Ok(());
        }
        if let Some(oneof) = field.oneof
            && !seen.insert(oneof as usize)
        {
            let message = "another member of its oneof is given too";
            return Err(Fail::new(ParseErrorKind::Duplicate, self.json.offset(), message));
        }
        self.bound_field(plan, index, bound)
    }

    /// Takes a key: the index of its field, or `None` if the key and its value were passed over.
    fn key(&mut self, plan: &'a Message, next: usize, typed: &mut bool) -> Result<Option<usize>> {
        if self.json.peek() == Some(b'"')
            && let Some(likely) = plan.fields.get(next)
            // The key as it is printed, without the comma.
            && self.json.eat_literal(&likely.json_key.text()[1..])
        {
            return Ok(Some(next));
        }
        let at = self.json.offset();
        let key = self.json.key(&mut self.scratch)?;
        if let Some(index) = plan.names.get(key) {
            return Ok(Some(index as usize));
        }
        if *typed && key == b"@type" {
            *typed = false;
        } else if self.options.unknown_fields == UnknownFields::Reject {
            let name = shown(key);
            let fail =
                Fail::new(ParseErrorKind::Unknown, at, "unknown field").expected(plan.names_but(|_| false));
            return Err(fail.field(&name));
        }
        self.json.skip(&mut self.scratch)?;
        Ok(None)
    }

    /// Takes a null that stands for absence.
    fn absent(&mut self, field: &Field) -> Result<bool> {
        if self.json.peek() != Some(b'n') || field.shape == Shape::Singular && self.takes_null(field.kind) {
            return Ok(false);
        }
        self.json.word("null").map(|()| true)
    }

    /// Whether null is a value of the kind.
    fn takes_null(&self, kind: Kind) -> bool {
        match kind {
            Kind::Enum(id) => self.plans.get_enum(id).null,
            Kind::Message(id) => self.plans.get(id).known == Known::Value,
            _ => false,
        }
    }

    /// Writes the field with this index of `message` from the value that comes next: the body of a rule `body: "f"`. False if
    /// that is a null that stands for absence.
    pub(crate) fn body_field(
        &mut self,
        message: MessageId,
        index: u32,
        bound: Option<&Bound>,
    ) -> Result<bool> {
        let plan = self.plans.get(message);
        let field = &plan.fields[index as usize];
        if self.absent(field)? {
            return Ok(false);
        }
        self.bound_field(plan, index as usize, bound).map(|()| true)
    }

    fn bound_field(&mut self, plan: &'a Message, index: usize, bound: Option<&Bound>) -> Result<()> {
        let field = &plan.fields[index];
        let inside = match bound.and_then(|bound| bound.get(index as u32, field)) {
            Some(Taken::Whole) => {
                let at = self.json.offset();
                return Err(Fail::new(ParseErrorKind::Collision, at, "already set by the path or the query"));
            }
            Some(Taken::Inside(inside)) => Some(inside),
            None => None,
        };
        match field.shape {
            Shape::Singular => self.singular(field, inside),
            Shape::Repeated => self.repeated(field),
            Shape::Map(entry) => self.map(field, self.plans.get(entry)),
        }
    }

    /// Writes the tag and the value of a field that is not repeated.
    #[inline]
    fn singular(&mut self, field: &'a Field, bound: Option<&Bound>) -> Result<()> {
        let start = self.out.len();
        put_tag(self.out, field.number, field.wire);
        match self.value(field, bound)? {
            Wrote::Value => {}
            Wrote::Default if !field.implicit => {}
            Wrote::Default | Wrote::Nothing => self.out.truncate(start),
        }
        Ok(())
    }

    /// Writes a value behind its tag.
    #[inline]
    fn value(&mut self, field: &'a Field, bound: Option<&Bound>) -> Result<Wrote> {
        match field.kind {
            Kind::Message(id) => self.delimited(field, |parser| parser.message(id, bound))?,
            Kind::Group(id) => {
                self.message(id, bound)?;
                put_tag(self.out, field.number, END_GROUP);
            }
            _ => return self.scalar(field),
        }
        Ok(Wrote::Value)
    }

    #[inline]
    fn delimited(&mut self, field: &Field, content: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let width = field.width.load(Relaxed);
        let at = open_len(self.out, width);
        content(self)?;
        let right = close_len(self.out, at, width);
        if right != width {
            field.width.store(right, Relaxed);
        }
        Ok(())
    }

    fn repeated(&mut self, field: &'a Field) -> Result<()> {
        if self.json.open(b'[')? {
            return Ok(());
        }
        if !field.packed {
            return self.elements(field, |parser, _| {
                let start = parser.out.len();
                put_tag(parser.out, field.number, field.wire);
                if parser.value(field, None)? == Wrote::Nothing {
                    parser.out.truncate(start);
                }
                Ok(())
            });
        }
        put_tag(self.out, field.number, LEN);
        self.delimited(field, |parser| {
            parser.elements(field, |parser, _| {
                let start = parser.out.len();
                if parser.scalar(field)? == Wrote::Nothing {
                    parser.out.truncate(start);
                }
                Ok(())
            })
        })
    }

    /// The elements of an array whose bracket was taken and that is not empty.
    fn elements(
        &mut self,
        field: &Field,
        mut element: impl FnMut(&mut Self, usize) -> Result<()>,
    ) -> Result<()> {
        let mut index = 0;
        loop {
            if self.json.peek() == Some(b'n') && !self.takes_null(field.kind) {
                return Err(self.json.mismatch(expected(field.kind)).index(index));
            }
            element(self, index).map_err(|fail| fail.index(index))?;
            index += 1;
            if !self.json.more(b'[')? {
                return Ok(());
            }
        }
    }

    fn map(&mut self, field: &'a Field, entry: &'a Message) -> Result<()> {
        let [key_field, value_field] = &*entry.fields else {
            return Err(self.json.syntax("a map whose entry has no key and value"));
        };
        let mut keys: HashSet<Box<[u8]>> = HashSet::new();
        let mut more = !self.json.open(b'{')?;
        while more {
            let at = self.json.offset();
            let key = self.json.key(&mut self.scratch)?;
            let start = self.out.len();
            put_tag(self.out, field.number, LEN);
            let width = field.width.load(Relaxed);
            let length = open_len(self.out, width);
            put_tag(self.out, key_field.number, key_field.wire);
            let key_start = self.out.len();
            // The text was checked to be UTF-8 as a whole, and escapes decode to characters.
            let text = str::from_utf8(key).unwrap_or_default();
            let put = self.plans.put_text(key_field, text, self.out);
            put.map_err(|error| value_fail(at, error).key(key))?;
            let name = shown(key);
            if !keys.insert(self.out[key_start..].into()) {
                return Err(Fail::new(ParseErrorKind::Duplicate, at, "given twice").key(name.as_bytes()));
            }
            if self.json.peek() == Some(b'n') && !self.takes_null(value_field.kind) {
                return Err(self.json.mismatch(expected(value_field.kind)).key(name.as_bytes()));
            }
            put_tag(self.out, value_field.number, value_field.wire);
            let wrote = self.value(value_field, None).map_err(|fail| fail.key(name.as_bytes()))?;
            if wrote == Wrote::Nothing {
                self.out.truncate(start);
            } else {
                let right = close_len(self.out, length, width);
                field.width.store(right, Relaxed);
            }
            more = self.json.more(b'{')?;
        }
        Ok(())
    }

    /// Writes a scalar without its tag.
    fn scalar(&mut self, field: &Field) -> Result<Wrote> {
        let first = self.json.peek();
        let at = self.json.offset();
        let put = match (field.kind, first) {
            (Kind::String, Some(b'"')) => {
                let text = self.json.string(&mut self.scratch)?;
                put_varint(self.out, text.len() as u64);
                self.out.extend_from_slice(text);
                Ok(text.is_empty())
            }
            (Kind::Bool, _) => {
                let value = self.json.boolean()?;
                self.out.push(u8::from(value));
                Ok(!value)
            }
            (Kind::Enum(id), Some(b'n')) if self.plans.get_enum(id).null => {
                self.json.word("null")?;
                self.out.push(0);
                Ok(true)
            }
            (Kind::Enum(id), Some(b'"')) => {
                let name = self.json.string(&mut self.scratch)?;
                let ignore = self.options.unknown_fields == UnknownFields::Ignore;
                if ignore && self.plans.get_enum(id).named(name).is_none() {
                    return Ok(Wrote::Nothing);
                }
                put_string(self.plans, field.kind, name, self.out)
            }
            (Kind::String, Some(b'-' | b'0'..=b'9')) if field.decimal => {
                match decimal::plain(self.json.number()?) {
                    Some(number) => put_string(self.plans, field.kind, &number, self.out),
                    None => Err(TextError::new("out of range", "a decimal number of at most 40 characters")),
                }
            }
            (kind, Some(b'"')) => {
                let text = self.json.string(&mut self.scratch)?;
                // Most of what stands in quotes and is no text.
                match plain_integer(text) {
                    Some(value) if kind == Kind::Int64 => {
                        put_varint(self.out, value.cast_unsigned());
                        Ok(value == 0)
                    }
                    _ => put_string(self.plans, kind, text, self.out),
                }
            }
            (Kind::String | Kind::Bytes, _) => return Err(self.json.mismatch(expected(field.kind))),
            (Kind::Enum(_), Some(b'-' | b'0'..=b'9')) => {
                put_enum_number(self.plans, field.kind, self.json.number()?, self.out)
            }
            (kind, Some(b'-' | b'0'..=b'9')) => put_number(kind, self.json.number()?, self.out),
            (kind, _) => return Err(self.json.mismatch(expected(kind))),
        };
        match put {
            Ok(true) => Ok(Wrote::Default),
            Ok(false) => Ok(Wrote::Value),
            Err(error) => Err(value_fail(at, error)),
        }
    }
}

fn value_fail(at: usize, error: TextError) -> Fail {
    let kind = if error.message == "not a value of the enum" {
        ParseErrorKind::Unknown
    } else {
        ParseErrorKind::Value
    };
    Fail::new(kind, at, error.message).expected(error.expected)
}
