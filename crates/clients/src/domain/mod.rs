//! What the service is about, without I/O.

pub(crate) mod account;
pub(crate) mod client;
pub(crate) mod entry;
pub(crate) mod holdings;
pub(crate) mod hours;
pub(crate) mod payment;
pub(crate) mod portfolio;
pub(crate) mod trade;

use riskmesh_core::{Detail, Error};

/// The longest field name that an error repeats.
const SHOWN: usize = 64;

/// The error of an update mask that names what cannot be changed; the fields are told by their JSON names.
pub(crate) fn unchangeable(path: &str, changeable: &[&str]) -> Error {
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
