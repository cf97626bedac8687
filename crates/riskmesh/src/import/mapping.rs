//! How the columns of a file become transactions: constants, columns with prefixes and padding, time rules, one or two entries a
//! row. A mapping is compiled against the file's columns once, so that a row costs no look-up by name.

use super::Error;
use api::transactions::v1::{Channel, Direction, Transaction, TransactionType};
use riskmesh_core::Timestamp;
use riskmesh_core::clock::{DAY_MS, HOUR_MS};
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt::Write as _;

/// A mapping as its file has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mapping {
    /// What happens to entries of accounts that do not exist.
    #[serde(default)]
    pub missing_accounts: MissingAccounts,
    /// The entries that each row makes: one, or two for a transfer.
    pub entries: Vec<EntryMapping>,
}

/// What happens to entries of accounts that do not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingAccounts {
    /// They go to the reject file.
    #[default]
    Reject,
    /// The account is opened, under a client whose id is the account's without leading zeros.
    Create,
}

/// Where one entry's fields come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EntryMapping {
    /// The entry's id.
    pub transaction_id: Source,
    /// The account.
    pub account_id: Source,
    /// What two entries of a transfer share.
    pub transfer_id: Option<Source>,
    /// `debit` or `credit`.
    pub direction: Source,
    /// The amount, a plain decimal.
    pub amount: Source,
    /// The ISO 4217 code.
    pub currency: Source,
    /// When it was booked.
    pub booked_at: TimeSource,
    /// The other side's account.
    pub counterparty_account: Option<Source>,
    /// The other side's country.
    pub counterparty_country: Option<Source>,
    /// The type's spelling in the API: `transfer`, `cash` …
    #[serde(rename = "type")]
    pub kind: Option<Source>,
    /// The channel's spelling in the API: `online`, `branch` …
    pub channel: Option<Source>,
}

/// A text: a constant, or made from a column or the line number.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// The same for every row.
    Constant(String),
    /// Made from the row.
    Row(RowSource),
}

/// A text made from a row: `prefix` + value padded with zeros to `pad` digits + `suffix`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RowSource {
    /// The column whose value it is.
    pub column: Option<String>,
    /// Whether the value is the line number instead (the first line after the header is 2).
    pub line: bool,
    /// What stands before it.
    pub prefix: String,
    /// What stands after it.
    pub suffix: String,
    /// To how many characters the value is padded with zeros on the left.
    pub pad: usize,
    /// The value to use for an empty one.
    pub default: String,
    /// Values replaced by others; a value that is not among them is refused.
    pub map: Option<HashMap<String, String>>,
}

/// When an entry was booked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TimeSource {
    /// The column.
    pub column: String,
    /// How its value is read.
    #[serde(default)]
    pub format: TimeFormat,
    /// For steps: the instant of step 0, a date or RFC 3339.
    pub from: Option<String>,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeFormat {
    /// RFC 3339, or YYYY-MM-DD for midnight UTC.
    #[default]
    Rfc3339,
    /// Seconds since the epoch.
    EpochSeconds,
    /// Milliseconds since the epoch.
    EpochMillis,
    /// Step n is n days after `from`.
    StepDays,
    /// Step n is n hours after `from`.
    StepHours,
}

/// The mapping of the columns that `riskmesh generate transactions` writes: each has the field's name in the API's proto.
const NATURAL: &str = include_str!("natural.toml");

impl Mapping {
    /// The mapping for files with the columns of `riskmesh generate`.
    pub fn natural() -> Result<Self, Error> {
        Self::parse(NATURAL)
    }

    /// Reads a mapping.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mapping: Self = toml::from_str(text).map_err(|error| Error::Mapping(error.to_string()))?;
        match mapping.entries.len() {
            1 | 2 => Ok(mapping),
            n => Err(Error::Mapping(format!("[[entries]] stands {n} times; a row makes one entry or two"))),
        }
    }

    /// Compiles the mapping for a file with these columns.
    pub(super) fn compile(&self, columns: &mut Columns) -> Result<Vec<Compiled>, Error> {
        self.entries.iter().map(|entry| Compiled::new(entry, columns)).collect()
    }
}

/// The columns of a file, by name. Formats without a header learn them from the mapping.
pub(super) struct Columns {
    names: Vec<String>,
    fixed: bool,
}

impl Columns {
    /// The columns of a header.
    pub(super) fn fixed(names: Vec<String>) -> Self {
        Self { names, fixed: true }
    }

    /// Columns as the mapping names them.
    pub(super) fn open() -> Self {
        Self { names: Vec::new(), fixed: false }
    }

    /// The names, by position.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn position(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(position) = self.names.iter().position(|known| known == name) {
            return Ok(position);
        }
        if self.fixed {
            let known = self.names.join(", ");
            return Err(Error::Mapping(format!("the file has no column {name:?}; it has {known}")));
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }
}

/// One entry's mapping with columns resolved.
pub(super) struct Compiled {
    transaction_id: Text,
    account_id: Text,
    transfer_id: Option<Text>,
    direction: Text,
    amount: Text,
    currency: Text,
    booked_at: Time,
    counterparty_account: Option<Text>,
    counterparty_country: Option<Text>,
    kind: Option<Text>,
    channel: Option<Text>,
}

enum Text {
    Constant(String),
    Row { from: From, source: RowSource },
}

enum From {
    Column(usize),
    Line,
}

struct Time {
    column: usize,
    format: TimeFormat,
    from: Timestamp,
}

impl Compiled {
    fn new(entry: &EntryMapping, columns: &mut Columns) -> Result<Self, Error> {
        let mut text = |source: &Source| Text::new(source, columns);
        Ok(Self {
            transaction_id: text(&entry.transaction_id)?,
            account_id: text(&entry.account_id)?,
            transfer_id: entry.transfer_id.as_ref().map(&mut text).transpose()?,
            direction: text(&entry.direction)?,
            amount: text(&entry.amount)?,
            currency: text(&entry.currency)?,
            counterparty_account: entry.counterparty_account.as_ref().map(&mut text).transpose()?,
            counterparty_country: entry.counterparty_country.as_ref().map(&mut text).transpose()?,
            kind: entry.kind.as_ref().map(&mut text).transpose()?,
            channel: entry.channel.as_ref().map(&mut text).transpose()?,
            booked_at: Time::new(&entry.booked_at, columns)?,
        })
    }

    /// The entry that a row makes, or why it makes none. Rules of the contract are checked here already, so that a bad row costs
    /// one line in the reject file and not a batch.
    pub(super) fn apply<'a>(
        &'a self,
        line: u64,
        cell: &dyn Fn(usize) -> &'a str,
    ) -> Result<Transaction, String> {
        let text = |source: &'a Text, field: &str| {
            source.read(line, cell).map_err(|reason| format!("{field}: {reason}"))
        };
        let optional = |source: &'a Option<Text>, field: &str| match source {
            Some(source) => text(source, field),
            None => Ok(String::new()),
        };
        let direction: Direction = spelled(&text(&self.direction, "direction")?, "direction")?;
        let kind: TransactionType = spelled_or_default(&optional(&self.kind, "type")?, "type")?;
        let channel: Channel = spelled_or_default(&optional(&self.channel, "channel")?, "channel")?;
        let booked_at = self.booked_at.read(cell).map_err(|reason| format!("booked-at: {reason}"))?;
        let transaction = Transaction {
            transaction_id: text(&self.transaction_id, "transaction-id")?,
            account_id: text(&self.account_id, "account-id")?,
            client_id: String::new(),
            transfer_id: optional(&self.transfer_id, "transfer-id")?,
            direction: direction.into(),
            amount: text(&self.amount, "amount")?,
            currency: text(&self.currency, "currency")?,
            booked_at: Some(api::time::to_proto(booked_at)),
            counterparty_account: optional(&self.counterparty_account, "counterparty-account")?,
            counterparty_country: optional(&self.counterparty_country, "counterparty-country")?,
            r#type: kind.into(),
            channel: channel.into(),
        };
        match api::validate::violations(&transaction).first() {
            None => Ok(transaction),
            Some(detail) => Err(format!("{}: {}", detail.field, detail.issue)),
        }
    }
}

/// The value of an enum, as the contract spells it.
fn spelled<E: api::Spelled>(text: &str, field: &str) -> Result<E, String> {
    E::spelled(text).ok_or_else(|| {
        let known: Vec<_> = E::ALL.iter().map(|(_, spelling)| *spelling).collect();
        format!("{field}: {text:?} is none of {}", known.join(", "))
    })
}

/// The same, where nothing may be said.
fn spelled_or_default<E: api::Spelled + Default>(text: &str, field: &str) -> Result<E, String> {
    if text.is_empty() { Ok(E::default()) } else { spelled(text, field) }
}

impl Text {
    fn new(source: &Source, columns: &mut Columns) -> Result<Self, Error> {
        let source = match source {
            Source::Constant(text) => return Ok(Self::Constant(text.clone())),
            Source::Row(source) => source.clone(),
        };
        let from = match (&source.column, source.line) {
            (Some(column), false) => From::Column(columns.position(column)?),
            (None, true) => From::Line,
            _ => return Err(Error::Mapping("a source names either a column or line = true".into())),
        };
        if source.pad > 64 {
            return Err(Error::Mapping(format!("pad = {} is more than 64", source.pad)));
        }
        Ok(Self::Row { from, source })
    }

    fn read<'a>(&self, line: u64, cell: &dyn Fn(usize) -> &'a str) -> Result<String, String> {
        let (from, source) = match self {
            Self::Constant(text) => return Ok(text.clone()),
            Self::Row { from, source } => (from, source),
        };
        let number;
        let mut value = match from {
            From::Column(position) => cell(*position).trim(),
            From::Line => {
                number = line.to_string();
                number.as_str()
            }
        };
        if value.is_empty() {
            value = &source.default;
        }
        if let Some(map) = &source.map {
            value = map.get(value).ok_or_else(|| format!("{value:?} is not among the mapped values"))?;
        }
        let mut text =
            String::with_capacity(source.prefix.len() + value.len().max(source.pad) + source.suffix.len());
        text.push_str(&source.prefix);
        if source.pad > value.len() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{:0>width$}", value, width = source.pad);
        } else {
            text.push_str(value);
        }
        text.push_str(&source.suffix);
        Ok(text)
    }
}

impl Time {
    fn new(source: &TimeSource, columns: &mut Columns) -> Result<Self, Error> {
        let steps = matches!(source.format, TimeFormat::StepDays | TimeFormat::StepHours);
        let from = match (&source.from, steps) {
            (Some(from), true) => Timestamp::parse(from).ok_or_else(|| {
                Error::Mapping(format!("from = {from:?} is not a date or an RFC 3339 time"))
            })?,
            (None, false) => Timestamp(0),
            (None, true) => return Err(Error::Mapping("steps need from = \"YYYY-MM-DD\"".into())),
            (Some(_), false) => return Err(Error::Mapping("from is for steps only".into())),
        };
        Ok(Self { column: columns.position(&source.column)?, format: source.format, from })
    }

    fn read<'a>(&self, cell: &dyn Fn(usize) -> &'a str) -> Result<Timestamp, String> {
        let text = cell(self.column).trim();
        let number = || text.parse::<i64>().map_err(|_| format!("{text:?} is not a whole number"));
        let scaled = |unit: i64| number()?.checked_mul(unit).ok_or_else(|| format!("{text} is out of range"));
        let at = match self.format {
            TimeFormat::Rfc3339 => {
                Timestamp::parse(text).ok_or_else(|| format!("{text:?} is not RFC 3339"))?
            }
            TimeFormat::EpochSeconds => Timestamp(scaled(1000)?),
            TimeFormat::EpochMillis => Timestamp(number()?),
            TimeFormat::StepDays => Timestamp(self.from.0.saturating_add(scaled(DAY_MS)?)),
            TimeFormat::StepHours => Timestamp(self.from.0.saturating_add(scaled(HOUR_MS)?)),
        };
        if (Timestamp::MIN..=Timestamp::MAX).contains(&at) {
            Ok(at)
        } else {
            Err(format!("{text} is out of range"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFER: &str = r#"
        missing-accounts = "create"
        [[entries]]
        transaction-id = { line = true, prefix = "t-", suffix = "-d" }
        account-id = { column = "from", prefix = "1", pad = 9 }
        transfer-id = { line = true, prefix = "t-" }
        direction = "debit"
        amount = { column = "value" }
        currency = { column = "ccy", default = "EUR" }
        booked-at = { column = "step", format = "step-days", from = "2026-01-01" }
        counterparty-account = { column = "to", prefix = "1", pad = 9 }
        type = { column = "kind", map = { CASH_IN = "cash", TRANSFER = "transfer" } }
    "#;

    fn apply(mapping: &str, names: &[&str], cells: &[&str]) -> Result<Transaction, String> {
        let mut columns = Columns::fixed(names.iter().map(ToString::to_string).collect());
        let compiled =
            Mapping::parse(mapping).unwrap().compile(&mut columns).map_err(|error| error.to_string())?;
        compiled[0].apply(7, &|position| cells[position])
    }

    const NAMES: &[&str] = &["from", "to", "value", "ccy", "step", "kind"];

    #[test]
    fn a_row_becomes_an_entry() {
        let entry = apply(TRANSFER, NAMES, &["280", "15349", "147.8", "", "3", "CASH_IN"]).unwrap();
        assert_eq!(entry.transaction_id, "t-7-d");
        assert_eq!(
            (entry.account_id.as_str(), entry.counterparty_account.as_str()),
            ("1000000280", "1000015349")
        );
        assert_eq!((entry.amount.as_str(), entry.currency.as_str()), ("147.8", "EUR"));
        let at = api::time::from_proto(&entry.booked_at.unwrap());
        assert_eq!(at.to_string(), "2026-01-04T00:00:00Z");
        assert_eq!(entry.r#type, i32::from(TransactionType::Cash));
    }

    #[test]
    fn a_bad_row_says_why() {
        let reason = |cells: &[&str]| apply(TRANSFER, NAMES, cells).unwrap_err();
        assert_eq!(reason(&["12345678901", "1", "1", "", "3", "CASH_IN"]), "accountId: must be 10 digits");
        assert_eq!(
            reason(&["1", "1", "-5", "", "3", "CASH_IN"]),
            "amount: must be a decimal number such as 100.00"
        );
        assert_eq!(reason(&["1", "1", "5", "", "x", "CASH_IN"]), "booked-at: \"x\" is not a whole number");
        assert_eq!(
            reason(&["1", "1", "5", "", "3", "LOAN"]),
            "type: \"LOAN\" is not among the mapped values"
        );
        assert!(reason(&["1", "1", "5", "", "9223372036854775807", "CASH_IN"]).contains("out of range"));
    }

    #[test]
    fn a_mapping_that_cannot_work_is_refused_before_the_first_row() {
        assert!(apply(TRANSFER, &["from"], &["1"]).unwrap_err().contains("no column"));
        let no_from = TRANSFER.replace(", from = \"2026-01-01\"", "");
        assert!(apply(&no_from, NAMES, &[]).unwrap_err().contains("steps need from"));
        assert!(Mapping::parse("entries = []").unwrap_err().to_string().contains("one entry or two"));
        assert!(Mapping::parse(&TRANSFER.replace("missing-accounts", "missing")).is_err());
    }

    #[test]
    fn the_natural_mapping_reads_what_generate_writes() {
        let mapping = Mapping::natural().unwrap();
        let names = [
            "transaction_id",
            "account_id",
            "transfer_id",
            "direction",
            "amount",
            "currency",
            "booked_at",
            "counterparty_account",
            "counterparty_country",
            "type",
            "channel",
            "label",
        ];
        let mut columns = Columns::fixed(names.iter().map(ToString::to_string).collect());
        let compiled = mapping.compile(&mut columns).unwrap();
        let cells = [
            "t-1",
            "1234567890",
            "",
            "debit",
            "12.50",
            "EUR",
            "2026-01-02T03:04:05Z",
            "",
            "DE",
            "card",
            "online",
            "",
        ];
        let entry = compiled[0].apply(2, &|position| cells[position]).unwrap();
        assert_eq!((entry.transaction_id.as_str(), entry.counterparty_country.as_str()), ("t-1", "DE"));
    }
}
