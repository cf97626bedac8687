//! Formats that plain types cannot say: the contract's own options of fields.

use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, Value as Setting};
use serde_json::{Map, Value, json};

/// The extensions in use; absent ones say nothing.
#[derive(Default)]
pub(super) struct Formats {
    format: Option<ExtensionDescriptor>,
    decimal: Option<ExtensionDescriptor>,
}

impl Formats {
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let find = |name| pool.get_extension_by_name(name);
        Self { format: find("riskmesh.options.v1.format"), decimal: find("riskmesh.options.v1.decimal") }
    }

    /// Adds what a field's options say of its value.
    pub(super) fn add(&self, field: &FieldDescriptor, schema: &mut Map<String, Value>) {
        let options = field.options();
        let get = |extension: &Option<ExtensionDescriptor>| {
            let set = extension.as_ref().filter(|extension| options.has_extension(extension))?;
            Some(options.get_extension(set).into_owned())
        };
        let pattern = match get(&self.format).as_ref().and_then(Setting::as_enum_number) {
            Some(1) => {
                schema.insert("format".into(), json!("date"));
                // From 1900 on: an earlier one is mistyped.
                "^(19|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}$"
            }
            Some(2) => "^[A-Z]{2}$",
            Some(3) => "^[A-Z]{3}$",
            _ if get(&self.decimal).as_ref().and_then(Setting::as_bool) == Some(true) => {
                schema.insert("maxLength".into(), json!(40));
                "^[0-9]+(\\.[0-9]+)?$"
            }
            _ => return,
        };
        schema.insert("pattern".into(), json!(pattern));
    }
}
