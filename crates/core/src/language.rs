//! Language tags (BCP 47) of languages that there are.

use crate::country::is_country;
use isolang::Language;

/// What ISO 639-3 has for no language, an unknown one, or several.
const NONE: [&str; 4] = ["mis", "mul", "und", "zxx"];

/// Whether a tag names a language of ISO 639, by the shorter of its codes where it has two, and after that, where it says more, first a
/// script, then a country or the number of a region, then variants. Scripts, regions by number and variants are known by their form.
pub fn is_language(tag: &str) -> bool {
    let mut subtags = tag.split('-').peekable();
    if !subtags.next().is_some_and(is_code) {
        return false;
    }
    subtags.next_if(|subtag| is_script(subtag));
    subtags.next_if(|subtag| is_region(subtag));
    subtags.all(is_variant)
}

fn is_code(code: &str) -> bool {
    match code.len() {
        2 => Language::from_639_1(code).is_some(),
        3 if NONE.contains(&code) => false,
        3 => Language::from_639_3(code).is_some_and(|language| language.to_639_1().is_none()),
        _ => false,
    }
}

/// `Latn`.
fn is_script(subtag: &str) -> bool {
    let letters = subtag.as_bytes();
    matches!(letters, [b'A'..=b'Z', rest @ ..] if rest.len() == 3 && rest.iter().all(u8::is_ascii_lowercase))
}

/// `AT`, `419`.
fn is_region(subtag: &str) -> bool {
    is_country(subtag) || (subtag.len() == 3 && subtag.bytes().all(|c| c.is_ascii_digit()))
}

/// `1996`, `valencia`.
fn is_variant(subtag: &str) -> bool {
    let alphanumeric = subtag.bytes().all(|c| c.is_ascii_alphanumeric());
    let year = subtag.len() == 4 && subtag.starts_with(|c: char| c.is_ascii_digit());
    alphanumeric && (year || (5..=8).contains(&subtag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_languages_and_places_that_there_are() {
        for good in
            ["de", "de-AT", "gsw", "zh-Hant-TW", "sr-Latn", "es-419", "de-CH-1996", "ca-valencia", "fil-PH"]
        {
            assert!(is_language(good), "{good}");
        }
        for bad in [
            "",
            "xx",
            "zz-AT",
            "qqq",
            "deu",
            "DE",
            "de-",
            "de-XX",
            "de-at",
            "de-AT-Latn",
            "de_AT",
            "d",
            "english",
            "und",
            "de-AT-x",
            "de-AT-AT",
        ] {
            assert!(!is_language(bad), "{bad}");
        }
    }
}
