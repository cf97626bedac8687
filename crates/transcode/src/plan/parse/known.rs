//! The well-known types, from JSON.

use std::collections::HashSet;

use super::super::known::{Known, put_duration, put_field_mask, put_timestamp};
use super::super::wire::{FIXED64, VARINT, put_len};
use super::{
    Fail, LEN, Message, ParseErrorKind, Parser, Result, TextError, UnknownFields, close_len, open_len,
    put_tag, shown, value_fail,
};

impl<'a> Parser<'a> {
    /// Writes the content of a well-known type.
    pub(super) fn known(&mut self, known: Known, plan: &'a Message) -> Result<()> {
        match known {
            Known::No => self.object(plan, None, false),
            Known::Any => self.any(),
            Known::Timestamp => self.text("an RFC 3339 date and time", put_timestamp),
            Known::Duration => self.text("a duration", put_duration),
            Known::FieldMask => self.text("a field mask", |text, out| put_field_mask(text, false, out)),
            Known::Struct => self.structure(),
            Known::Value => self.any_value(),
            Known::ListValue => self.list(),
            Known::Wrapper => {
                let Some(field) = plan.fields.first() else { return Ok(()) };
                self.singular(field, None)
            }
        }
    }

    fn text(
        &mut self,
        expected: &str,
        put: impl FnOnce(&[u8], &mut Vec<u8>) -> std::result::Result<(), TextError>,
    ) -> Result<()> {
        if self.json.peek() != Some(b'"') {
            return Err(self.json.mismatch(expected));
        }
        let at = self.json.offset();
        let text = self.json.string(&mut self.scratch)?;
        put(text, self.out).map_err(|error| value_fail(at, error))
    }

    fn any(&mut self) -> Result<()> {
        let start = self.json.mark();
        let Some((at, url)) = self.type_url()? else {
            // An Any without a type can only be the empty one.
            self.json.reset(start);
            if self.json.open(b'{')? {
                return Ok(());
            }
            return Err(Fail::new(ParseErrorKind::Value, self.json.offset(), "an object without `@type`"));
        };
        self.json.reset(start);
        let name = url.rsplit_once('/').map(|(_, name)| name);
        let Some(id) = name.and_then(|name| self.plans.message(name)) else {
            let fail = Fail::new(ParseErrorKind::Value, at, "not the URL of a known message type");
            return Err(fail.field("@type"));
        };
        put_len(self.out, 1, url.as_bytes());
        let start = self.out.len();
        put_tag(self.out, 2, LEN);
        let length = open_len(self.out, 1);
        let content = self.out.len();
        let plan = self.plans.get(id);
        match plan.known {
            Known::No => self.object(plan, None, true)?,
            known => self.any_known(known, plan)?,
        }
        if self.out.len() == content {
            self.out.truncate(start);
        } else {
            close_len(self.out, length, 1);
        }
        Ok(())
    }

    /// Looks ahead for the `@type` of the object that comes next.
    fn type_url(&mut self) -> Result<Option<(usize, String)>> {
        let mut more = !self.json.open(b'{')?;
        while more {
            let found = self.json.key(&mut self.scratch)? == b"@type";
            if found {
                if self.json.peek() != Some(b'"') {
                    return Err(self.json.mismatch("a type URL").field("@type"));
                }
                let at = self.json.offset();
                let url = self.json.string(&mut self.scratch)?;
                return Ok(Some((at, String::from_utf8_lossy(url).into_owned())));
            }
            self.json.skip(&mut self.scratch)?;
            more = self.json.more(b'{')?;
        }
        Ok(None)
    }

    /// An Any that holds a well-known type: its JSON form is under `value`.
    fn any_known(&mut self, known: Known, plan: &'a Message) -> Result<()> {
        let (mut typed, mut valued) = (false, false);
        let mut more = !self.json.open(b'{')?;
        while more {
            let at = self.json.offset();
            let key = self.json.key(&mut self.scratch)?;
            let seen = match key {
                b"@type" => Some(&mut typed),
                b"value" => Some(&mut valued),
                _ => None,
            };
            let name = shown(key);
            let is_value = key == b"value";
            match seen.map(|seen| std::mem::replace(seen, true)) {
                Some(true) => {
                    return Err(Fail::new(ParseErrorKind::Duplicate, at, "given twice").field(&name));
                }
                Some(false) if is_value => self.known(known, plan).map_err(|fail| fail.field("value"))?,
                None if self.options.unknown_fields == UnknownFields::Reject => {
                    return Err(Fail::new(ParseErrorKind::Unknown, at, "unknown field").field(&name));
                }
                _ => self.json.skip(&mut self.scratch)?,
            }
            more = self.json.more(b'{')?;
        }
        if valued {
            return Ok(());
        }
        Err(Fail::new(ParseErrorKind::Value, self.json.offset(), "missing").field("value"))
    }

    /// The content of a `google.protobuf.Struct`: entries of keys and values.
    fn structure(&mut self) -> Result<()> {
        let mut keys: HashSet<Box<[u8]>> = HashSet::new();
        let mut more = !self.json.open(b'{')?;
        while more {
            let at = self.json.offset();
            let key: Box<[u8]> = self.json.key(&mut self.scratch)?.into();
            put_tag(self.out, 1, LEN);
            let entry = open_len(self.out, 1);
            put_len(self.out, 1, &key);
            put_tag(self.out, 2, LEN);
            let value = open_len(self.out, 1);
            self.any_value().map_err(|fail| fail.key(&key))?;
            close_len(self.out, value, 1);
            close_len(self.out, entry, 1);
            if keys.contains(&key) {
                return Err(Fail::new(ParseErrorKind::Duplicate, at, "given twice").key(&key));
            }
            keys.insert(key);
            more = self.json.more(b'{')?;
        }
        Ok(())
    }

    /// The content of a `google.protobuf.Value`: any JSON.
    fn any_value(&mut self) -> Result<()> {
        match self.json.peek() {
            Some(b'n') => {
                self.json.word("null")?;
                put_tag(self.out, 1, VARINT);
                self.out.push(0);
            }
            Some(b't' | b'f') => {
                let value = self.json.boolean()?;
                put_tag(self.out, 4, VARINT);
                self.out.push(u8::from(value));
            }
            Some(b'"') => {
                let text = self.json.string(&mut self.scratch)?;
                put_len(self.out, 3, text);
            }
            Some(b'{') => self.nested(5, Self::structure)?,
            Some(b'[') => self.nested(6, Self::list)?,
            Some(b'-' | b'0'..=b'9') => {
                let at = self.json.offset();
                put_tag(self.out, 2, FIXED64);
                let number = self.json.number()?;
                let put = super::put_number(super::Kind::Double, number, self.out);
                put.map_err(|error| value_fail(at, error))?;
            }
            _ => return Err(self.json.mismatch("a value")),
        }
        Ok(())
    }

    fn nested(&mut self, number: u32, content: fn(&mut Self) -> Result<()>) -> Result<()> {
        put_tag(self.out, number, LEN);
        let length = open_len(self.out, 1);
        content(self)?;
        close_len(self.out, length, 1);
        Ok(())
    }

    /// The content of a `google.protobuf.ListValue`.
    fn list(&mut self) -> Result<()> {
        let mut index = 0;
        let mut more = !self.json.open(b'[')?;
        while more {
            self.nested(1, Self::any_value).map_err(|fail| fail.index(index))?;
            index += 1;
            more = self.json.more(b'[')?;
        }
        Ok(())
    }
}
