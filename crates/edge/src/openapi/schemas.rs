//! Schemas of messages and enums, gathered as operations refer to them.

use super::comments::{self, Comments};
use super::facts::{Extensions, Facts, Format};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The components of a document, growing.
pub(super) struct Schemas<'a> {
    comments: &'a Comments,
    pub(super) extensions: &'a Extensions,
    /// By name: the full name of what it describes, and the schema.
    made: BTreeMap<String, (String, Value)>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(comments: &'a Comments, extensions: &'a Extensions) -> Self {
        Self { comments, extensions, made: BTreeMap::new() }
    }

    /// What was gathered.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.made.into_iter().map(|(name, (_, schema))| (name, schema)).collect()
    }

    /// The name of a component, its schema made if this is the first time that it is asked for.
    fn component(&mut self, full_name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        let name = self.name(full_name);
        if !self.made.contains_key(&name) {
            // There before it is made, so that a message that holds itself ends here.
            self.made.insert(name.clone(), (full_name.to_owned(), Value::Null));
            let schema = make(self);
            self.made.insert(name.clone(), (full_name.to_owned(), schema));
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// The last part of the full name, or all of it where somebody else has that.
    fn name(&self, full_name: &str) -> String {
        let short = full_name.rsplit('.').next().unwrap_or(full_name);
        match self.made.get(short) {
            Some((owner, _)) if owner != full_name => full_name.to_owned(),
            _ => short.to_owned(),
        }
    }

    /// A message, by reference; Google's well-known types inline.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        self.component(message.full_name(), |schemas| schemas.object(message, &[]))
    }

    /// A message without the fields that the path gives: a component of its own where that changes anything.
    pub(super) fn body(&mut self, message: &MessageDescriptor, bound: &[&FieldDescriptor]) -> Value {
        let bound: Vec<&str> = bound
            .iter()
            .filter(|field| field.parent_message().full_name() == message.full_name())
            .map(|field| field.name())
            .collect();
        if bound.is_empty() {
            return self.message(message);
        }
        let name = format!("{}Body", message.full_name());
        self.component(&name, |schemas| schemas.object(message, &bound))
    }

    fn object(&mut self, message: &MessageDescriptor, without: &[&str]) -> Value {
        let comment = self.comments.at(message.parent_file().name(), message.path()).to_owned();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in message.fields().filter(|field| !without.contains(&field.name())) {
            let facts = self.extensions.of(&field);
            if facts.required && !facts.output_only {
                required.push(json!(field.json_name()));
            }
            properties.insert(field.json_name().to_owned(), self.field(&field, &facts, Place::Body));
        }
        let mut schema = Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("properties".to_owned(), Value::Object(properties)),
            ("additionalProperties".to_owned(), json!(false)),
        ]);
        describe(&mut schema, &comment);
        if !required.is_empty() {
            schema.insert("required".into(), Value::Array(required));
        }
        if let Some(mut example) = comments::object(&comment) {
            if let Some(example) = example.as_object_mut() {
                example.retain(|name, _| schema["properties"].get(name).is_some());
            }
            schema.insert("examples".into(), json!([example]));
        }
        Value::Object(schema)
    }

    /// A field.
    pub(super) fn field(&mut self, field: &FieldDescriptor, facts: &Facts, place: Place) -> Value {
        let comment = self.comments.at(field.parent_file().name(), field.path()).to_owned();
        let mut schema = if field.is_map() {
            self.map(field)
        } else if field.is_list() {
            let mut items = object_of(self.kind(&field.kind(), facts.number));
            items.extend(facts.item_bounds(&field.kind()));
            let mut list =
                Map::from_iter([("type".to_owned(), json!("array")), ("items".to_owned(), items.into())]);
            list.extend(facts.list_bounds());
            list
        } else {
            self.single(field, facts, place)
        };
        if facts.format == Format::Decimal
            && place == Place::Body
            && schema.get("type") == Some(&json!("string"))
        {
            schema.insert("type".into(), json!(["string", "number"]));
            describe(&mut schema, &format!("{comment} An exact number is taken too; answers hold a text."));
        } else {
            describe(&mut schema, &comment);
        }
        if facts.output_only && place == Place::Body {
            schema.insert("readOnly".into(), json!(true));
        }
        if facts.immutable {
            schema.insert("x-immutable".into(), json!(true));
        }
        let example =
            comments::value(&comment).filter(|_| matches!(field.kind(), Kind::String) && !field.is_list());
        if let Some(example) = example {
            schema.insert("examples".into(), json!([example]));
        }
        schema.into()
    }

    fn map(&mut self, field: &FieldDescriptor) -> Map<String, Value> {
        let kind = field.kind();
        let value = kind.as_message().map(|entry| self.kind(&entry.map_entry_value_field().kind(), false));
        Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("additionalProperties".to_owned(), value.unwrap_or(json!(true))),
        ])
    }

    fn single(&mut self, field: &FieldDescriptor, facts: &Facts, place: Place) -> Map<String, Value> {
        let mut schema = object_of(self.kind(&field.kind(), facts.number));
        schema.extend(facts.bounds(&field.kind()));
        let pattern = match facts.format {
            Format::Plain => schema.remove("pattern").and_then(|pattern| pattern.as_str().map(str::to_owned)),
            Format::Date => Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}$".to_owned()),
            Format::Country => Some("^[A-Z]{2}$".to_owned()),
            Format::Currency => Some("^[A-Z]{3}$".to_owned()),
            Format::Decimal => Some("^[0-9]+(\\.[0-9]+)?$".to_owned()),
        };
        // An answer holds "" for a text that was never set.
        let may_be_empty = place == Place::Body && !facts.required && !field.supports_presence();
        match facts.format {
            Format::Date if !may_be_empty => drop(schema.insert("format".into(), json!("date"))),
            Format::Decimal => {
                schema.insert("format".into(), json!("decimal"));
                schema.insert("maxLength".into(), json!(40));
            }
            _ => {}
        }
        if let Some(pattern) = pattern {
            let inside = pattern.trim_start_matches('^').trim_end_matches('$');
            let pattern = if may_be_empty { format!("^({inside})?$") } else { pattern };
            schema.insert("pattern".into(), json!(pattern));
        } else if facts.required && matches!(field.kind(), Kind::String) {
            schema.entry("minLength").or_insert(json!(1));
        }
        schema
    }

    fn kind(&mut self, kind: &Kind, number: bool) -> Value {
        match kind {
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 if number => {
                json!({ "type": "integer", "format": "int64" })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]+$" })
            }
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Message(message) => self.message(message),
            Kind::Enum(kind) => self.enumeration(kind),
        }
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) -> Value {
        self.component(kind.full_name(), |schemas| {
            let file = kind.parent_file();
            let mut description = schemas.comments.at(file.name(), kind.path()).to_owned();
            let mut values = Vec::new();
            for value in kind.values() {
                let spelling = schemas.extensions.spelling(&value);
                let comment = schemas.comments.at(file.name(), value.path());
                description.push_str("\n- `");
                description.push_str(&spelling);
                description.push_str("`: ");
                description.push_str(comment);
                values.push(json!(spelling));
            }
            json!({ "type": "string", "enum": values, "description": description })
        })
    }
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a body, sent or answered.
    Body,
    /// In a path or query.
    Parameter,
}

fn object_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("allOf".to_owned(), json!([other]))]),
    }
}

fn describe(schema: &mut Map<String, Value>, comment: &str) {
    if !comment.is_empty() {
        schema.insert("description".into(), json!(comment));
    }
}

/// How proto3 JSON writes Google's well-known types.
fn well_known(full_name: &str) -> Option<Value> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$" }),
        "FieldMask" => json!({ "type": "string", "pattern": "^[A-Za-z0-9_.]*(,[A-Za-z0-9_.]+)*$" }),
        "Empty" => json!({ "type": "object", "additionalProperties": false }),
        "Struct" => json!({ "type": "object" }),
        "ListValue" => json!({ "type": "array" }),
        "Value" => json!({}),
        "Any" => {
            json!({ "type": "object", "properties": { "@type": { "type": "string" } }, "required": ["@type"] })
        }
        "DoubleValue" | "FloatValue" => json!({ "type": ["number", "null"] }),
        "Int32Value" | "UInt32Value" => json!({ "type": ["integer", "null"] }),
        "Int64Value" | "UInt64Value" | "StringValue" | "BytesValue" => json!({ "type": ["string", "null"] }),
        "BoolValue" => json!({ "type": ["boolean", "null"] }),
        _ => return None,
    })
}
