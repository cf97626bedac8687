//! From descriptors to plans, once, at start.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicUsize};

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, EnumValueDescriptor, ExtensionDescriptor,
    FieldDescriptor, MessageDescriptor, Syntax, Value,
};

use super::behavior;
use super::names::Names;
use super::print::quote;
use super::{
    Enum, EnumId, EnumValue, Extensions, Field, Key, Kind, Known, Message, MessageId, Plans, Shape, wire,
};

/// Field numbers up to this many times the number of fields are looked up in a table.
const SPARSE: usize = 4;

/// Why plans cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An extension that was asked for is not in the pool.
    #[error("no extension {name} in the descriptors")]
    NoExtension {
        /// The extension's full name.
        name: String,
    },
    /// An extension that was asked for has the wrong type.
    #[error("extension {name} is not a {expected}")]
    ExtensionType {
        /// The extension's full name.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// One spelling stands for two numbers of an enum.
    #[error("enum {name}: `{spelling}` stands for two values")]
    AmbiguousSpelling {
        /// The enum's full name.
        name: String,
        /// The spelling.
        spelling: String,
    },
}

/// The extensions of [`Extensions`], resolved.
struct Resolved {
    enum_spelling: Option<ExtensionDescriptor>,
    number: Option<ExtensionDescriptor>,
    decimal: Option<ExtensionDescriptor>,
    behavior: Option<ExtensionDescriptor>,
    strip_enum_prefix: bool,
    any_enum_case: bool,
}

impl Plans {
    /// Compiles every message and enum type of the pool.
    ///
    /// # Errors
    /// Extensions that the pool lacks or that have the wrong type, and enum spellings that are ambiguous.
    pub fn new(pool: &DescriptorPool, extensions: &Extensions) -> Result<Self, Error> {
        let find = |name: &Option<String>, expected: &'static str, kind: prost_reflect::Kind| {
            let Some(name) = name else { return Ok(None) };
            let no = || Error::NoExtension { name: name.clone() };
            let extension = pool.get_extension_by_name(name).ok_or_else(no)?;
            if extension.kind() != kind || extension.is_list() {
                return Err(Error::ExtensionType { name: name.clone(), expected });
            }
            Ok(Some(extension))
        };
        let resolved = Resolved {
            enum_spelling: find(&extensions.enum_spelling, "string", prost_reflect::Kind::String)?,
            number: find(&extensions.number, "bool", prost_reflect::Kind::Bool)?,
            decimal: find(&extensions.decimal, "bool", prost_reflect::Kind::Bool)?,
            behavior: pool.get_extension_by_name(behavior::EXTENSION),
            strip_enum_prefix: extensions.strip_enum_prefix,
            any_enum_case: extensions.any_enum_case,
        };
        let enum_ids: HashMap<String, EnumId> =
            ids(pool.all_enums().map(|e| e.full_name().to_owned()), EnumId);
        let message_ids: HashMap<String, MessageId> =
            ids(pool.all_messages().map(|m| m.full_name().to_owned()), MessageId);
        let context = Context { resolved, enum_ids, message_ids };
        let enums = pool.all_enums().map(|e| context.enumeration(&e)).collect::<Result<_, _>>()?;
        let messages = pool.all_messages().map(|m| context.message(&m)).collect();
        let by_name = context.message_ids.into_iter().map(|(name, id)| (name.into(), id)).collect();
        Ok(Self { messages, enums, by_name })
    }
}

fn ids<T>(names: impl Iterator<Item = String>, id: fn(u32) -> T) -> HashMap<String, T> {
    (0..).zip(names).map(|(index, name)| (name, id(index))).collect()
}

struct Context {
    resolved: Resolved,
    enum_ids: HashMap<String, EnumId>,
    message_ids: HashMap<String, MessageId>,
}

#[allow(clippy::struct_excessive_bools, reason = "independent facts about a field")]
/// What fields and extensions have in common, as the pool describes them.
struct Described {
    number: u32,
    kind: prost_reflect::Kind,
    cardinality: Cardinality,
    map: bool,
    group: bool,
    packed: bool,
    presence: bool,
    name: String,
    json_name: String,
    oneof: Option<usize>,
    options: DynamicMessage,
}

impl From<FieldDescriptor> for Described {
    fn from(field: FieldDescriptor) -> Self {
        // The synthetic oneof of a proto3 `optional` field is presence, not choice.
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let oneof = oneof.and_then(|oneof| field.parent_message().oneofs().position(|o| o == oneof));
        Self {
            number: field.number(),
            kind: field.kind(),
            cardinality: field.cardinality(),
            map: field.is_map(),
            group: field.is_group(),
            packed: field.is_packed(),
            presence: field.supports_presence(),
            name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            oneof,
            options: field.options(),
        }
    }
}

impl From<ExtensionDescriptor> for Described {
    fn from(extension: ExtensionDescriptor) -> Self {
        Self {
            number: extension.number(),
            kind: extension.kind(),
            cardinality: extension.cardinality(),
            map: extension.is_map(),
            group: extension.is_group(),
            packed: extension.is_packed(),
            presence: extension.supports_presence(),
            name: extension.json_name().to_owned(),
            json_name: extension.json_name().to_owned(),
            oneof: None,
            options: extension.options(),
        }
    }
}

impl Context {
    fn message(&self, message: &MessageDescriptor) -> Message {
        let fields = message.fields().map(Described::from);
        let mut described: Vec<Described> = fields.chain(message.extensions().map(Described::from)).collect();
        described.sort_by_key(|field| field.number);
        // A JSON name beats an equal proto name of another field.
        let json_names = described.iter().zip(0..).map(|(field, index)| (field.json_name.clone(), index));
        let proto_names = described.iter().zip(0..).map(|(field, index)| (field.name.clone(), index));
        let names = Names::new(json_names.chain(proto_names));
        let highest = described.last().map_or(0, |field| field.number as usize);
        let tabled = highest <= described.len() * SPARSE && described.len() < usize::from(u16::MAX);
        let mut dense = vec![0; if tabled { highest + 1 } else { 0 }];
        if tabled {
            for (index, field) in (1..).zip(&described) {
                dense[field.number as usize] = index;
            }
        }
        let is_required = |field: &Described| self.behaves(&field.options, behavior::REQUIRED);
        let required = (0..).zip(&described).filter(|(_, field)| is_required(field)).map(|(index, _)| index);
        Message {
            name: message.full_name().into(),
            known: Known::of(message.full_name()),
            required: required.collect(),
            fields: described.into_iter().map(|field| self.field(field)).collect(),
            names,
            dense: dense.into(),
            oneofs: message.oneofs().count() as u32,
            growth: AtomicUsize::new(2 * super::GROWTH),
        }
    }

    /// Whether `google.api.field_behavior` says this of a field.
    fn behaves(&self, options: &DynamicMessage, behavior: i32) -> bool {
        let extension = self.resolved.behavior.as_ref().filter(|extension| options.has_extension(extension));
        extension.is_some_and(|extension| {
            let value = options.get_extension(extension);
            let mut values = value.as_list().into_iter().flatten();
            values.any(|value| value.as_enum_number() == Some(behavior))
        })
    }

    fn field(&self, field: Described) -> Field {
        let marked = |extension: &Option<ExtensionDescriptor>| {
            let extension = extension.as_ref();
            extension.is_some_and(|e| matches!(*field.options.get_extension(e), Value::Bool(true)))
        };
        let kind = self.kind(&field.kind, field.group);
        let shape = match (field.cardinality, kind) {
            (Cardinality::Repeated, Kind::Message(entry)) if field.map => Shape::Map(entry),
            (Cardinality::Repeated, _) => Shape::Repeated,
            _ => Shape::Singular,
        };
        let key = |name: &str| {
            let mut key = vec![b','];
            quote(name.as_bytes(), &mut key);
            key.push(b':');
            Key::new(key)
        };
        Field {
            number: field.number,
            wire: wire_type(kind),
            kind,
            shape,
            packed: field.packed,
            implicit: shape == Shape::Singular && !field.presence,
            filled: !matches!(&field.kind, prost_reflect::Kind::Enum(e) if self.has_silent_zero(e)),
            oneof: field.oneof.map(|index| index as u32),
            json_key: key(&field.json_name),
            proto_key: key(&field.name),
            number_in_json: marked(&self.resolved.number),
            decimal: marked(&self.resolved.decimal),
            output_only: self.behaves(&field.options, behavior::OUTPUT_ONLY),
            immutable: self.behaves(&field.options, behavior::IMMUTABLE),
            name: field.name.into(),
            json_name: field.json_name.into(),
            width: AtomicU8::new(1),
        }
    }

    fn kind(&self, kind: &prost_reflect::Kind, group: bool) -> Kind {
        match kind {
            prost_reflect::Kind::Double => Kind::Double,
            prost_reflect::Kind::Float => Kind::Float,
            prost_reflect::Kind::Int32 => Kind::Int32,
            prost_reflect::Kind::Int64 => Kind::Int64,
            prost_reflect::Kind::Uint32 => Kind::Uint32,
            prost_reflect::Kind::Uint64 => Kind::Uint64,
            prost_reflect::Kind::Sint32 => Kind::Sint32,
            prost_reflect::Kind::Sint64 => Kind::Sint64,
            prost_reflect::Kind::Fixed32 => Kind::Fixed32,
            prost_reflect::Kind::Fixed64 => Kind::Fixed64,
            prost_reflect::Kind::Sfixed32 => Kind::Sfixed32,
            prost_reflect::Kind::Sfixed64 => Kind::Sfixed64,
            prost_reflect::Kind::Bool => Kind::Bool,
            prost_reflect::Kind::String => Kind::String,
            prost_reflect::Kind::Bytes => Kind::Bytes,
            // The maps were made from the same pool: every name is there.
            prost_reflect::Kind::Enum(e) => Kind::Enum(self.enum_ids[e.full_name()]),
            prost_reflect::Kind::Message(m) if group => Kind::Group(self.message_ids[m.full_name()]),
            prost_reflect::Kind::Message(m) => Kind::Message(self.message_ids[m.full_name()]),
        }
    }

    fn spelling(&self, value: &EnumValueDescriptor) -> Option<String> {
        let options = value.options();
        let extension = self.resolved.enum_spelling.as_ref().filter(|e| options.has_extension(e))?;
        options.get_extension(extension).as_str().map(str::to_owned)
    }

    /// Whether an enum spells its values, and not its zero: that one says nothing, as if the field were not there.
    fn has_silent_zero(&self, descriptor: &EnumDescriptor) -> bool {
        let (zeros, others): (Vec<_>, Vec<_>) = descriptor.values().partition(|value| value.number() == 0);
        zeros.iter().all(|zero| self.spelling(zero).is_none())
            && others.iter().any(|value| self.spelling(value).is_some())
    }

    fn enumeration(&self, descriptor: &EnumDescriptor) -> Result<Enum, Error> {
        let mut names: Vec<(String, i32)> = Vec::new();
        let mut values: Vec<(i32, String)> = Vec::new();
        // In the order of their declaration: the first of aliases is the one to print.
        let mut declared: Vec<_> = descriptor.values().collect();
        declared.sort_by_key(|value| value.path().last().copied());
        for value in declared {
            let stripped =
                self.resolved.strip_enum_prefix.then(|| without_prefix(descriptor.name(), value.name()));
            let printed = self.spelling(&value).or(stripped).unwrap_or_else(|| value.name().to_owned());
            let mut read = vec![printed.clone(), value.name().to_owned()];
            if self.resolved.any_enum_case {
                read.extend([printed.to_ascii_uppercase(), value.name().to_ascii_uppercase()]);
            }
            for name in read {
                match names.iter().find(|(known, _)| *known == name) {
                    Some((_, number)) if *number != value.number() => {
                        let name = descriptor.full_name().to_owned();
                        return Err(Error::AmbiguousSpelling { name, spelling: printed });
                    }
                    Some(_) => {}
                    None => names.push((name, value.number())),
                }
            }
            if values.iter().all(|(number, _)| *number != value.number()) {
                values.push((value.number(), printed));
            }
        }
        let silent_zero = self.has_silent_zero(descriptor);
        let shown = values.iter().filter(|(number, _)| *number != 0 || !silent_zero);
        let expected = shown.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
        values.sort_by_key(|(number, _)| *number);
        let index = |number: i32| values.binary_search_by_key(&number, |(n, _)| *n).unwrap_or_default();
        let names = Names::new(names.into_iter().map(|(name, number)| (name, index(number) as u32)));
        let quoted = |name: &str| {
            let mut out = Vec::new();
            quote(name.as_bytes(), &mut out);
            out.into_boxed_slice()
        };
        let values = values.iter().map(|(number, name)| EnumValue { number: *number, quoted: quoted(name) });
        Ok(Enum {
            names,
            any_case: self.resolved.any_enum_case,
            values: values.collect(),
            null: descriptor.full_name() == "google.protobuf.NullValue",
            closed: descriptor.parent_file().syntax() == Syntax::Proto2,
            silent_zero,
            expected: format!("one of {expected}").into(),
        })
    }
}

/// A value's name without its enum's, where what is left is a name: `RED` of `COLOR_RED` in `Color`.
fn without_prefix(of: &str, name: &str) -> String {
    let mut prefix = String::new();
    let mut before = None;
    for letter in of.chars() {
        let boundary = before.is_some_and(|b: char| b.is_ascii_lowercase() || b.is_ascii_digit());
        if letter.is_ascii_uppercase() && boundary {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
        before = Some(letter);
    }
    let rest = name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_'));
    rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())).unwrap_or(name).to_owned()
}

fn wire_type(kind: Kind) -> u32 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => wire::FIXED64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => wire::FIXED32,
        Kind::String | Kind::Bytes | Kind::Message(_) => wire::LEN,
        Kind::Group(_) => wire::START_GROUP,
        _ => wire::VARINT,
    }
}
