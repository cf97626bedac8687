//! Which fields a PATCH changes.

use riskmesh_core::{Detail, Error};

/// The longest field name that an error repeats.
const SHOWN: usize = 64;

/// The fields that a patch changes: those that the mask names, `*` for all that may be changed, and without a mask those that are set.
pub fn patched<'a>(
    mask: Option<&'a [String]>,
    changeable: &[&'a str],
    set: impl FnOnce() -> Vec<&'a str>,
) -> Vec<&'a str> {
    match mask {
        Some([star]) if star == "*" => changeable.to_vec(),
        Some(paths) => paths.iter().map(String::as_str).collect(),
        None => set(),
    }
}

/// The error of an update mask that names what cannot be changed; the fields are told by their JSON names.
pub fn unchangeable(path: &str, changeable: &[&str]) -> Error {
    let path: String = path.chars().take(SHOWN).collect();
    let issue = format!("names {}, which cannot be changed", json_name(&path));
    let changeable: Vec<String> = changeable.iter().map(|name| json_name(name)).collect();
    Error::invalid(Detail::expected("updateMask", issue, changeable.join(", ")))
}

/// `residence_country` -> `residenceCountry`.
fn json_name(name: &str) -> String {
    let mut upper = false;
    let mut json = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => json.push(c.to_ascii_uppercase()),
            c => json.push(c),
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_names_fields_and_without_one_those_that_are_set_count() {
        let fields = ["name", "residence_country"];
        let of = |mask: Option<&[&str]>| {
            let mask: Option<Vec<String>> = mask.map(|mask| mask.iter().map(ToString::to_string).collect());
            patched(mask.as_deref(), &fields, || vec!["name"])
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["name"]);
        assert_eq!(of(Some(&["*"])), fields);
        assert_eq!(of(Some(&["residence_country", "other"])), ["residence_country", "other"]);
        let error = unchangeable("client_id", &fields);
        assert_eq!(error.message, "Update mask names clientId, which cannot be changed");
        assert_eq!(error.details[0].expected, "name, residenceCountry");
    }
}
