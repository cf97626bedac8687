//! Lists, to JSON.

use super::met::{following, is_packable};
use super::{Printer, Result};
use crate::plan::wire::{FIXED32, FIXED64, LEN, Malformed, Raw, Reader};
use crate::plan::{Field, Shape};

impl Printer<'_> {
    /// Prints a list of length-delimited values, the first of which comes next.
    pub(super) fn next_list(&mut self, field: &Field, reader: &mut Reader<'_>) -> Result<()> {
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
    pub(super) fn several<'w>(
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

    /// Prints a list from its first value and those that `more` yields; packed runs are taken apart.
    pub(super) fn list<'w>(
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

    pub(super) fn element(&mut self, field: &Field, raw: Raw<'_>) -> Result<()> {
        if !self.fits(field, raw) {
            return Ok(());
        }
        self.bound()?;
        self.out.push(b',');
        self.value(field, raw)
    }
}
