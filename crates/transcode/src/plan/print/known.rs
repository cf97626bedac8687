//! The well-known types, to JSON.

use super::super::known::{Known, camel_case, write_duration, write_timestamp};
use super::map::{absent, identity};
use super::met::{collect, content, merged};
use super::{Kind, Message, PrintError, Printer, Raw, Reader, Result, quote};

impl Printer<'_> {
    pub(super) fn known(&mut self, known: Known, plan: &Message, wire: &[u8]) -> Result<()> {
        let inexpressible = || PrintError::Value { message: plan.name.to_string() };
        match known {
            Known::No => self.members(plan, wire),
            Known::Any => self.any(wire),
            Known::Timestamp => {
                self.seconds(wire, write_timestamp).map_err(|e| e.unwrap_or_else(inexpressible))
            }
            Known::Duration => {
                self.seconds(wire, write_duration).map_err(|e| e.unwrap_or_else(inexpressible))
            }
            Known::FieldMask => {
                let mut reader = Reader::new(wire);
                let mut text = String::new();
                while let Some((number, raw)) = reader.field()? {
                    let (1, Raw::Len(path)) = (number, raw) else { continue };
                    let path = str::from_utf8(path).ok().and_then(camel_case).ok_or_else(inexpressible)?;
                    if !text.is_empty() {
                        text.push(',');
                    }
                    text.push_str(&path);
                }
                quote(text.as_bytes(), self.out);
                Ok(())
            }
            Known::Struct => self.structure(plan, wire),
            Known::Value => self.any_value(plan, wire),
            Known::ListValue => self.values(plan, wire),
            Known::Wrapper => {
                let Some(field) = plan.fields.first() else { return Err(inexpressible()) };
                let met = collect(plan, wire, |_, _| true)?;
                self.value(field, met.last().map_or(absent(field), |(_, raw)| *raw))
            }
        }
    }

    /// Prints the seconds and nanos of a Timestamp or Duration. `Err(None)`: out of range.
    fn seconds(
        &mut self,
        wire: &[u8],
        write: fn(i64, i32, &mut Vec<u8>) -> bool,
    ) -> std::result::Result<(), Option<PrintError>> {
        let mut reader = Reader::new(wire);
        let (mut seconds, mut nanos) = (0, 0);
        while let Some(field) = reader.field().map_err(|e| Some(e.into()))? {
            match field {
                (1, Raw::Varint(value)) => seconds = value.cast_signed(),
                (2, Raw::Varint(value)) => nanos = value as i32,
                _ => {}
            }
        }
        // None of their characters needs an escape.
        self.out.push(b'"');
        if !write(seconds, nanos, self.out) {
            return Err(None);
        }
        self.out.push(b'"');
        Ok(())
    }

    fn any(&mut self, wire: &[u8]) -> Result<()> {
        let mut reader = Reader::new(wire);
        let (mut url, mut value): (&[u8], &[u8]) = (&[], &[]);
        while let Some(field) = reader.field()? {
            match field {
                (1, Raw::Len(bytes)) => url = bytes,
                (2, Raw::Len(bytes)) => value = bytes,
                _ => {}
            }
        }
        if url.is_empty() && value.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let unknown = || PrintError::UnknownType { url: super::super::shown(url) };
        let text = str::from_utf8(url).map_err(|_| unknown())?;
        let name = text.rsplit_once('/').map(|(_, name)| name);
        let id = name.and_then(|name| self.plans.message(name)).ok_or_else(unknown)?;
        let plan = self.plans.get(id);
        self.out.extend_from_slice(b"{\"@type\":");
        quote(url, self.out);
        if plan.known == Known::No {
            self.nested(|printer| printer.members(plan, value))?;
        } else {
            self.out.extend_from_slice(b",\"value\":");
            self.message(id, value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn nested(&mut self, print: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.depth == super::MAX_DEPTH {
            return Err(PrintError::TooDeep);
        }
        self.depth += 1;
        print(self)?;
        self.depth -= 1;
        Ok(())
    }

    /// A Struct: an object of its entries. Of entries with the same key the last one counts.
    fn structure(&mut self, plan: &Message, wire: &[u8]) -> Result<()> {
        let start = self.out.len();
        let met = collect(plan, wire, |_, _| true)?;
        let entries: Vec<&[u8]> = met.iter().map(|(_, raw)| content(*raw)).collect();
        let Some(Kind::Message(entry)) = plan.fields.first().map(|field| field.kind) else {
            return Err(PrintError::Malformed);
        };
        let entry = self.plans.get(entry);
        let mut members: Vec<(Raw<'_>, Vec<u8>)> = Vec::with_capacity(entries.len());
        for bytes in entries {
            let (mut key, mut value) = (Raw::Len(&[]), Vec::new());
            for (index, raw) in collect(entry, bytes, |_, _| true)? {
                if index == 0 { key = raw } else { value.extend_from_slice(content(raw)) }
            }
            members.push((key, value));
        }
        let mut last = std::collections::HashMap::with_capacity(members.len());
        for (at, (key, _)) in members.iter().enumerate() {
            last.insert(identity(*key), at);
        }
        let (Some(key_field), Some(Kind::Message(value_id))) =
            (entry.fields.first(), entry.fields.get(1).map(|field| field.kind))
        else {
            return Err(PrintError::Malformed);
        };
        for (at, (key, value)) in members.iter().enumerate() {
            if last.get(&identity(*key)) != Some(&at) {
                continue;
            }
            self.out.push(b',');
            self.value(key_field, *key)?;
            self.out.push(b':');
            self.message(value_id, value)?;
        }
        match self.out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => self.out.push(b'{'),
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A Value: whatever its oneof holds; numbers must be finite.
    fn any_value(&mut self, plan: &Message, wire: &[u8]) -> Result<()> {
        let inexpressible = || PrintError::Value { message: plan.name.to_string() };
        let met = collect(plan, wire, |_, _| true)?;
        let Some(&(index, last)) = met.last() else { return Err(inexpressible()) };
        let field = &plan.fields[index];
        match (field.number, last) {
            (2, Raw::Fixed64(bits)) if !f64::from_bits(bits).is_finite() => Err(inexpressible()),
            (5 | 6, _) if met.len() > 1 => self.value(field, Raw::Len(&merged(&met))),
            _ => self.value(field, last),
        }
    }

    /// A ListValue: an array.
    fn values(&mut self, plan: &Message, wire: &[u8]) -> Result<()> {
        let Some(field) = plan.fields.first() else { return Err(PrintError::Malformed) };
        let start = self.out.len();
        for (_, raw) in collect(plan, wire, |_, _| true)? {
            self.out.push(b',');
            self.value(field, raw)?;
        }
        match self.out.get_mut(start) {
            Some(comma) => *comma = b'[',
            None => self.out.push(b'['),
        }
        self.out.push(b']');
        Ok(())
    }
}
