//! One entry of one account: the atom that every state, typology and score is made of.
//!
//! A transfer between two accounts is two entries that share a [`TransferId`], each with an id of its own. Values are
//! checked where they are made ([`Amount::new`], [`AccountId::new`], …), so nothing downstream can meet a bad one.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Invalid,
    code::{Country, Currency},
    text::{Counterparty, EntryId, TransferId},
    time::Hour,
};

/// A ten-digit account number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    /// The largest number that has ten digits.
    pub const MAX: u64 = 9_999_999_999;
    const INVALID: Invalid = Invalid { field: "accountId", expected: "10 digits" };

    /// Takes a number of at most ten digits.
    pub fn new(number: u64) -> Result<Self, Invalid> {
        if number > Self::MAX { Err(Self::INVALID) } else { Ok(Self(number)) }
    }

    /// Takes exactly ten digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() != 10 {
            return Err(Self::INVALID);
        }
        text.bytes()
            .try_fold(0_u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
            .map(Self)
            .ok_or(Self::INVALID)
    }

    /// As a number; leading zeros are in [`Display`](fmt::Display).
    pub fn number(self) -> u64 {
        self.0
    }

    /// As others name it whose payments go there or come from there.
    pub fn party(self) -> Counterparty {
        let mut digits = [b'0'; 10];
        let mut rest = self.0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Counterparty::of_digits(&digits)
    }
}

impl Counterparty {
    /// The account of ours that it names: one of ten digits may be one, nothing else can.
    pub fn account(&self) -> Option<AccountId> {
        AccountId::parse(self.as_str()).ok()
    }
}

impl std::str::FromStr for AccountId {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A positive amount in minor units of its entry's currency, at most 10^15: squares of it sum in 128 bits without care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// The largest amount, in minor units.
    pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

    /// Takes 1 to [`Self::MAX_MINOR`] minor units.
    pub fn new(minor: i64) -> Result<Self, Invalid> {
        if (1..=Self::MAX_MINOR).contains(&minor) {
            Ok(Self(minor))
        } else {
            Err(Invalid { field: "amount", expected: "more than 0 and at most 10^15 minor units" })
        }
    }

    /// The nearest amount that there is.
    pub fn clamped(minor: i64) -> Self {
        Self(minor.clamp(1, Self::MAX_MINOR))
    }

    /// In minor units.
    pub fn minor(self) -> i64 {
        self.0
    }
}

macro_rules! tag_type {
    ($(#[$doc:meta])* $name:ident ($field:literal, $expected:literal) { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All of them, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its stable place: index of arrays, code in encodings.
            pub fn index(self) -> usize {
                self as usize
            }

            /// Its stable name in files.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| one.as_str() == text)
                    .ok_or(Invalid { field: $field, expected: $expected })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

tag_type!(
    /// Which way the money went, seen from the account.
    Direction("direction", "debit or credit") {
        /// Out of the account.
        Debit = "debit",
        /// Into the account.
        Credit = "credit",
    }
);
tag_type!(
    /// What kind of movement it was.
    Kind("type", "cash, transfer, card, direct_debit, fee or crypto") {
        /// Notes and coins, paid in or out.
        Cash = "cash",
        /// A credit transfer to or from another account.
        Transfer = "transfer",
        /// A card payment.
        Card = "card",
        /// A debit that the other side collected.
        DirectDebit = "direct_debit",
        /// The institution's own charge.
        Fee = "fee",
        /// Bought from, sold to or sent to a crypto-asset service.
        Crypto = "crypto",
    }
);
tag_type!(
    /// How the order reached the institution.
    Channel("channel", "branch, atm, online, mobile or intermediary") {
        /// Face to face.
        Branch = "branch",
        /// A cash machine.
        Atm = "atm",
        /// A browser.
        Online = "online",
        /// An app.
        Mobile = "mobile",
        /// Through an agent, introducer or other third party.
        Intermediary = "intermediary",
    }
);

/// One account's entry. Ordered by (time, id): the order in which the order-dependent rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When it was booked, milliseconds since the epoch, UTC.
    pub at_ms: i64,
    /// Unique in the tenant; the key of deduplication.
    pub id: EntryId,
    /// Whose entry this is.
    pub account: AccountId,
    /// Shared by the two entries of a transfer between our accounts.
    pub transfer_id: Option<TransferId>,
    /// Out of or into the account.
    pub direction: Direction,
    /// In minor units of `currency`.
    pub amount: Amount,
    /// The entry's own currency.
    pub currency: Currency,
    /// The other side, where there is one and it is known.
    pub counterparty: Option<Counterparty>,
    /// Where the other side is, where that is known.
    pub counterparty_country: Option<Country>,
    /// What kind of movement.
    pub kind: Kind,
    /// How it was ordered, where that is known.
    pub channel: Option<Channel>,
}

impl Entry {
    /// The UTC hour it belongs to.
    pub fn hour(&self) -> Hour {
        Hour::of(self.at_ms)
    }

    /// The key of the canonical order.
    pub fn key(&self) -> (i64, EntryId) {
        (self.at_ms, self.id)
    }
}

/// The set that a sequence of entries stands for: each id once, in the order of (time, id).
///
/// Repeats are dropped. Should one id come with different contents, the least one in [`Entry`]'s order stays: a rule that
/// does not depend on the order of arrival.
pub fn canonical<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a Entry> {
    let mut set: Vec<&Entry> = entries.into_iter().collect();
    if is_canonical(&set) {
        return set;
    }
    set.sort_unstable_by(|a, b| a.id.cmp(&b.id).then_with(|| a.cmp(b)));
    set.dedup_by(|later, first| later.id == first.id);
    set.sort_unstable();
    set
}

/// Whether nothing is to be done, which is the common case: in order, and no id twice.
fn is_canonical(entries: &[&Entry]) -> bool {
    let in_order = |a: &&Entry, b: &&Entry| a.at_ms < b.at_ms || (a.at_ms == b.at_ms && a.id < b.id);
    entries.is_sorted_by(in_order) && are_different(entries.iter().map(|entry| entry.id.tag()))
}

/// Whether all tags are surely different. They are put into a table twice their number; two ids that share one, or too many that want
/// the same place, cost a sort, no more.
fn are_different(tags: impl ExactSizeIterator<Item = u64>) -> bool {
    const MOST_PROBES: usize = 64;
    if tags.len() < 2 {
        return true;
    }
    let places = (2 * tags.len()).next_power_of_two();
    let mut table = vec![0_u64; places];
    'tags: for tag in tags {
        let tag = tag | 1;
        let first = (tag >> (u64::BITS - places.trailing_zeros())) as usize;
        for probe in 0..MOST_PROBES {
            let place = &mut table[(first + probe) & (places - 1)];
            if *place == 0 {
                *place = tag;
                continue 'tags;
            }
            if *place == tag {
                return false;
            }
        }
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing;

    #[test]
    fn account_ids_are_ten_digits() {
        assert_eq!(AccountId::parse("0000000042").unwrap().to_string(), "0000000042");
        for bad in ["", "42", "12345678901", "12345 6789", "+123456789", "１２３４"] {
            assert_eq!(AccountId::parse(bad).unwrap_err().to_string(), "accountId must be 10 digits");
        }
        assert!(AccountId::new(AccountId::MAX + 1).is_err());
    }

    #[test]
    fn amounts_are_positive_and_capped() {
        assert!(Amount::new(0).is_err());
        assert!(Amount::new(-1).is_err());
        assert!(Amount::new(Amount::MAX_MINOR + 1).is_err());
        assert_eq!(Amount::new(Amount::MAX_MINOR).unwrap().minor(), Amount::MAX_MINOR);
    }

    #[test]
    fn names_of_tags_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>().unwrap(), *kind);
            assert_eq!(Kind::ALL[kind.index()], *kind);
        }
        assert!("Cash".parse::<Kind>().is_err());
    }

    #[test]
    fn tags_are_different_if_none_is_repeated() {
        let spread = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for n in [0, 1, 2, 3, 64, 1_000] {
            assert!(are_different((0..n as usize).map(|n| spread(n as u64))), "{n}");
            if n > 1 {
                assert!(!are_different((0..n as usize).map(|at| spread(at as u64 % (n - 1)))), "{n}");
            }
        }
        // All want one place: not told apart, but in few steps.
        assert!(!are_different((0..1_000_usize).map(|n| n as u64 * 2)));
        assert!(are_different((0..10_usize).map(|n| n as u64 * 2)));
    }

    #[test]
    fn a_repeated_id_stays_once_whatever_the_order_of_arrival() {
        let first = testing::entry("a", 1_000);
        let other = Entry { at_ms: 5_000, ..first };
        let next = testing::entry("b", 500);
        let expected = vec![&next, &first];
        assert_eq!(canonical([&first, &other, &next, &first]), expected);
        assert_eq!(canonical([&next, &other, &first]), expected);
    }
}
