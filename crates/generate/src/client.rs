//! Clients: who they are, as a screening officer would record it.

use std::fmt;

use risk::{ClientProfile, ClientType, Country, Industry, time::DAY_MS};

use crate::{
    generator::Generator,
    names,
    rng::{Draw, Stream},
};

/// A client number of eight digits. (Client ids may have 1 to 12; the range leaves small numbers to people.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

impl ClientId {
    const FIRST: u64 = 10_000_001;

    pub(crate) fn of_index(index: u64) -> Self {
        Self(Self::FIRST + index)
    }

    /// As a number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A generated client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its place in the plan.
    pub index: u64,
    /// Its number.
    pub id: ClientId,
    /// An invented name, in ASCII.
    pub name: String,
    /// All that a score asks for; a few fields are unknown, as in life.
    pub profile: ClientProfile,
}

/// What transactions need to know of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Character {
    pub(crate) company: bool,
    pub(crate) home: Country,
    /// How many of a million counterparties are abroad.
    pub(crate) abroad_ppm: u32,
}

/// Where clients live: mostly in unlisted countries, a few in listed ones, hardly any under a call for action.
pub(crate) const HOMES: &[(Country, u32)] = &[
    (Country::of(b"DE"), 205),
    (Country::of(b"FR"), 130),
    (Country::of(b"NL"), 90),
    (Country::of(b"ES"), 80),
    (Country::of(b"IT"), 80),
    (Country::of(b"AT"), 60),
    (Country::of(b"BE"), 50),
    (Country::of(b"PT"), 40),
    (Country::of(b"IE"), 40),
    (Country::of(b"GB"), 50),
    (Country::of(b"CH"), 40),
    (Country::of(b"PL"), 30),
    (Country::of(b"US"), 20),
    (Country::of(b"ZA"), 12),
    (Country::of(b"AE"), 8),
    (Country::of(b"TR"), 8),
    (Country::of(b"IN"), 8),
    (Country::of(b"NA"), 14),
    (Country::of(b"BG"), 10),
    (Country::of(b"MC"), 6),
    (Country::of(b"KE"), 5),
    (Country::of(b"VN"), 5),
    (Country::of(b"LB"), 4),
    (Country::of(b"MM"), 3),
    (Country::of(b"IR"), 3),
];

/// Where money goes to and comes from abroad.
pub(crate) const ABROAD: &[(Country, u32)] = &[
    (Country::of(b"DE"), 150),
    (Country::of(b"FR"), 120),
    (Country::of(b"GB"), 120),
    (Country::of(b"NL"), 100),
    (Country::of(b"US"), 90),
    (Country::of(b"CH"), 80),
    (Country::of(b"ES"), 60),
    (Country::of(b"IT"), 60),
    (Country::of(b"PL"), 40),
    (Country::of(b"CN"), 30),
    (Country::of(b"AE"), 25),
    (Country::of(b"TR"), 25),
    (Country::of(b"HK"), 20),
    (Country::of(b"SG"), 20),
    (Country::of(b"ZA"), 15),
    (Country::of(b"IN"), 15),
    (Country::of(b"NA"), 6),
    (Country::of(b"PA"), 6),
    (Country::of(b"BG"), 5),
    (Country::of(b"VN"), 5),
    (Country::of(b"KE"), 3),
    (Country::of(b"LB"), 2),
    (Country::of(b"VG"), 2),
    (Country::of(b"MM"), 1),
];

const INDUSTRIES: &[(&str, u32)] = &[
    ("A01", 30),
    ("C10", 60),
    ("C25", 60),
    ("F41", 100),
    ("G45", 40),
    ("G46", 120),
    ("G47", 130),
    ("G4773", 10),
    ("H49", 60),
    ("I56", 110),
    ("J62", 110),
    ("K64", 20),
    ("K66", 15),
    ("L68", 60),
    ("M69", 50),
    ("M70", 70),
    ("R92", 8),
    ("S94", 20),
];

impl Generator {
    /// Client `index`, of those that the plan has.
    pub fn client(&self, index: u64) -> Client {
        let mut draw = Draw::new(self.plan().seed, Stream::Client, index);
        let character = Character::draw(&mut draw);
        let age_days = self.age_days(&mut draw);
        let elsewhere = if draw.chance(850_000) { character.home } else { draw.pick(HOMES) };
        let reviewed_days = draw.below(age_days + 1).min(draw.below(900));
        let before = |days: u64| Some(self.plan().end_ms - days as i64 * DAY_MS);
        let company = character.company;
        let profile = ClientProfile {
            client_type: Some(if company { ClientType::Company } else { ClientType::Individual }),
            residence: Some(character.home),
            nationality: (!company).then_some(elsewhere),
            incorporation: company.then_some(elsewhere),
            industry: if company { industry(draw.pick(INDUSTRIES)) } else { None },
            ownership_layers: company.then(|| draw.pick(&[(0, 55), (1, 25), (2, 12), (3, 6), (5, 2)])),
            private_banking: Some(draw.chance(if company { 20_000 } else { 40_000 })),
            onboarded_at_ms: before(age_days),
            last_reviewed_at_ms: before(reviewed_days),
        };
        // As in life, a few fields were never asked for.
        let profile = match draw.below(50) {
            0 => ClientProfile { nationality: None, incorporation: None, ..profile },
            1 => ClientProfile { industry: None, ownership_layers: None, ..profile },
            2 => ClientProfile { private_banking: None, last_reviewed_at_ms: None, ..profile },
            _ => profile,
        };
        let mut draw = Draw::new(self.plan().seed, Stream::Name, index);
        let name = if company { names::company(&mut draw) } else { names::person(&mut draw) };
        Client { index, id: ClientId::of_index(index), name, profile }
    }

    /// When client `index` was onboarded, milliseconds since the epoch: not within the plan's days.
    pub(crate) fn onboarded_at_ms(&self, index: u64) -> i64 {
        let mut draw = Draw::new(self.plan().seed, Stream::Client, index);
        Character::draw(&mut draw);
        self.plan().end_ms - self.age_days(&mut draw) as i64 * DAY_MS
    }

    /// Newer clients are more common than old ones: the product of two uniform parts of fifteen years.
    fn age_days(&self, draw: &mut Draw) -> u64 {
        u64::from(self.plan().days) + draw.below(5_475) * draw.between(1, 1_000) / 1_000
    }

    /// What transactions need to know of client `index`: the first things drawn of it.
    pub(crate) fn character(&self, index: u64) -> Character {
        Character::draw(&mut Draw::new(self.plan().seed, Stream::Client, index))
    }
}

impl Character {
    fn draw(draw: &mut Draw) -> Self {
        let company = draw.chance(250_000);
        let home = draw.pick(HOMES);
        let abroad_ppm = draw.pick(&[(10_000, 40), (40_000, 30), (120_000, 20), (350_000, 10)]);
        Self { company, home, abroad_ppm: if company { abroad_ppm * 2 } else { abroad_ppm } }
    }
}

/// Of a code of the table above, all of which are good: a test goes through them.
fn industry(code: &str) -> Option<Industry> {
    Industry::new(code).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_industry_of_the_table_is_one() {
        assert!(INDUSTRIES.iter().all(|(code, _)| industry(code).is_some()));
    }
}
