//! Parts of forms that are files.

use super::{Put, put_entry, put_http_body, put_leaf};
use crate::plan::{
    Fail, Field, FieldBehavior, Kind, Known, LEN, MISSING, MessageId, ParseOptions, Parser, Plans, Shape,
    TextError, close_len, open_len, put_len, put_tag,
};

/// A part of a form that is not a text.
pub(super) struct File<'a> {
    /// What it is sent as.
    pub(super) content_type: Option<&'a str>,
    pub(super) bytes: &'a [u8],
}

/// The field that a part sets.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) message: MessageId,
    pub(super) index: u32,
    /// Of a map.
    pub(super) key: Option<&'a str>,
}

impl Place<'_> {
    pub(super) fn field<'p>(&self, plans: &'p Plans) -> &'p Field {
        &plans.get(self.message).fields[self.index as usize]
    }

    /// Whether a file that sets it is JSON: of a message, of a map, or of a message that is an entry of one.
    fn is_json(&self, plans: &Plans) -> bool {
        let field = self.field(plans);
        match (field.shape, self.key) {
            (Shape::Map(_), None) => true,
            (Shape::Map(entry), Some(_)) => plans.get(entry).map_value().is_some(),
            _ => matches!(field.kind, Kind::Message(id) if !plans.get(id).is_http_body()),
        }
    }

    /// The message that a file that sets it is the JSON of, if that is a message with fields, and not one of many.
    pub(super) fn json_of(&self, plans: &Plans) -> Option<MessageId> {
        let field = self.field(plans);
        let is_one = self.is_json(plans) && field.shape == Shape::Singular;
        field.message().filter(|id| is_one && plans.get(*id).known == Known::No)
    }
}

/// How JSON in files is read.
pub(super) struct Reading<'a> {
    pub(super) plans: &'a Plans,
    pub(super) options: &'a ParseOptions,
    pub(super) behavior: FieldBehavior,
    /// It is a part of a resource, which need not have what is required.
    pub(super) partial: bool,
}

impl Reading<'_> {
    /// Writes a file: bytes, a `google.api.HttpBody`, JSON, or otherwise a text.
    pub(super) fn put(&self, file: &File<'_>, place: Place<'_>, out: &mut Vec<u8>) -> Put {
        let plans = self.plans;
        let field = place.field(plans);
        if place.is_json(plans) {
            return self.json(file.bytes, place, out);
        }
        match (field.kind, field.shape) {
            (Kind::Bytes, Shape::Singular | Shape::Repeated) => put_len(out, field.number, file.bytes),
            (Kind::Message(_), Shape::Singular | Shape::Repeated) => {
                put_tag(out, field.number, field.wire);
                let at = open_len(out, 1);
                put_http_body(file.content_type.unwrap_or_default().as_bytes(), file.bytes, out);
                close_len(out, at, 1);
            }
            (_, shape) => {
                let text = str::from_utf8(file.bytes).map_err(|_| TextError::new("not UTF-8", "a text"))?;
                return match (shape, place.key) {
                    (Shape::Map(entry), Some(key)) => {
                        put_entry(plans, field, entry, key, text, self.options, out)
                    }
                    _ => put_leaf(plans, field, text, self.options, out),
                };
            }
        }
        Ok(())
    }

    /// Writes a field, an element of a list, or an entry of a map, from JSON.
    fn json(&self, json: &[u8], place: Place<'_>, out: &mut Vec<u8>) -> Put {
        let plans = self.plans;
        let field = place.field(plans);
        match (field.shape, field.kind, place.key) {
            (Shape::Map(entry), _, Some(key)) => {
                let [key_field, value_field] = &*plans.get(entry).fields else { return Ok(()) };
                put_tag(out, field.number, LEN);
                let at = open_len(out, 1);
                put_leaf(plans, key_field, key, self.options, out)?;
                self.message(json, value_field, out)?;
                close_len(out, at, 1);
                Ok(())
            }
            (Shape::Repeated, Kind::Message(_), _) => self.message(json, field, out),
            _ => {
                let mut given = true;
                self.parse(json, out, |parser| {
                    given = parser.body_field(place.message, place.index, None)?;
                    Ok(())
                })?;
                let required = plans.get(place.message).required.contains(&place.index);
                if !given && required && self.behavior.required {
                    return Err(TextError::new(MISSING, "a value"));
                }
                Ok(())
            }
        }
    }

    /// Writes a message with its tag.
    fn message(&self, json: &[u8], field: &Field, out: &mut Vec<u8>) -> Put {
        let Kind::Message(id) = field.kind else { return Ok(()) };
        put_tag(out, field.number, field.wire);
        let at = open_len(out, 1);
        self.parse(json, out, |parser| parser.message(id, None))?;
        close_len(out, at, 1);
        Ok(())
    }

    fn parse(
        &self,
        json: &[u8],
        out: &mut Vec<u8>,
        value: impl FnOnce(&mut Parser<'_>) -> Result<(), Fail>,
    ) -> Put {
        let parsed = self.plans.parse_with(json, self.options, out, |parser| {
            parser.enforce(self.behavior, self.partial);
            value(parser)
        });
        parsed.map_err(|error| TextError::new(error.to_string(), "JSON of the field"))
    }
}
