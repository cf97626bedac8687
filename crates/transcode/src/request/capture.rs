//! Query parameters that name no field, captured in a field of the request message.

use std::collections::BTreeMap;

use super::put_path;
use crate::plan::{
    Kind, Known, LEN, MessageId, Plans, Shape, TextError, close_len, open_len, put_len, put_tag,
};

/// The field that takes them: `map<string, string>`, `map<string, M>` where `M` is one list of strings, or a message
/// that holds one such map and nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    /// From the request message to the map.
    path: Vec<u32>,
    /// The number of the list in a map's value, if that is a message.
    list: Option<u32>,
}

/// Captured parameters by name, with their values in the order of the query.
pub(crate) type Captured = BTreeMap<String, Vec<String>>;

impl Capture {
    /// The field of this name, if the message has it.
    pub(crate) fn new(plans: &Plans, message: MessageId, name: &str) -> Result<Option<Self>, String> {
        let plan = plans.get(message);
        let Some(index) = plan.fields.iter().position(|field| *field.name == *name) else { return Ok(None) };
        let capture = Self::of(plans, message, index).or_else(|| {
            let inside =
                plan.fields[index].message().filter(|_| plan.fields[index].shape == Shape::Singular)?;
            let wraps = plans.get(inside).known == Known::No && plans.get(inside).fields.len() == 1;
            wraps
                .then(|| Self::of(plans, inside, 0))
                .flatten()
                .map(|capture| Self { path: vec![index as u32, 0], ..capture })
        });
        let no = || {
            format!("field {name} cannot capture parameters: it is no map of strings or of lists of strings")
        };
        capture.map(Some).ok_or_else(no)
    }

    fn of(plans: &Plans, message: MessageId, index: usize) -> Option<Self> {
        let Shape::Map(entry) = plans.get(message).fields[index].shape else { return None };
        let [key, value] = &*plans.get(entry).fields else { return None };
        if key.kind != Kind::String {
            return None;
        }
        let list = match value.kind {
            Kind::String => None,
            Kind::Message(id) if plans.get(id).known == Known::No => {
                let [field] = &*plans.get(id).fields else { return None };
                let fits = field.kind == Kind::String && field.shape == Shape::Repeated;
                Some(fits.then_some(field.number)?)
            }
            _ => return None,
        };
        Some(Self { path: vec![index as u32], list })
    }

    /// From the request message to the field that was named.
    pub(crate) fn field(&self) -> &[u32] {
        &self.path[..1]
    }

    /// Whether a parameter may come more than once.
    pub(crate) fn takes_lists(&self) -> bool {
        self.list.is_some()
    }

    /// Writes the field.
    pub(crate) fn put(
        &self,
        plans: &Plans,
        message: MessageId,
        captured: &Captured,
        out: &mut Vec<u8>,
    ) -> Result<(), TextError> {
        put_path(plans, message, &self.path, out, |field, out| {
            for (key, values) in captured {
                put_tag(out, field.number, LEN);
                let entry = open_len(out, 1);
                put_len(out, 1, key.as_bytes());
                if let Some(number) = self.list {
                    put_tag(out, 2, LEN);
                    let list = open_len(out, 1);
                    for value in values {
                        put_len(out, number, value.as_bytes());
                    }
                    close_len(out, list, 1);
                } else {
                    for value in values {
                        put_len(out, 2, value.as_bytes());
                    }
                }
                close_len(out, entry, 1);
            }
            Ok(())
        })
    }
}
