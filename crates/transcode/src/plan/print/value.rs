//! Values, to JSON: what stands behind a key or in a list.

use base64::Engine as _;

use super::met::{content, is_64_bit};
use super::{PrintError, Printer, Result};
use crate::plan::json::{plain_len, scan};
use crate::plan::wire::{Raw, unzigzag};
use crate::plan::{EnumId, Field, Kind};

impl Printer<'_> {
    /// Prints a value, whose wire type fits.
    pub(super) fn value(&mut self, field: &Field, raw: Raw<'_>) -> Result<()> {
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
    pub(super) fn delimited(&mut self, field: &Field, bytes: &[u8]) -> Result<()> {
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
    pub(super) fn varint(&mut self, field: &Field, value: u64) {
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

    pub(super) fn enumeration(&mut self, id: EnumId, number: i32) {
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
