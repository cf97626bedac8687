//! What `google.api.field_behavior` says of fields (AIP-203), and how much of it is held against requests.

use super::paths::divide;
use super::{Bound, Field, MessageId, Plans, Shape, Taken};

/// Which of the behaviours that `google.api.field_behavior` gives to fields are enforced on requests of REST. It is about what a
/// client gave, not about values: an explicit `0` or `""` is given, `null` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldBehavior {
    /// A `REQUIRED` field that a request does not give is an error; but not inside the body of a PATCH, which is a part of a
    /// resource.
    pub required: bool,
    /// An `OUTPUT_ONLY` field that a request gives is passed over, as AIP-203 asks, and is no part of a field mask: neither of an
    /// inferred one nor, beside other paths, of one in the query.
    pub output_only: bool,
    /// An `IMMUTABLE` field that a PATCH would change is an error: one that the update mask names, and one that the body gives where
    /// the mask names what it lies in, or there is no mask. A transcoder does not know the value that is there: the same value is an
    /// error too. What lies in lists and maps is replaced with them, and not looked at.
    pub immutable: bool,
}

impl FieldBehavior {
    /// All of it.
    pub const ENFORCED: Self = Self { required: true, output_only: true, immutable: true };
    /// None of it: fields are what proto3 JSON says of them.
    pub const IGNORED: Self = Self { required: false, output_only: false, immutable: false };
}

/// Everything is enforced.
impl Default for FieldBehavior {
    fn default() -> Self {
        Self::ENFORCED
    }
}

/// The extension of field options.
pub(super) const EXTENSION: &str = "google.api.field_behavior";

/// Its values.
pub(super) const REQUIRED: i32 = 2;
pub(super) const OUTPUT_ONLY: i32 = 3;
pub(super) const IMMUTABLE: i32 = 5;

pub(crate) const MISSING: &str = "required, but not given";
pub(crate) const UNCHANGEABLE: &str = "immutable: an update cannot change it";

impl Plans {
    /// The first required field, by its path of JSON names, that is not among those taken. What is inside the field `beside` is
    /// somebody else's to check.
    pub(crate) fn missing(&self, message: MessageId, taken: &Bound, beside: Option<u32>) -> Option<String> {
        let plan = self.get(message);
        let absent = |index: &&u32| taken.get(**index, &plan.fields[**index as usize]).is_none();
        if let Some(index) = plan.required.iter().find(absent) {
            return Some(plan.fields[*index as usize].json_name.to_string());
        }
        taken.inside().filter(|(index, _)| Some(*index) != beside).find_map(|(index, inside)| {
            let field = &plan.fields[index as usize];
            let path = self.missing(field.message()?, inside, None)?;
            Some(format!("{}.{path}", field.json_name))
        })
    }

    /// Whether a path of field indices leads to, or through, a field of which this is true.
    pub(crate) fn passes(&self, message: MessageId, path: &[u32], is: impl Fn(&Field) -> bool) -> bool {
        let mut at = Some(message);
        path.iter().any(|index| {
            let Some(id) = at else { return false };
            let field = &self.get(id).fields[*index as usize];
            at = field.message();
            is(field)
        })
    }

    /// Whether a path of a field mask, in proto names, leads to, or through, a field of which this is true. What lies in lists and maps
    /// is not looked at.
    pub(crate) fn names(&self, message: MessageId, path: &str, is: impl Fn(&Field) -> bool) -> bool {
        let mut at = Some(message);
        divide(path, '.').any(|name| {
            let Some(plan) = at.take().map(|id| self.get(id)) else { return false };
            let Some(index) = plan.names.get(name.as_bytes()) else { return false };
            let field = &plan.fields[index as usize];
            at = field.message().filter(|_| field.shape == Shape::Singular);
            is(field)
        })
    }
}

impl Bound {
    /// The messages of which only some fields are taken.
    fn inside(&self) -> impl Iterator<Item = (u32, &Self)> {
        self.fields().filter_map(|(index, taken)| match taken {
            Taken::Inside(inside) => Some((index, inside)),
            Taken::Whole => None,
        })
    }
}
