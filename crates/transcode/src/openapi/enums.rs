//! Schemas of enums.

use prost_reflect::{EnumDescriptor, FieldDescriptor};
use serde_json::{Value, json};

use super::Maker;
use crate::plan;

impl Maker<'_> {
    /// An enum, by reference; `field` has it.
    pub(super) fn enumeration(&mut self, field: &FieldDescriptor, kind: &EnumDescriptor) -> Value {
        if kind.full_name() == "google.protobuf.NullValue" {
            return json!({ "type": "null" });
        }
        self.component(kind.full_name(), kind.full_name(), |maker| {
            let file = kind.parent_file();
            let is_closed = matches!(maker.plan(field).map(|field| field.kind),
                Some(plan::Kind::Enum(id)) if maker.engine.plans.get_enum(id).closed);
            let mut description = maker.comments.at(file.name(), kind.path()).to_owned();
            let mut declared: Vec<_> = kind.values().collect();
            declared.sort_by_key(|value| value.path().last().copied());
            let mut values: Vec<Value> = Vec::new();
            for value in declared {
                let Some(spelling) = maker.spelling(field, value.number()) else { continue };
                if values.contains(&spelling) {
                    continue;
                }
                let comment = maker.comments.at(file.name(), value.path());
                let text = spelling.as_str().map_or_else(|| spelling.to_string(), str::to_owned);
                let name = if maker.engine.print.enums_as_numbers { value.name() } else { "" };
                let words: Vec<&str> =
                    [name, comment].into_iter().filter(|words| !words.is_empty()).collect();
                description.extend(["\n- `", &text, "`"]);
                if !words.is_empty() {
                    description.extend([": ", &words.join(". ")]);
                }
                values.push(spelling);
            }
            let description = description.trim_start();
            match maker.engine.print.enums_as_numbers {
                false => json!({ "type": "string", "enum": values, "description": description }),
                true if is_closed => json!({ "type": "integer", "enum": values, "description": description }),
                // Numbers that have no name yet are values too.
                true => json!({ "type": "integer", "format": "int32", "description": description }),
            }
        })
    }

    /// How a value of a field's enum is written in JSON.
    pub(super) fn spelling(&self, field: &FieldDescriptor, number: i32) -> Option<Value> {
        if self.engine.print.enums_as_numbers {
            return Some(json!(number));
        }
        let plan::Kind::Enum(id) = self.plan(field)?.kind else { return None };
        let plan = self.engine.plans.get_enum(id);
        if number == 0 && plan.silent_zero {
            return None;
        }
        let value = plan.values.iter().find(|value| value.number == number)?;
        serde_json::from_slice(&value.quoted).ok()
    }
}
