//! The contract's rules on requests, as generated code. Every violation is reported, each with the field's path in JSON names.

use riskmesh_core::{Detail, Error};
use std::fmt;

/// The most violations that one answer lists.
const MAX_VIOLATIONS: usize = 100;

/// A message with rules.
pub trait Validate {
    /// Whether it is the request of a method, so that it is validated where it arrives.
    const REQUEST: bool;

    /// Adds what is wrong to the report.
    fn check(&self, path: &Path<'_>, report: &mut Report);
}

/// Validates a message that is a request; others pass.
pub fn validate<M: Validate>(message: &M) -> Result<(), Error> {
    if !M::REQUEST {
        return Ok(());
    }
    let mut report = Report(Vec::new());
    message.check(&Path::Root, &mut report);
    if report.0.is_empty() { Ok(()) } else { Err(Error::invalid_fields(report.0)) }
}

/// Validates any message of the contract, at the root of a path.
pub fn violations<M: Validate>(message: &M) -> Vec<Detail> {
    let mut report = Report(Vec::new());
    message.check(&Path::Root, &mut report);
    report.0
}

/// Where a field stands: made on the way down, printed only when something is wrong.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// The request itself.
    Root,
    /// A field of the path before it.
    Field(&'a Path<'a>, &'static str),
    /// An item of a list field.
    Index(&'a Path<'a>, &'static str, usize),
}

impl Path<'_> {
    /// The path of a field.
    pub fn field(&self, name: &'static str) -> Path<'_> {
        Path::Field(self, name)
    }

    /// The path of an item in a list.
    pub fn index(&self, name: &'static str, index: usize) -> Path<'_> {
        Path::Index(self, name, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = |f: &mut fmt::Formatter<'_>, parent: &Path<'_>| match parent {
            Path::Root => Ok(()),
            parent => write!(f, "{parent}."),
        };
        match self {
            Self::Root => Ok(()),
            Self::Field(above, name) => {
                parent(f, above)?;
                f.write_str(name)
            }
            Self::Index(above, name, index) => {
                parent(f, above)?;
                write!(f, "{name}[{index}]")
            }
        }
    }
}

/// What is wrong with a request, bounded.
#[derive(Debug)]
pub struct Report(Vec<Detail>);

impl Report {
    /// One violation more.
    pub fn add(&mut self, path: &Path<'_>, issue: &'static str, expected: &'static str) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Detail::expected(path.to_string(), issue, expected));
        }
    }

    fn add_text(&mut self, path: &Path<'_>, issue: String, expected: String) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Detail::expected(path.to_string(), issue, expected));
        }
    }
}

/// The checks that generated code calls.
mod check {
    use super::{Path, Report};
    use riskmesh_core::money::Currency;
    use riskmesh_core::{Timestamp, country, language, time_zone};

    /// The first day that a date can be: whoever sends an earlier one has mistyped it.
    const FIRST: Timestamp = Timestamp(-2_208_988_800_000);

    pub(super) fn digits(value: &str, min: usize, max: usize) -> bool {
        (min..=max).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_digit())
    }

    pub(super) fn letters(value: &str, min: usize, max: usize) -> bool {
        (min..=max).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_uppercase())
    }

    pub(super) fn industry(value: &str) -> bool {
        matches!(value.as_bytes(), [b'A'..=b'U', rest @ ..] if rest.len() <= 4 && rest.iter().all(u8::is_ascii_digit))
    }

    pub(super) fn token(value: &str, max: usize) -> bool {
        (1..=max).contains(&value.len())
            && value.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-'))
    }

    pub(super) fn hex(value: &str, len: usize) -> bool {
        value.len() == len && value.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// The form of a name that somebody logs in with.
    pub(super) fn user_name(value: &str) -> bool {
        let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        (1..=64).contains(&value.len())
            && value.bytes().next().is_some_and(alphanumeric)
            && value.bytes().all(|c| alphanumeric(c) || matches!(c, b'.' | b'_' | b'@' | b'+' | b'-'))
    }

    /// The form of a language tag (BCP 47): a language, and up to three subtags.
    pub(super) fn language(value: &str) -> bool {
        let mut tags = value.split('-');
        let language = tags.next().unwrap_or_default();
        let subtag =
            |tag: &str| (2..=8).contains(&tag.len()) && tag.bytes().all(|c| c.is_ascii_alphanumeric());
        (2..=3).contains(&language.len())
            && language.bytes().all(|c| c.is_ascii_lowercase())
            && tags.clone().count() <= 3
            && tags.all(subtag)
    }

    /// The form of a name of the time zone database: an area, and up to two places in it.
    pub(super) fn time_zone(value: &str) -> bool {
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'+' | b'-'))
        };
        value.starts_with(|c: char| c.is_ascii_alphabetic())
            && value.split('/').count() <= 3
            && value.split('/').all(part)
    }

    /// So many characters, none of them a control character.
    pub(super) fn text(value: &str, min: u64, max: u64, path: &Path<'_>, report: &mut Report) {
        // A string of at most `max` bytes has at most `max` characters: counting is for the rare long one.
        let len = value.len() as u64;
        if len > max && value.chars().count() as u64 > max {
            report.add_text(
                path,
                format!("must be at most {max} characters"),
                format!("<= {max} characters"),
            );
        } else if len < min.saturating_mul(4) && (value.chars().count() as u64) < min {
            report.add_text(
                path,
                format!("must be at least {min} characters"),
                format!(">= {min} characters"),
            );
        }
        if value.bytes().any(|c| c.is_ascii_control()) {
            report.add(path, "must not contain control characters", "no control characters");
        }
    }

    pub(super) fn items(len: usize, min: usize, max: usize, path: &Path<'_>, report: &mut Report) {
        if len < min {
            let issue =
                if min == 1 { "must not be empty".into() } else { format!("must have at least {min} items") };
            report.add_text(path, issue, format!(">= {min} items"));
        } else if len > max {
            report.add_text(path, format!("must have at most {max} items"), format!("<= {max} items"));
        }
    }

    /// Greater than zero, digits with an optional fraction; the currency's places are for the handler, which
    /// knows it. Absence is fine, as it is for the formats below: `required` says where it is not.
    pub(super) fn decimal(value: &str, path: &Path<'_>, report: &mut Report) {
        let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        if value.is_empty() {
            return;
        }
        if value.len() > 40 || !digits(whole) || !digits(fraction) {
            report.add(path, "must be a decimal number such as 100.00", "^[0-9]+(\\.[0-9]+)?$");
        } else if value.bytes().all(|c| matches!(c, b'0' | b'.')) {
            report.add(path, "must be greater than zero", "> 0");
        }
    }

    pub(super) fn date(value: &str, path: &Path<'_>, report: &mut Report) {
        let expected = "YYYY-MM-DD, from 1900-01-01 on";
        let date = Timestamp::parse(value).filter(|_| value.len() == 10);
        match date {
            _ if value.is_empty() => {}
            None => report.add(path, "must be a date, YYYY-MM-DD", expected),
            Some(date) if date < FIRST => report.add(path, "must not be before 1900-01-01", expected),
            Some(_) => {}
        }
    }

    pub(super) fn country(value: &str, path: &Path<'_>, report: &mut Report) {
        if !value.is_empty() && !country::is_country(value) {
            report.add(path, "must be an ISO 3166-1 alpha-2 country code", "^[A-Z]{2}$");
        }
    }

    pub(super) fn currency(value: &str, path: &Path<'_>, report: &mut Report) {
        if !value.is_empty() && Currency::new(value).is_none() {
            report.add(path, "must be an ISO 4217 currency code", "^[A-Z]{3}$");
        }
    }

    /// A language tag of a language, script, country or region that there are; `language` has checked its form.
    pub(super) fn known_language(value: &str, path: &Path<'_>, report: &mut Report) {
        if !value.is_empty() && !language::is_language(value) {
            let expected = "a language of ISO 639, such as de or de-AT";
            report.add(path, "must be a language that there is", expected);
        }
    }

    pub(super) fn known_time_zone(value: &str, path: &Path<'_>, report: &mut Report) {
        if !value.is_empty() && !time_zone::is_time_zone(value) {
            let expected = "a name of the IANA time zone database, such as Europe/Vienna";
            report.add(path, "must be a time zone that there is", expected);
        }
    }

    /// Each item once.
    pub(super) fn unique<T: PartialEq>(items: &[T], path: &Path<'_>, report: &mut Report) {
        let repeated = items.iter().enumerate().any(|(index, item)| items[..index].contains(item));
        if repeated {
            report.add(path, "must not name anything twice", "each item once");
        }
    }

    /// `least` is in seconds, as the contract's rule has it.
    pub(super) fn timestamp(
        value: Option<&prost_types::Timestamp>,
        least: i64,
        path: &Path<'_>,
        report: &mut Report,
    ) {
        let Some(value) = value else { return };
        let seconds = Timestamp::MIN.seconds()..=Timestamp::MAX.seconds();
        if !seconds.contains(&value.seconds) || !(0..1_000_000_000).contains(&value.nanos) {
            report.add(path, "must be a time in the years 1 to 9999", "RFC 3339");
        } else if value.seconds < least {
            let least = Timestamp(least.saturating_mul(1000));
            report.add_text(
                path,
                format!("must not be before {least}"),
                format!("RFC 3339, from {least} on"),
            );
        }
    }
}

/// The generated checks.
#[allow(clippy::all, clippy::pedantic, reason = "generated")]
mod rules {
    use super::{Path, Report, Validate, check};
    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::v1::{Client, CreateClientRequest, ListClientsRequest};
    use crate::transactions::v1::{BatchCreateTransactionsRequest, Transaction};

    fn client() -> Client {
        Client { client_id: "424242".into(), name: "Ada".into(), ..Client::default() }
    }

    fn issues<M: Validate>(message: &M) -> Vec<String> {
        violations(message).iter().map(|detail| format!("{}: {}", detail.field, detail.issue)).collect()
    }

    #[test]
    fn id_and_name_are_enough_for_a_client() {
        assert!(validate(&CreateClientRequest { client: Some(client()) }).is_ok());
        assert_eq!(issues(&CreateClientRequest { client: None }), ["client: is required"]);
    }

    #[test]
    fn every_wrong_field_is_named_by_its_path() {
        let client = Client {
            client_id: "abc".into(),
            name: " ".into(),
            r#type: 9,
            nationality: "ZZ".into(),
            onboarded_on: "2026-02-30".into(),
            industry: "X".into(),
            ..Client::default()
        };
        assert_eq!(
            issues(&CreateClientRequest { client: Some(client) }),
            [
                "client.clientId: must be 1 to 12 digits",
                "client.name: is required",
                "client.type: is not one of the values there are",
                "client.nationality: must be an ISO 3166-1 alpha-2 country code",
                "client.industry: must be an ISIC code: a section, A to U, and up to four digits",
                "client.onboardedOn: must be a date, YYYY-MM-DD",
            ]
        );
    }

    #[test]
    fn bounds_are_inclusive_and_absence_is_fine() {
        let page = |limit| ListClientsRequest { limit, ..ListClientsRequest::default() };
        assert!(
            validate(&page(None)).is_ok()
                && validate(&page(Some(1))).is_ok()
                && validate(&page(Some(1000))).is_ok()
        );
        assert!(validate(&page(Some(0))).is_err() && validate(&page(Some(1001))).is_err());
    }

    #[test]
    fn items_are_checked_one_by_one_and_the_report_is_bounded() {
        let good = Transaction {
            transaction_id: "t-1".into(),
            account_id: "1234567890".into(),
            direction: 1,
            amount: "100.00".into(),
            currency: "EUR".into(),
            booked_at: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..Transaction::default()
        };
        let bad = Transaction { account_id: "123".into(), amount: "0.00".into(), ..good.clone() };
        let batch = BatchCreateTransactionsRequest { transactions: vec![good, bad.clone()] };
        assert_eq!(
            issues(&batch),
            [
                "transactions[1].accountId: must be 10 digits",
                "transactions[1].amount: must be greater than zero"
            ]
        );
        let many = BatchCreateTransactionsRequest { transactions: vec![bad; 500] };
        assert_eq!(issues(&many).len(), MAX_VIOLATIONS);
        let empty = validate(&BatchCreateTransactionsRequest::default()).unwrap_err();
        assert_eq!(empty.message, "Transactions must not be empty");
    }

    #[test]
    fn what_is_missing_is_one_violation_a_field() {
        assert_eq!(
            issues(&Transaction {
                transaction_id: "t-1".into(),
                account_id: "1234567890".into(),
                ..Transaction::default()
            }),
            [
                "direction: is required",
                "amount: is required",
                "currency: is required",
                "bookedAt: is required",
            ]
        );
    }

    #[test]
    fn long_and_foreign_texts_are_counted_in_characters() {
        let named = |name: String| CreateClientRequest { client: Some(Client { name, ..client() }) };
        assert!(validate(&named("é".repeat(200))).is_ok());
        assert!(validate(&named("é".repeat(201))).is_err());
    }

    #[test]
    fn languages_and_time_zones_have_their_forms() {
        for good in ["de", "de-AT", "zh-Hant-TW", "gsw", "de-CH-1996"] {
            assert!(check::language(good), "{good}");
        }
        for bad in ["", "d", "DE", "de_AT", "de-", "de-A", "deutsch", "de-AT-x-y", "de-a-b-c-d"] {
            assert!(!check::language(bad), "{bad}");
        }
        for good in ["UTC", "Europe/Vienna", "America/Argentina/Ushuaia", "Etc/GMT+12"] {
            assert!(check::time_zone(good), "{good}");
        }
        for bad in ["", "/", "Europe/", "1/2", "a/b/c/d", "Europe Vienna", "../etc"] {
            assert!(!check::time_zone(bad), "{bad}");
        }
    }

    #[test]
    fn user_names_and_ids_have_their_forms() {
        for good in ["a", "7", "ada", "ada.l@example.org", "x+y_z-1", &"a".repeat(64)] {
            assert!(check::user_name(good), "{good}");
        }
        for bad in ["", "Ada", "-a", ".a", "a b", "ä", "a/b", &"a".repeat(65)] {
            assert!(!check::user_name(bad), "{bad}");
        }
        assert!(check::hex("0f", 2) && !check::hex("0F", 2) && !check::hex("0f0", 2) && !check::hex("0g", 2));
    }

    #[test]
    fn decimals_are_plain_and_positive() {
        for (value, good) in [
            ("1", true),
            ("0.01", true),
            ("1.", false),
            ("-1", false),
            ("1e3", false),
            ("0", false),
            ("", true),
        ] {
            let mut report = Report(Vec::new());
            check::decimal(value, &Path::Root, &mut report);
            assert_eq!(report.0.is_empty(), good, "{value}");
        }
    }
}
