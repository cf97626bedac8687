//! Maps, to JSON: objects whose keys are strings.

use std::borrow::Cow;

use super::met::{Met, collect, merged, narrowed};
use super::{Field, Kind, Message, PrintError, Printer, Raw, Result};
use crate::plan::wire::{FIXED32, FIXED64, VARINT};

impl Printer<'_> {
    /// Prints a map. Of entries with the same key the last one counts.
    pub(super) fn map(&mut self, field: &Field, entry: &Message, entries: &[&[u8]]) -> Result<()> {
        let [key_field, value_field] = &*entry.fields else { return Err(PrintError::Malformed) };
        let mut members: Vec<(Raw<'_>, &[u8], Vec<Met<'_>>)> = Vec::with_capacity(entries.len());
        for bytes in entries {
            let mut met = collect(entry, bytes, |_, _| true)?;
            let unknown_enum = matches!(value_field.kind, Kind::Enum(id) if self.plans.get_enum(id).closed)
                && met.iter().any(|(index, raw)| *index == 1 && !self.fits(value_field, *raw));
            if unknown_enum {
                continue;
            }
            met.retain(|(index, raw)| self.fits(&entry.fields[*index], *raw));
            let key = met.iter().rev().find(|(index, _)| *index == 0).map(|(_, raw)| *raw);
            met.retain(|(index, _)| *index == 1);
            let key = key.map_or(absent(key_field), |key| narrowed(key_field.kind, key));
            members.push((key, bytes, met));
        }
        let mut last = std::collections::HashMap::with_capacity(members.len());
        for (at, (key, ..)) in members.iter().enumerate() {
            last.insert(identity(*key), at);
        }
        let start = self.out.len();
        self.put_key(field);
        let opening = self.out.len();
        let selection = self.selection;
        for (at, (key, _, met)) in members.iter().enumerate() {
            if last.get(&identity(*key)) != Some(&at) {
                continue;
            }
            let before = self.out.len();
            self.out.push(b',');
            self.map_key(key_field, *key)?;
            if let Some(selection) = selection {
                let wanted = selection.entry(&self.key_text(*key, before));
                let Some(inside) = wanted else {
                    self.out.truncate(before);
                    continue;
                };
                self.selection = inside.as_ref();
            }
            self.out.push(b':');
            match (value_field.kind, &met[..]) {
                (_, []) => self.value(value_field, absent(value_field))?,
                (Kind::Message(_), [_, _, ..]) => {
                    self.value(value_field, Raw::Len(&merged(met)))?;
                }
                (_, [.., (_, value)]) => self.value(value_field, *value)?,
            }
            self.selection = selection;
        }
        match self.out.get_mut(opening) {
            Some(comma) => *comma = b'{',
            None if self.options.always_print_empty_lists => self.out.push(b'{'),
            None => {
                self.out.truncate(start);
                return Ok(());
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The text of a key that was printed behind a comma.
    fn key_text<'k>(&'k self, key: Raw<'k>, comma: usize) -> Cow<'k, str> {
        String::from_utf8_lossy(match key {
            Raw::Len(text) => text,
            _ => &self.out[comma + 2..self.out.len() - 1],
        })
    }

    /// Prints a map's key: always a string.
    fn map_key(&mut self, field: &Field, raw: Raw<'_>) -> Result<()> {
        match (field.kind, raw) {
            (Kind::String, _) => return self.value(field, raw),
            (Kind::Bool, Raw::Varint(value)) => {
                let text: &[u8] = if value == 0 { b"\"false\"" } else { b"\"true\"" };
                self.out.extend_from_slice(text);
            }
            _ => {
                let start = self.out.len();
                self.out.push(b'"');
                self.value(field, raw)?;
                // Integers of 64 bits have quotes of their own.
                if self.out.get(start + 1) == Some(&b'"') {
                    self.out.remove(start);
                } else {
                    self.out.push(b'"');
                }
            }
        }
        Ok(())
    }
}

/// A map's key as something to compare and hash.
pub(super) fn identity(raw: Raw<'_>) -> (u64, &[u8]) {
    match raw {
        Raw::Varint(value) | Raw::Fixed64(value) => (value, &[]),
        Raw::Fixed32(value) => (value.into(), &[]),
        Raw::Len(bytes) | Raw::Group(bytes) => (0, bytes),
    }
}

/// The value of a map entry's key or value that is not on the wire.
pub(super) fn absent(field: &Field) -> Raw<'static> {
    match field.wire {
        VARINT => Raw::Varint(0),
        FIXED64 => Raw::Fixed64(0),
        FIXED32 => Raw::Fixed32(0),
        _ => Raw::Len(&[]),
    }
}
