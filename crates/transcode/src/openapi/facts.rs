//! What the options of fields say: `google.api.field_behavior` and, as far as JSON Schema can say it too, `buf.validate`.

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Value as Setting,
};
use serde_json::{Map, Value, json};

use super::{bounds, floats};

/// The extensions in use; absent ones say nothing.
#[derive(Default)]
pub(super) struct Extensions {
    rules: Option<ExtensionDescriptor>,
    oneof_rules: Option<ExtensionDescriptor>,
    behavior: Option<ExtensionDescriptor>,
}

/// What is said about one field.
#[allow(clippy::struct_excessive_bools, reason = "each is a separate option in the protos")]
#[derive(Default)]
pub(super) struct Facts {
    pub(super) required: bool,
    pub(super) output_only: bool,
    pub(super) input_only: bool,
    pub(super) immutable: bool,
    pub(super) deprecated: bool,
    /// Rules do not hold for the value of a field that is not set.
    pub(super) unset_is_fine: bool,
    rules: Option<DynamicMessage>,
}

/// `google.api.FieldBehavior`.
const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;
const INPUT_ONLY: i32 = 4;
const IMMUTABLE: i32 = 5;
/// `buf.validate.Ignore`.
const IGNORE_IF_ZERO_VALUE: i32 = 1;
const IGNORE_ALWAYS: i32 = 3;

impl Extensions {
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let find = |name| pool.get_extension_by_name(name);
        Self {
            rules: find("buf.validate.field"),
            oneof_rules: find("buf.validate.oneof"),
            behavior: find("google.api.field_behavior"),
        }
    }

    pub(super) fn of(&self, field: &FieldDescriptor) -> Facts {
        let options = field.options();
        let behaviors: Vec<i32> = get(&options, self.behavior.as_ref())
            .and_then(|value| Some(value.as_list()?.iter().filter_map(Setting::as_enum_number).collect()))
            .unwrap_or_default();
        let rules = get(&options, self.rules.as_ref()).and_then(|value| value.as_message().cloned());
        let ignore = rules.as_ref().and_then(|rules| set(rules, "ignore")?.as_enum_number());
        let rules = rules.filter(|_| ignore != Some(IGNORE_ALWAYS));
        let stated = rules.as_ref().and_then(|rules| set(rules, "required")?.as_bool()).unwrap_or(false);
        Facts {
            required: behaviors.contains(&REQUIRED) || stated || field.cardinality() == Cardinality::Required,
            output_only: behaviors.contains(&OUTPUT_ONLY),
            input_only: behaviors.contains(&INPUT_ONLY),
            immutable: behaviors.contains(&IMMUTABLE),
            deprecated: field
                .field_descriptor_proto()
                .options
                .as_ref()
                .is_some_and(prost_reflect::prost_types::FieldOptions::deprecated),
            unset_is_fine: ignore == Some(IGNORE_IF_ZERO_VALUE),
            rules,
        }
    }

    /// Whether one field of a oneof must be set.
    pub(super) fn must_choose(&self, oneof: &prost_reflect::OneofDescriptor) -> bool {
        let rules = get(&oneof.options(), self.oneof_rules.as_ref());
        let rules = rules.as_ref().and_then(|rules| rules.as_message());
        rules.and_then(|rules| set(rules, "required")?.as_bool()).unwrap_or(false)
    }
}

impl Facts {
    /// The bounds of a field with one value. `numbers`: 64-bit integers are numbers in JSON.
    pub(super) fn bounds(&self, numbers: bool) -> Map<String, Value> {
        self.rules.as_ref().map(|rules| bounds::of(rules, numbers)).unwrap_or_default()
    }

    /// The texts that may stand in the place of a floating-point number.
    pub(super) fn float_texts(&self) -> Vec<&'static str> {
        let of = |rules| ["double", "float"].iter().find_map(|kind| inside(rules, kind));
        floats::texts(self.rules.as_ref().and_then(of).as_ref())
    }

    /// Which numbers of an enum are taken, and which are not.
    pub(super) fn enum_numbers(&self) -> (Vec<i32>, Vec<i32>) {
        let rules = self.rules.as_ref().and_then(|rules| inside(rules, "enum"));
        let numbers = |name| {
            let list = rules.as_ref().and_then(|rules| set(rules, name));
            let list = list.as_ref().and_then(Setting::as_list);
            list.map(|list| list.iter().filter_map(Setting::as_i32).collect()).unwrap_or_default()
        };
        (numbers("in"), numbers("not_in"))
    }

    /// The bounds of a list.
    pub(super) fn list_bounds(&self) -> Map<String, Value> {
        let list = self.rules.as_ref().and_then(|rules| inside(rules, "repeated"));
        let mut bounds = counts(list.as_ref(), [("min_items", "minItems"), ("max_items", "maxItems")]);
        if list.as_ref().and_then(|list| set(list, "unique")?.as_bool()).unwrap_or(false) {
            bounds.insert("uniqueItems".into(), json!(true));
        }
        if self.required {
            bounds.entry("minItems").or_insert(json!(1));
        }
        bounds
    }

    /// What is said about a list's items.
    pub(super) fn items(&self) -> Self {
        self.part("repeated", "items")
    }

    /// The bounds of a map.
    pub(super) fn map_bounds(&self) -> Map<String, Value> {
        let map = self.rules.as_ref().and_then(|rules| inside(rules, "map"));
        let mut bounds =
            counts(map.as_ref(), [("min_pairs", "minProperties"), ("max_pairs", "maxProperties")]);
        if self.required {
            bounds.entry("minProperties").or_insert(json!(1));
        }
        bounds
    }

    /// What is said about a map's keys.
    pub(super) fn keys(&self) -> Self {
        self.part("map", "keys")
    }

    /// What is said about a map's values.
    pub(super) fn values(&self) -> Self {
        self.part("map", "values")
    }

    fn part(&self, whole: &str, part: &str) -> Self {
        let whole = self.rules.as_ref().and_then(|rules| inside(rules, whole));
        Self { rules: whole.and_then(|whole| inside(&whole, part)), ..Self::default() }
    }
}

fn counts(rules: Option<&DynamicMessage>, names: [(&str, &str); 2]) -> Map<String, Value> {
    let count = |(rule, keyword): (&str, &str)| {
        let count = set(rules?, rule)?.as_u64()?;
        Some((keyword.to_owned(), json!(count)))
    };
    names.into_iter().filter_map(count).collect()
}

fn get(options: &DynamicMessage, extension: Option<&ExtensionDescriptor>) -> Option<Setting> {
    extension.filter(|it| options.has_extension(it)).map(|it| options.get_extension(it).into_owned())
}

/// A field of rules, where it is set.
pub(super) fn set(message: &DynamicMessage, field: &str) -> Option<Setting> {
    message
        .has_field_by_name(field)
        .then(|| message.get_field_by_name(field))?
        .map(std::borrow::Cow::into_owned)
}

/// A message among rules, where it is set.
pub(super) fn inside(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    set(rules, name)?.as_message().cloned()
}
