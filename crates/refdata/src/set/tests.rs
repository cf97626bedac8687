#![allow(clippy::unwrap_used)]
use super::*;
use risk::refdata::Listing;
use std::fs;
use tempfile::TempDir;

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// A risk list with this country under a call for action.
pub(crate) fn list(version: &str, published: &str, country: &str) -> String {
    format!(
        "version = \"{version}\"\npublished = \"{published}\"\nsource = \"Ours\"\nincreased-monitoring = []\n\
         [[call-for-action]]\ncountry = \"{country}\"\nname = \"Someland\"\nmeasure = \"countermeasures\"\n"
    )
}

/// Exchange rates with one of the dollar.
pub(crate) fn rates(version: &str, date: &str, usd: &str) -> String {
    format!(
        "version = \"{version}\"\nbase = \"EUR\"\nnote = \"ours\"\n[[day]]\ndate = \"{date}\"\nrates = {{ USD = \"{usd}\" }}\n"
    )
}

fn directory(files: &[(&str, String)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn load(files: &[(&str, String)]) -> Result<Set, Error> {
    Set::load(Some(directory(files).path()))
}

#[test]
fn without_a_directory_there_is_what_ships_with_the_program() {
    let set = Set::load(None).unwrap();
    assert_eq!((set.countries().len(), set.lists().len()), (249, 1));
    assert!(set.is_same(&Set::builtin().unwrap()) && set.is_same(&load(&[]).unwrap()));
    assert!(set.in_force(day("2026-02-12")).is_none());
    let force = set.in_force(day("2026-02-13")).unwrap();
    assert_eq!(force.lists.version(), "fatf-2026-02-13");
    assert_eq!(force.lists.listing(risk::Country::of(b"IR")), Listing::CallForAction);
    assert_eq!(force.hash.to_string().len(), 64);
}

#[test]
fn the_list_in_force_is_the_newest_published_by_then() {
    let set = load(&[
        ("country-risk-a.toml", list("june", "2026-06-19", "IR")),
        ("country-risk-b.toml", list("october", "2025-10-24", "KP")),
        ("README.md", "Not ours.".into()),
        (".fx-1.toml.swp", "Nobody's.".into()),
    ])
    .unwrap();
    let versions: Vec<_> = set.lists().iter().map(|list| list.lists.version()).collect();
    assert_eq!(versions, ["june", "fatf-2026-02-13", "october"]);
    for (on, version) in [
        ("2025-10-23", None),
        ("2025-10-24", Some("october")),
        ("2026-06-18", Some("fatf-2026-02-13")),
        ("2026-06-19", Some("june")),
        ("9999-12-31", Some("june")),
    ] {
        assert_eq!(set.in_force(day(on)).map(|list| list.lists.version()), version, "{on}");
    }
}

#[test]
fn the_operators_files_take_the_place_of_what_ships() {
    let own = load(&[("country-risk-a.toml", list("corrected", "2026-02-13", "IR"))]).unwrap();
    assert_eq!(own.lists().len(), 1, "published on the same day");
    assert_eq!(own.lists()[0].lists.version(), "corrected");
    let own = load(&[("fx-a.toml", rates("a", "2026-01-01", "1.5"))]).unwrap();
    let all = own.rates().on(day("2026-03-01"), risk::Currency::EUR).unwrap();
    assert_eq!(all.len(), 1, "invented rates are never beside real ones");
}

#[test]
fn a_change_of_one_part_is_seen_in_the_versions_of_what_is_made_of_it() {
    let old = load(&[]).unwrap();
    let lists = load(&[("country-risk-a.toml", list("june", "2026-06-19", "IR"))]).unwrap();
    assert_ne!(old.countries_version(), lists.countries_version());
    assert_ne!(old.lists_version(), lists.lists_version());
    assert_eq!(old.rates_version(), lists.rates_version());
    assert_eq!(old.currencies_version(), lists.currencies_version());
    let rates = load(&[("fx-a.toml", rates("a", "2026-01-01", "1.5"))]).unwrap();
    assert_ne!(old.rates_version(), rates.rates_version());
    assert_eq!(old.countries_version(), rates.countries_version());
    assert!(!old.is_same(&lists) && !old.is_same(&rates));
}

#[test]
fn one_bad_file_makes_no_set() {
    let good = ("country-risk-a.toml", list("a", "2026-06-19", "IR"));
    let with = |name, text: &str| load(&[good.clone(), (name, text.to_owned())]).unwrap_err();
    assert!(matches!(with("country-risk-b.toml", &list("a", "2026-07-01", "IR")), Error::SameVersion { .. }));
    assert!(matches!(with("country-risk-b.toml", &list("b", "2026-06-19", "IR")), Error::SameDay { .. }));
    assert!(matches!(with("country-risk-b.toml", &list("b/c", "2026-07-01", "IR")), Error::Version { .. }));
    assert!(matches!(with("country-risk-b.toml", &list("b", "2026-07-01", "XX")), Error::Code { .. }));
    assert!(matches!(with("country-risk-b.toml", "version = "), Error::List { .. }));
    assert!(matches!(with("fx-b.toml", "version = "), Error::Rates { .. }));
    assert!(matches!(with("fxrates.toml", &rates("a", "2026-01-01", "1")), Error::Name { .. }));
    assert!(matches!(with("fx-b.toml", &" ".repeat((4 << 20) + 1)), Error::Bound { .. }));
    let missing = Set::load(Some(Path::new("/nonexistent/of/nobody"))).unwrap_err();
    assert!(matches!(missing, Error::Read { .. }));
    let directory = directory(&[]);
    fs::create_dir(directory.path().join("fx-a.toml")).unwrap();
    assert!(matches!(Set::load(Some(directory.path())), Err(Error::Bound { .. })));
    let not_text = directory.path().join("fx-b.toml");
    fs::remove_dir(directory.path().join("fx-a.toml")).unwrap();
    fs::write(&not_text, b"\xff\xfe").unwrap();
    assert!(matches!(Set::load(Some(directory.path())), Err(Error::Read { .. })));
}

#[test]
fn files_that_change_while_they_are_read_are_not_taken() {
    let directory = directory(&[("fx-a.toml", rates("a", "2026-01-01", "1.5"))]);
    let seen = Fingerprint::of(directory.path()).unwrap();
    fs::write(directory.path().join("fx-b.toml"), rates("b", "2026-02-01", "1.6")).unwrap();
    assert!(matches!(Set::read(directory.path(), &seen), Err(Error::Changing { .. })));
}
