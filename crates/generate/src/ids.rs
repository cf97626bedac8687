//! Ids of generated things.
#![expect(
    clippy::expect_used,
    reason = "made of digits and letters of known length right here: they cannot be refused"
)]

use risk::{AccountId, Counterparty, Country, EntryId, TransferId};

use crate::rng::Draw;

/// Which side of a transfer an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Only,
    Debit,
    Credit,
}

/// The part that ids of one plan share: a letter and eight hex digits of the plan's fingerprint, so that plans loaded side
/// by side do not take each other's entries for repeats.
pub(crate) type Prefix = [u8; 10];

pub(crate) fn prefix(fingerprint: u64) -> Prefix {
    let text = format!("G{:08x}-", fingerprint >> 32);
    text.as_bytes().try_into().expect("a letter, eight digits and a dash")
}

/// `G0123abcd-000000000042`, with `-D` or `-C` for a side of a transfer: written by hand, as it is done once a row.
fn text(prefix: Prefix, index: u64, side: Side, use_it: impl FnOnce(&str)) {
    let mut bytes = *b"G00000000-000000000000-D";
    bytes[..10].copy_from_slice(&prefix);
    let mut rest = index;
    for digit in bytes[10..22].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let len = match side {
        Side::Only => 22,
        Side::Debit => 24,
        Side::Credit => {
            bytes[23] = b'C';
            24
        }
    };
    use_it(std::str::from_utf8(&bytes[..len]).expect("ASCII"));
}

pub(crate) fn entry(prefix: Prefix, index: u64, side: Side) -> EntryId {
    let mut id = None;
    text(prefix, index, side, |text| id = EntryId::new(text).ok());
    id.expect("24 letters, digits and dashes at most")
}

pub(crate) fn transfer(prefix: Prefix, index: u64) -> TransferId {
    let mut id = None;
    text(prefix, index, Side::Only, |text| id = TransferId::new(text).ok());
    id.expect("22 letters, digits and dashes")
}

/// An account number: below 10^10 by construction.
pub(crate) fn account(number: u64) -> AccountId {
    AccountId::new(number).expect("ten digits")
}

/// One of our accounts as somebody's counterparty.
pub(crate) fn own(account: AccountId) -> Counterparty {
    let mut digits = [0; 10];
    let mut rest = account.number();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    Counterparty::new(std::str::from_utf8(&digits).expect("ASCII")).expect("ten digits")
}

/// An account elsewhere, in the look of an IBAN. Its check digits are 00, which no real one has.
pub(crate) fn foreign(country: Country, draw: &mut Draw) -> Counterparty {
    let mut text = *b"XX00000000000000000000";
    text[..2].copy_from_slice(country.as_bytes());
    let mut rest = draw.next();
    for digit in &mut text[4..] {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    Counterparty::new(std::str::from_utf8(&text).expect("ASCII")).expect("22 letters and digits")
}
