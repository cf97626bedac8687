//! Schemas of messages and enums, gathered as operations refer to them.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments;
use super::facts::Facts;
use super::{Maker, bounds, floats, known};
use crate::plan::{Field, UnknownFields};

/// The fields of a message that something else sets: names in the proto, from the message down.
pub(super) type Without<'a> = [&'a [String]];

/// The components of a document, growing.
#[derive(Default)]
pub(super) struct Schemas {
    /// By name: what it describes, and the schema.
    made: BTreeMap<String, (String, Value)>,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a body, sent or answered.
    Body,
    /// In a query, where a text may be empty.
    Query,
    /// In a path, where it may not.
    Path,
}

impl Schemas {
    /// Keeps a name free for a component that is none of the descriptors'.
    pub(super) fn put(&mut self, name: &str, schema: Value) {
        self.made.insert(name.to_owned(), (String::new(), schema));
    }

    pub(super) fn finish(self) -> Map<String, Value> {
        self.made.into_iter().map(|(name, (_, schema))| (name, schema)).collect()
    }

    /// The name for what `owner` says: the short one, the full one where somebody else has that, or one with a number.
    fn name(&self, owner: &str, full_name: &str) -> String {
        let short = full_name.rsplit('.').next().unwrap_or(full_name);
        let numbered = (2..).map(|number| format!("{full_name}{number}"));
        let mut names = [short.to_owned(), full_name.to_owned()].into_iter().chain(numbered);
        let free = |name: &String| self.made.get(name).is_none_or(|(other, _)| other == owner);
        names.find(free).unwrap_or_else(|| full_name.to_owned())
    }
}

impl Maker<'_> {
    /// A reference to a component, which is made if this is the first time that it is asked for.
    pub(super) fn component(
        &mut self,
        owner: &str,
        full_name: &str,
        make: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let name = self.schemas.name(owner, full_name);
        if !self.schemas.made.contains_key(&name) {
            // There before it is made, so that a message that holds itself ends here.
            self.schemas.made.insert(name.clone(), (owner.to_owned(), Value::Null));
            let schema = make(self);
            self.schemas.made.insert(name.clone(), (owner.to_owned(), schema));
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// A message, by reference; well-known types inline.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = known::schema(message.full_name()) {
            return schema;
        }
        if let Some(value) = wrapped(message) {
            let schema = object_of(self.wrapper(&value));
            let texts = if is_float(&value.kind()) { floats::texts(None) } else { Vec::new() };
            return floats::or_texts(schema, &texts).into();
        }
        self.component(message.full_name(), message.full_name(), |maker| maker.object(message, &[]))
    }

    /// What is wrapped, or null.
    fn wrapper(&mut self, value: &FieldDescriptor) -> Value {
        let mut schema = self.kind(value, &value.kind(), self.engine.print.int64_as_numbers);
        if let Some(kind) = schema.get_mut("type") {
            *kind = json!([kind.take(), "null"]);
        }
        schema
    }

    /// A message without the fields that the path gives: a component of its own where that changes anything.
    pub(super) fn body(&mut self, message: &MessageDescriptor, without: &Without<'_>) -> Value {
        if without.is_empty() || known::is_known(message.full_name()) {
            return self.message(message);
        }
        let mut paths: Vec<String> = without.iter().map(|path| path.join(".")).collect();
        paths.sort_unstable();
        let owner = format!("{} without {}", message.full_name(), paths.join(", "));
        let name = format!("{}Body", message.full_name());
        self.component(&owner, &name, |maker| maker.object(message, without))
    }

    fn object(&mut self, message: &MessageDescriptor, without: &Without<'_>) -> Value {
        let comment = self.comments.at(message.parent_file().name(), message.path()).to_owned();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let mut fields: Vec<FieldDescriptor> = message.fields().collect();
        // As declared: what comes first matters most.
        fields.sort_by_key(|field| field.path().last().copied());
        for field in fields {
            let inside: Vec<&[String]> =
                without.iter().filter(|path| path[0] == field.name()).map(|path| &path[1..]).collect();
            if inside.iter().any(|path| path.is_empty()) {
                continue;
            }
            let (facts, key) = (self.extensions.of(&field), self.key(&field));
            if facts.required && !facts.output_only {
                required.push(json!(key));
            }
            let schema = match field.kind() {
                Kind::Message(message) if !inside.is_empty() => self.body(&message, &inside),
                _ => self.field(&field, &facts, Place::Body),
            };
            properties.insert(key, schema);
        }
        let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
        describe(&mut schema, &comment);
        if let Some(mut example) = comments::object(&comment) {
            if let Some(example) = example.as_object_mut() {
                example.retain(|name, _| properties.contains_key(name));
            }
            schema.insert("examples".into(), json!([example]));
        }
        schema.insert("properties".into(), properties.into());
        self.choices(message, &mut schema);
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        if self.engine.parse.unknown_fields == UnknownFields::Reject {
            schema.insert("additionalProperties".into(), json!(false));
        }
        if message.extensions().next().is_some() {
            schema.insert("patternProperties".into(), json!({ "^\\[.+\\]$": {} }));
        }
        let options = message.descriptor_proto().options.as_ref();
        if options.is_some_and(prost_reflect::prost_types::MessageOptions::deprecated) {
            schema.insert("deprecated".into(), json!(true));
        }
        schema.into()
    }

    /// Of each oneof at most one field, or exactly one where one must be set.
    fn choices(&self, message: &MessageDescriptor, schema: &mut Map<String, Value>) {
        let (mut must, mut exclude) = (Vec::new(), Map::new());
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let keys: Vec<String> = oneof.fields().map(|field| self.key(&field)).collect();
            // One that the path sets is chosen already, and its schema does not have it.
            if !keys.iter().all(|key| schema["properties"].get(key).is_some()) {
                continue;
            }
            if self.extensions.must_choose(&oneof) {
                let one: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
                must.push(json!({ "oneOf": one }));
                continue;
            }
            for key in &keys {
                let others = keys.iter().filter(|other| *other != key);
                let others: Map<String, Value> = others.map(|other| (other.clone(), json!(false))).collect();
                exclude.insert(key.clone(), json!({ "properties": others }));
            }
        }
        if !must.is_empty() {
            schema.insert("allOf".into(), must.into());
        }
        if !exclude.is_empty() {
            schema.insert("dependentSchemas".into(), exclude.into());
        }
    }

    /// A field.
    pub(super) fn field(&mut self, field: &FieldDescriptor, facts: &Facts, place: Place) -> Value {
        let comment = self.comments.at(field.parent_file().name(), field.path()).to_owned();
        let mut schema = if field.is_map() {
            self.map(field, facts)
        } else if field.is_list() {
            let mut items = self.value(field, &field.kind(), &facts.items(), place);
            self.describe.field(field, &mut items);
            let mut list =
                Map::from_iter([("type".to_owned(), json!("array")), ("items".to_owned(), items.into())]);
            list.extend(facts.list_bounds());
            list
        } else {
            self.single(field, facts, place)
        };
        if self.plan(field).is_some_and(|plan| plan.decimal) && place == Place::Body && is_text(&schema) {
            schema.insert("type".into(), json!(["string", "number"]));
            describe(&mut schema, &format!("{comment} An exact number is taken too; answers hold a text."));
        } else {
            describe(&mut schema, &comment);
        }
        for (is, keyword) in [
            (facts.output_only && place == Place::Body, "readOnly"),
            (facts.input_only && place == Place::Body, "writeOnly"),
            (facts.immutable && place == Place::Body, "x-immutable"),
            (facts.deprecated, "deprecated"),
        ] {
            if is {
                schema.insert(keyword.into(), json!(true));
            }
        }
        let example =
            comments::value(&comment).filter(|_| matches!(field.kind(), Kind::String) && !field.is_list());
        if let Some(example) = example {
            schema.insert("examples".into(), json!([example]));
        }
        schema.into()
    }

    fn map(&mut self, field: &FieldDescriptor, facts: &Facts) -> Map<String, Value> {
        let kind = field.kind();
        let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
        let Some(entry) = kind.as_message() else { return schema };
        let value = entry.map_entry_value_field();
        let value = self.value(&value, &value.kind(), &facts.values(), Place::Body);
        schema.insert("additionalProperties".into(), value.into());
        let mut names = facts.keys().bounds(false);
        match entry.map_entry_key_field().kind() {
            Kind::String => {}
            Kind::Bool => names = Map::from_iter([("enum".to_owned(), json!(["true", "false"]))]),
            _ => names = Map::from_iter([("pattern".to_owned(), json!("^-?[0-9]+$"))]),
        }
        if !names.is_empty() {
            schema.insert("propertyNames".into(), names.into());
        }
        schema.extend(facts.map_bounds());
        schema
    }

    fn single(&mut self, field: &FieldDescriptor, facts: &Facts, place: Place) -> Map<String, Value> {
        let mut schema = self.value(field, &field.kind(), facts, place);
        self.describe.field(field, &mut schema);
        if !matches!(field.kind(), Kind::String) {
            return schema;
        }
        // An answer holds "" for a text that was never set.
        let unset =
            place == Place::Body && !field.supports_presence() || place != Place::Path && facts.unset_is_fine;
        if unset && !facts.required {
            schema.remove("minLength");
            // Of the formats only the one that checks nothing is true of "" as well.
            if schema.get("format").is_some_and(|format| format != "decimal") {
                schema.remove("format");
            }
            if let Some(Value::String(pattern)) = schema.get_mut("pattern") {
                *pattern = bounds::or_empty(pattern);
            }
            if let Some(Value::Array(values)) = schema.get_mut("enum") {
                values.push(json!(""));
            }
            if let Some(value) = schema.remove("const") {
                schema.insert("enum".into(), json!([value, ""]));
            }
        } else if facts.required
            && !["pattern", "const", "enum"].iter().any(|keyword| schema.contains_key(*keyword))
        {
            schema.entry("minLength").or_insert(json!(1));
        }
        schema
    }

    /// One value of a field, with its bounds.
    fn value(
        &mut self,
        field: &FieldDescriptor,
        kind: &Kind,
        facts: &Facts,
        place: Place,
    ) -> Map<String, Value> {
        let plan = self.plan(field);
        let numbers = self.engine.print.int64_as_numbers || plan.is_some_and(|plan| plan.number_in_json);
        let decimal = plan.is_some_and(|plan| plan.decimal) && matches!(kind, Kind::String);
        // Answers hold 0 where nothing was set, if they are told to.
        let zero = place == Place::Body
            && self.engine.print.always_print_primitive_fields
            && plan.is_some_and(|plan| plan.implicit)
            && !facts.required;
        let mut schema = object_of(self.kind(field, kind, numbers));
        if decimal {
            schema.insert("format".into(), json!("decimal"));
        }
        if let Kind::Message(message) = kind {
            // Its wrapper has the bounds of what is wrapped; nothing says "null" in a path or query.
            if place != Place::Body
                && let Some(Value::Array(types)) = schema.get_mut("type")
            {
                types.retain(|kind| kind != "null");
            }
            if !known::is_known(message.full_name()) {
                return schema;
            }
        }
        if let Kind::Enum(_) = kind {
            let (mut only, mut never) = facts.enum_numbers();
            if zero && !only.is_empty() {
                only.push(0);
            }
            never.retain(|number| !zero || *number != 0);
            let spelled = |numbers: Vec<i32>| -> Vec<Value> {
                numbers.into_iter().filter_map(|number| self.spelling(field, number)).collect()
            };
            let (only, never) = (spelled(only), spelled(never));
            if !only.is_empty() {
                schema.insert("enum".into(), only.into());
            }
            if !never.is_empty() {
                schema.insert("not".into(), json!({ "enum": never }));
            }
            return schema;
        }
        let bounds = facts.bounds(numbers);
        let is_text = matches!(kind, Kind::String | Kind::Bytes);
        schema.extend(if zero && !is_text { bounds::or_zero(bounds) } else { bounds });
        let wrapped = kind.as_message().and_then(wrapped).map(|value| value.kind());
        if is_float(wrapped.as_ref().unwrap_or(kind)) && !self.describe.is_finite(field) {
            return floats::or_texts(schema, &facts.float_texts());
        }
        schema
    }

    fn kind(&mut self, field: &FieldDescriptor, kind: &Kind, numbers: bool) -> Value {
        match kind {
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 if numbers => {
                json!({ "type": "integer", "format": "int64" })
            }
            Kind::Uint64 | Kind::Fixed64 if numbers => {
                json!({ "type": "integer", "format": "uint64", "minimum": 0 })
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
            Kind::Message(message) => match wrapped(message) {
                Some(value) => self.wrapper(&value),
                None => self.message(message),
            },
            Kind::Enum(kind) => self.enumeration(field, kind),
        }
    }

    /// The name of a field in JSON.
    pub(super) fn key(&self, field: &FieldDescriptor) -> String {
        let name = if self.engine.print.proto_names { field.name() } else { field.json_name() };
        name.to_owned()
    }

    /// The plan that calls use for a field.
    pub(super) fn plan(&self, field: &FieldDescriptor) -> Option<&Field> {
        let message = self.engine.plans.message(field.parent_message().full_name())?;
        let plan = self.engine.plans.get(message);
        plan.by_number(field.number()).map(|index| &plan.fields[index])
    }
}

/// The field of a message that is written as the value that it wraps.
fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    message.get_field(1).filter(|_| known::is_wrapper(message.full_name()))
}

fn is_float(kind: &Kind) -> bool {
    matches!(kind, Kind::Double | Kind::Float)
}

fn is_text(schema: &Map<String, Value>) -> bool {
    schema.get("type") == Some(&json!("string"))
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
