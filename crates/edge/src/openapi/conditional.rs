//! What conditional requests (RFC 9110, section 13) mean to an operation.

use api::Method;
use api::method::Cache;
use std::collections::BTreeSet;
use transcode::openapi::Binding;

/// What holds for one operation.
pub(super) struct Conditional {
    /// The answer carries an ETag.
    pub(super) tagged: bool,
    /// A caller who has the answer already gets 304.
    pub(super) if_none_match: bool,
    /// It can be asked for only where the version is still the one that the caller knows.
    pub(super) if_match: bool,
}

/// The paths of resources that can be changed: what can be changed has a version.
pub(super) struct Versioned(BTreeSet<String>);

impl Versioned {
    pub(super) fn of(bindings: &[Binding]) -> Self {
        let changing = bindings.iter().filter(|binding| matches!(binding.method(), "PUT" | "PATCH"));
        Self(changing.map(|binding| binding.path().to_owned()).collect())
    }

    pub(super) fn conditional(&self, binding: &Binding, method: &Method) -> Conditional {
        let creates = |path: &String| {
            let inside = path.strip_prefix(binding.path()).and_then(|rest| rest.strip_prefix("/{"));
            inside.is_some_and(|rest| rest.find('}') == Some(rest.len() - 1))
        };
        let versioned = match binding.method() {
            "POST" => method.success_status == 201 && self.0.iter().any(creates),
            _ => self.0.contains(binding.path()),
        };
        let tagged = method.success_status != 204 && (versioned || method.cache != Cache::NoStore);
        Conditional {
            tagged,
            if_none_match: tagged && binding.method() == "GET",
            if_match: versioned && matches!(binding.method(), "PUT" | "PATCH" | "DELETE"),
        }
    }
}
