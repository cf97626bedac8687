//! CSV and NDJSON, in the columns that our import takes as they are.
//!
//! Amounts are decimals with the currency's places, times RFC 3339 in UTC with milliseconds, days `YYYY-MM-DD`. What is not
//! known is an empty field, or an absent key. No value needs quoting or escaping: all are letters, digits and a few marks, and
//! names are ASCII without quotes or commas.

use std::{io, marker::PhantomData};

use risk::{Channel, ClientType, Counterparty, Country, Currency, Entry, Industry, TransferId, time::Day};

use crate::{Account, Client, ClientId, Instrument, Price, Trade, Transaction};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180 with a header line; lines end in `\n`.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// Something that can be written as rows.
pub trait Record {
    /// Its columns, in their order.
    const COLUMNS: &'static [&'static str];

    /// Puts its rows.
    fn put(&self, sheet: &mut Sheet);
}

const BUFFER: usize = 1 << 16;

/// Writes records of one kind. [`Self::finish`] writes what is still held; dropping the writer instead loses it.
pub struct Writer<R, W> {
    out: W,
    sheet: Sheet,
    records: PhantomData<fn(&R)>,
}

impl<R: Record, W: io::Write> Writer<R, W> {
    /// Starts with the header, where the format has one.
    pub fn new(out: W, format: Format) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + 4_096);
        if format == Format::Csv {
            buffer.extend_from_slice(R::COLUMNS.join(",").as_bytes());
            buffer.push(b'\n');
        }
        let sheet =
            Sheet { format, columns: R::COLUMNS, buffer, column: 0, day: (Day::of(0), *b"1970-01-01") };
        Self { out, sheet, records: PhantomData }
    }

    /// Writes a record.
    pub fn write(&mut self, record: &R) -> io::Result<()> {
        record.put(&mut self.sheet);
        if self.sheet.buffer.len() >= BUFFER { self.pass_on() } else { Ok(()) }
    }

    /// Writes what is still held, and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.pass_on()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.sheet.buffer)?;
        self.sheet.buffer.clear();
        Ok(())
    }
}

/// Rows in the making: every field is put in the order of the columns, the unknown ones too.
pub struct Sheet {
    format: Format,
    columns: &'static [&'static str],
    buffer: Vec<u8>,
    column: usize,
    /// The day that was written last, and how: rows are mostly of the same day.
    day: (Day, [u8; 10]),
}

impl Sheet {
    /// Puts what comes before a field; quotes are for JSON alone.
    fn open(&mut self, quote: &str) {
        match self.format {
            Format::Csv => self.separate(),
            Format::Ndjson => {
                // An absent first key leaves no trace: what tells is whether the object is open.
                let first = self.buffer.last().is_none_or(|last| *last == b'\n');
                self.buffer.extend_from_slice(if first { b"{\"" } else { b",\"" });
                self.buffer.extend_from_slice(self.columns[self.column].as_bytes());
                self.buffer.extend_from_slice(b"\":");
                self.buffer.extend_from_slice(quote.as_bytes());
            }
        }
        self.column += 1;
    }

    fn separate(&mut self) {
        if self.column > 0 {
            self.buffer.push(b',');
        }
    }

    /// Puts text; in JSON between quotes.
    fn bytes(&mut self, text: &[u8]) {
        self.open("\"");
        self.buffer.extend_from_slice(text);
        if self.format == Format::Ndjson {
            self.buffer.push(b'"');
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Puts text that may be unknown.
    fn option(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            return self.text(text);
        }
        if self.format == Format::Csv {
            self.separate();
        }
        self.column += 1;
    }

    /// Puts a number or a boolean: no quotes in JSON either.
    fn bare(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.open("");
                self.buffer.extend_from_slice(text.as_bytes());
            }
            None => self.option(None),
        }
    }

    /// Puts a number of ten digits, leading zeros and all.
    fn ten_digits(&mut self, number: u64) {
        let mut digits = [b'0'; 10];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.bytes(&digits);
    }

    /// Puts minor units as a decimal, in JSON a string: amounts are never floating-point numbers.
    fn amount(&mut self, minor: i64, currency: Currency) {
        let unit = 10_u64.pow(currency.exponent());
        let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        self.open("\"");
        self.buffer.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        if unit > 1 {
            self.buffer.push(b'.');
            let mut place = unit / 10;
            while place > 0 {
                self.buffer.push(b'0' + (part / place % 10) as u8);
                place /= 10;
            }
        }
        if self.format == Format::Ndjson {
            self.buffer.push(b'"');
        }
    }

    /// Puts ten-thousandths as a decimal, in JSON a string.
    fn ten_thousandths(&mut self, number: u64) {
        self.text(&format!("{}.{:04}", number / 10_000, number % 10_000));
    }

    fn day_text(&mut self, at_ms: i64) -> [u8; 10] {
        let day = Day::of(at_ms);
        if self.day.0 != day {
            let (year, month, date) = day.civil();
            let mut text = *b"0000-00-00";
            let mut put = |at: std::ops::Range<usize>, mut number: u32| {
                for digit in text[at].iter_mut().rev() {
                    *digit = b'0' + (number % 10) as u8;
                    number /= 10;
                }
            };
            put(0..4, year.unsigned_abs());
            put(5..7, month);
            put(8..10, date);
            self.day = (day, text);
        }
        self.day.1
    }

    /// Puts a day that may be unknown.
    fn day(&mut self, at_ms: Option<i64>) {
        match at_ms {
            Some(at_ms) => {
                let text = self.day_text(at_ms);
                self.bytes(&text);
            }
            None => self.option(None),
        }
    }

    /// Puts an instant.
    fn instant(&mut self, at_ms: i64) {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        text[..10].copy_from_slice(&self.day_text(at_ms));
        let of_day = at_ms.rem_euclid(risk::time::DAY_MS) as u32;
        let parts = [
            (13, of_day / 3_600_000, 2),
            (16, of_day / 60_000 % 60, 2),
            (19, of_day / 1_000 % 60, 2),
            (23, of_day % 1_000, 3),
        ];
        for (end, mut number, digits) in parts {
            for digit in text[end - digits..end].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        self.bytes(&text);
    }

    fn end_row(&mut self) {
        debug_assert_eq!(self.column, self.columns.len(), "every column is put");
        self.buffer.extend_from_slice(if self.format == Format::Csv { b"\n" } else { b"}\n" });
        self.column = 0;
    }
}

impl Record for Transaction {
    const COLUMNS: &'static [&'static str] = &[
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

    /// A row for each entry.
    fn put(&self, sheet: &mut Sheet) {
        let label = self.label.map(|label| label.to_string());
        for entry in self.entries() {
            put_entry(sheet, entry, label.as_deref());
        }
    }
}

fn put_entry(sheet: &mut Sheet, entry: &Entry, label: Option<&str>) {
    sheet.text(entry.id.as_str());
    sheet.ten_digits(entry.account.number());
    sheet.option(entry.transfer_id.as_ref().map(TransferId::as_str));
    sheet.text(entry.direction.as_str());
    sheet.amount(entry.amount.minor(), entry.currency);
    sheet.text(entry.currency.as_str());
    sheet.instant(entry.at_ms);
    sheet.option(entry.counterparty.as_ref().map(Counterparty::as_str));
    sheet.option(entry.counterparty_country.as_ref().map(Country::as_str));
    sheet.text(entry.kind.as_str());
    sheet.option(entry.channel.map(Channel::as_str));
    sheet.option(label);
    sheet.end_row();
}

impl Record for Account {
    const COLUMNS: &'static [&'static str] = &["account_id", "client_id", "currency", "status", "opened_on"];

    fn put(&self, sheet: &mut Sheet) {
        sheet.ten_digits(self.id.number());
        sheet.text(&ClientId::of_index(self.client).to_string());
        sheet.text(self.currency.as_str());
        sheet.text(self.status.as_str());
        sheet.day(Some(self.opened_at_ms));
        sheet.end_row();
    }
}

impl Record for Client {
    const COLUMNS: &'static [&'static str] = &[
        "client_id",
        "name",
        "type",
        "residence",
        "nationality",
        "incorporation",
        "industry",
        "ownership_layers",
        "private_banking",
        "onboarded_on",
        "last_reviewed_on",
    ];

    fn put(&self, sheet: &mut Sheet) {
        let profile = &self.profile;
        sheet.text(&self.id.to_string());
        sheet.text(&self.name);
        sheet.option(profile.client_type.map(|one| match one {
            ClientType::Individual => "individual",
            ClientType::Company => "company",
        }));
        sheet.option(profile.residence.as_ref().map(Country::as_str));
        sheet.option(profile.nationality.as_ref().map(Country::as_str));
        sheet.option(profile.incorporation.as_ref().map(Country::as_str));
        sheet.option(profile.industry.as_ref().map(Industry::as_str));
        sheet.bare(profile.ownership_layers.map(|layers| layers.to_string()).as_deref());
        sheet.bare(profile.private_banking.map(|uses| if uses { "true" } else { "false" }));
        sheet.day(profile.onboarded_at_ms);
        sheet.day(profile.last_reviewed_at_ms);
        sheet.end_row();
    }
}

impl Record for Instrument {
    const COLUMNS: &'static [&'static str] = &["instrument_id", "name", "currency", "country", "sector"];

    fn put(&self, sheet: &mut Sheet) {
        sheet.text(&self.id);
        sheet.text(&self.name);
        sheet.text(self.currency.as_str());
        sheet.text(self.country.as_str());
        sheet.text(self.sector);
        sheet.end_row();
    }
}

impl Record for Price {
    const COLUMNS: &'static [&'static str] = &["instrument_id", "date", "price", "currency"];

    fn put(&self, sheet: &mut Sheet) {
        sheet.text(&self.instrument);
        sheet.day(Some(self.day.start_ms()));
        sheet.ten_thousandths(self.price);
        sheet.text(self.currency.as_str());
        sheet.end_row();
    }
}

impl Record for Trade {
    const COLUMNS: &'static [&'static str] = &[
        "portfolio_id",
        "trade_id",
        "instrument_id",
        "side",
        "quantity",
        "price",
        "currency",
        "counterparty_id",
        "executed_at",
    ];

    fn put(&self, sheet: &mut Sheet) {
        sheet.text(&self.portfolio);
        sheet.text(&self.id);
        sheet.text(&self.price.instrument);
        sheet.text(if self.buy { "buy" } else { "sell" });
        sheet.text(&self.quantity.to_string());
        sheet.ten_thousandths(self.price.price);
        sheet.text(self.price.currency.as_str());
        sheet.option(self.counterparty.as_deref());
        sheet.instant(self.at_ms);
        sheet.end_row();
    }
}
