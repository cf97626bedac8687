//! What the contract's options say about fields and enum values, in a form that schemas can use.

use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumValueDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, Value,
};
use serde_json::{Map, json};

/// The extensions in use; absent ones say nothing.
pub(super) struct Extensions {
    rules: Option<ExtensionDescriptor>,
    behavior: Option<ExtensionDescriptor>,
    format: Option<ExtensionDescriptor>,
    decimal: Option<ExtensionDescriptor>,
    number: Option<ExtensionDescriptor>,
    spelling: Option<ExtensionDescriptor>,
}

/// A format that plain types cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Date,
    Country,
    Currency,
    Decimal,
}

/// What is said about one field.
#[allow(clippy::struct_excessive_bools, reason = "each is a separate option in the protos")]
pub(super) struct Facts {
    pub(super) required: bool,
    pub(super) output_only: bool,
    pub(super) immutable: bool,
    pub(super) number: bool,
    pub(super) format: Format,
    rules: Option<DynamicMessage>,
}

impl Extensions {
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let find = |name| pool.get_extension_by_name(name);
        Self {
            rules: find("buf.validate.field"),
            behavior: find("google.api.field_behavior"),
            format: find("riskmesh.options.v1.format"),
            decimal: find("riskmesh.options.v1.decimal"),
            number: find("riskmesh.options.v1.number"),
            spelling: find("riskmesh.options.v1.spelling"),
        }
    }

    pub(super) fn of(&self, field: &FieldDescriptor) -> Facts {
        let options = field.options();
        let behaviors: Vec<i32> = get(&options, self.behavior.as_ref())
            .and_then(|value| Some(value.as_list()?.iter().filter_map(Value::as_enum_number).collect()))
            .unwrap_or_default();
        let flag = |extension| get(&options, extension).and_then(|value| value.as_bool()).unwrap_or(false);
        let rules = get(&options, self.rules.as_ref()).and_then(|value| value.as_message().cloned());
        let stated = rules.as_ref().and_then(|rules| set(rules, "required")?.as_bool()).unwrap_or(false);
        let format = match get(&options, self.format.as_ref()).and_then(|value| value.as_enum_number()) {
            Some(1) => Format::Date,
            Some(2) => Format::Country,
            Some(3) => Format::Currency,
            _ if flag(self.decimal.as_ref()) => Format::Decimal,
            _ => Format::Plain,
        };
        Facts {
            required: behaviors.contains(&2) || stated,
            output_only: behaviors.contains(&3),
            immutable: behaviors.contains(&5),
            number: flag(self.number.as_ref()),
            format,
            rules,
        }
    }

    /// How a value of an enum is written in JSON.
    pub(super) fn spelling(&self, value: &EnumValueDescriptor) -> String {
        let spelling = get(&value.options(), self.spelling.as_ref());
        let spelling =
            spelling.and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty());
        spelling.unwrap_or_else(|| value.name().to_owned())
    }
}

impl Facts {
    /// The bounds of a field with one value, as JSON Schema has them.
    pub(super) fn bounds(&self, kind: &Kind) -> Map<String, serde_json::Value> {
        bounds(self.rules.as_ref(), kind)
    }

    /// The bounds of a list.
    pub(super) fn list_bounds(&self) -> Map<String, serde_json::Value> {
        let list = self.rules.as_ref().and_then(|rules| typed(rules, "repeated"));
        let mut bounds = Map::new();
        for (rule, keyword) in [("min_items", "minItems"), ("max_items", "maxItems")] {
            if let Some(number) = list.as_ref().and_then(|list| set(list, rule)?.as_u64()) {
                bounds.insert(keyword.into(), json!(number));
            }
        }
        if self.required && !bounds.contains_key("minItems") {
            bounds.insert("minItems".into(), json!(1));
        }
        bounds
    }

    /// The bounds of a list's items.
    pub(super) fn item_bounds(&self, kind: &Kind) -> Map<String, serde_json::Value> {
        let list = self.rules.as_ref().and_then(|rules| typed(rules, "repeated"));
        let items = list.as_ref().and_then(|list| typed(list, "items"));
        bounds(items.as_ref(), kind)
    }
}

fn bounds(rules: Option<&DynamicMessage>, kind: &Kind) -> Map<String, serde_json::Value> {
    let mut bounds = Map::new();
    let (name, keywords): (_, &[(&str, &str)]) = match kind {
        Kind::String => {
            ("string", &[("min_len", "minLength"), ("max_len", "maxLength"), ("pattern", "pattern")])
        }
        Kind::Int32 => ("int32", NUMBERS),
        Kind::Int64 => ("int64", NUMBERS),
        _ => return bounds,
    };
    let Some(rules) = rules.and_then(|rules| typed(rules, name)) else { return bounds };
    for (rule, keyword) in keywords {
        let value = match set(&rules, rule) {
            Some(Value::U64(number)) => json!(number),
            Some(Value::I64(number)) => json!(number),
            Some(Value::I32(number)) => json!(number),
            Some(Value::String(text)) => json!(text),
            _ => continue,
        };
        bounds.insert((*keyword).into(), value);
    }
    bounds
}

const NUMBERS: &[(&str, &str)] =
    &[("gte", "minimum"), ("lte", "maximum"), ("gt", "exclusiveMinimum"), ("lt", "exclusiveMaximum")];

fn get(options: &DynamicMessage, extension: Option<&ExtensionDescriptor>) -> Option<Value> {
    extension.filter(|it| options.has_extension(it)).map(|it| options.get_extension(it).into_owned())
}

fn set(message: &DynamicMessage, field: &str) -> Option<Value> {
    message
        .has_field_by_name(field)
        .then(|| message.get_field_by_name(field))?
        .map(std::borrow::Cow::into_owned)
}

fn typed(rules: &DynamicMessage, kind: &str) -> Option<DynamicMessage> {
    set(rules, kind)?.as_message().cloned()
}
