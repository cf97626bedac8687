//! Names that nobody has: syllables put together.

use crate::rng::Draw;

const GIVEN: [&str; 24] = [
    "Al", "Bre", "Cor", "Dal", "El", "Fen", "Gar", "Hel", "Ira", "Jor", "Kal", "Lor", "Mar", "Nel", "Ori",
    "Pel", "Quin", "Ros", "Sel", "Tam", "Ul", "Ver", "Wil", "Yan",
];
const GIVEN_END: [&str; 16] = [
    "ando", "bira", "dric", "eno", "fina", "gar", "iko", "lia", "mond", "nessa", "olin", "ric", "sanne",
    "tova", "vin", "ya",
];
const FAMILY: [&str; 24] = [
    "Ashen", "Bram", "Calder", "Dorn", "Ebers", "Farrow", "Grims", "Holm", "Istrel", "Jarn", "Keld", "Lund",
    "Morven", "Nord", "Oster", "Pell", "Quarn", "Raven", "Stell", "Thorn", "Ulm", "Vander", "Wester",
    "Yarrow",
];
const FAMILY_END: [&str; 16] = [
    "berg", "by", "dahl", "den", "er", "feld", "gard", "hart", "ik", "ling", "man", "nes", "ov", "rup",
    "sen", "wick",
];
const TRADE: [&str; 12] = [
    "Trading",
    "Logistics",
    "Holding",
    "Consulting",
    "Foods",
    "Textiles",
    "Marine",
    "Energy",
    "Capital",
    "Systems",
    "Property",
    "Motors",
];
const FORM: [&str; 6] = ["GmbH", "Ltd", "SA", "BV", "Inc", "(Pty) Ltd"];

fn one_of<'a>(draw: &mut Draw, of: &[&'a str]) -> &'a str {
    of[draw.below(of.len() as u64) as usize]
}

/// A given name and a family name.
pub(crate) fn person(draw: &mut Draw) -> String {
    let given = (one_of(draw, &GIVEN), one_of(draw, &GIVEN_END));
    let family = (one_of(draw, &FAMILY), one_of(draw, &FAMILY_END));
    format!("{}{} {}{}", given.0, given.1, family.0, family.1)
}

/// A family name, a trade and a legal form.
pub(crate) fn company(draw: &mut Draw) -> String {
    let family = (one_of(draw, &FAMILY), one_of(draw, &FAMILY_END));
    format!("{}{} {} {}", family.0, family.1, one_of(draw, &TRADE), one_of(draw, &FORM))
}
