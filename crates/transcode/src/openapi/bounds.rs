//! The rules of `buf.validate` for one value, in the keywords of JSON Schema. What those cannot say is left out.

use prost_reflect::{DynamicMessage, Value as Setting};
use serde_json::{Map, Value, json};

use super::facts::{inside, set};

/// The numbers that are numbers in JSON, too.
const SMALL: [&str; 8] = ["float", "double", "int32", "uint32", "sint32", "fixed32", "sfixed32", "bool"];
/// The numbers that proto3 JSON writes as texts.
const LARGE: [&str; 5] = ["int64", "uint64", "sint64", "fixed64", "sfixed64"];
/// Formats by the rule that asks for them.
const FORMATS: [(&str, &str); 9] = [
    ("email", "email"),
    ("hostname", "hostname"),
    ("ipv4", "ipv4"),
    ("ipv6", "ipv6"),
    ("uri", "uri"),
    ("uri_ref", "uri-reference"),
    ("uuid", "uuid"),
    ("ulid", "ulid"),
    ("address", "hostname"),
];

/// The keywords for a field's rules. `numbers`: 64-bit integers are numbers in JSON.
pub(super) fn of(rules: &DynamicMessage, numbers: bool) -> Map<String, Value> {
    if let Some(rules) = inside(rules, "string") {
        return text(&rules);
    }
    if let Some(rules) = inside(rules, "bytes") {
        return bytes(&rules);
    }
    let large = LARGE.iter().filter(|_| numbers);
    let found = SMALL.iter().chain(large).find_map(|kind| inside(rules, kind));
    found.map(|rules| number(&rules)).unwrap_or_default()
}

fn number(rules: &DynamicMessage) -> Map<String, Value> {
    let mut bounds = same(rules);
    for (rule, keyword) in
        [("gte", "minimum"), ("lte", "maximum"), ("gt", "exclusiveMinimum"), ("lt", "exclusiveMaximum")]
    {
        if let Some(value) = set(rules, rule).and_then(|value| json_of(&value)) {
            bounds.insert(keyword.into(), value);
        }
    }
    // An upper bound below the lower one asks for what is outside: two ranges, which these keywords cannot say.
    let bound = |keywords: [&str; 2]| keywords.iter().find_map(|keyword| bounds.get(*keyword)?.as_f64());
    let (low, high) = (bound(["minimum", "exclusiveMinimum"]), bound(["maximum", "exclusiveMaximum"]));
    if low.zip(high).is_some_and(|(low, high)| high < low) {
        bounds.retain(|keyword, _| !keyword.to_ascii_lowercase().ends_with("imum"));
    }
    bounds
}

fn text(rules: &DynamicMessage) -> Map<String, Value> {
    let mut bounds = same(rules);
    for (rule, keywords) in
        [("len", &["minLength", "maxLength"][..]), ("min_len", &["minLength"]), ("max_len", &["maxLength"])]
    {
        if let Some(length) = set(rules, rule).and_then(|length| length.as_u64()) {
            bounds.extend(keywords.iter().map(|keyword| ((*keyword).to_owned(), json!(length))));
        }
    }
    let own = |rule| set(rules, rule).and_then(|text| text.as_str().map(str::to_owned));
    let pattern = own("pattern")
        .filter(|pattern| is_portable(pattern))
        .or_else(|| own("prefix").map(|text| format!("^{}", escaped(&text))))
        .or_else(|| own("suffix").map(|text| format!("{}$", escaped(&text))))
        .or_else(|| own("contains").map(|text| escaped(&text)));
    bounds.extend(pattern.map(|pattern| ("pattern".to_owned(), json!(pattern))));
    let asked = |rule| set(rules, rule).and_then(|flag| flag.as_bool()).unwrap_or(false);
    let format = FORMATS.iter().find(|(rule, _)| asked(rule));
    bounds.extend(format.map(|(_, format)| ("format".to_owned(), json!(format))));
    bounds
}

fn bytes(rules: &DynamicMessage) -> Map<String, Value> {
    let most = set(rules, "len").or_else(|| set(rules, "max_len")).and_then(|length| length.as_u64());
    // In base64 every three bytes are four characters, with padding.
    let most = most.and_then(|most| most.div_ceil(3).checked_mul(4));
    most.map(|most| ("maxLength".to_owned(), json!(most))).into_iter().collect()
}

/// What all kinds have: one value, or some.
fn same(rules: &DynamicMessage) -> Map<String, Value> {
    let mut bounds = Map::new();
    let list = |rule| {
        let list: Vec<Value> = set(rules, rule)?.as_list()?.iter().filter_map(json_of).collect();
        (!list.is_empty()).then_some(list)
    };
    bounds.extend(set(rules, "const").and_then(|v| json_of(&v)).map(|value| ("const".to_owned(), value)));
    bounds.extend(list("in").map(|list| ("enum".to_owned(), json!(list))));
    bounds.extend(list("not_in").map(|list| ("not".to_owned(), json!({ "enum": list }))));
    bounds
}

fn json_of(value: &Setting) -> Option<Value> {
    Some(match value {
        Setting::Bool(value) => json!(value),
        Setting::I32(value) => json!(value),
        Setting::I64(value) => json!(value),
        Setting::U32(value) => json!(value),
        Setting::U64(value) => json!(value),
        Setting::F32(value) if value.is_finite() => json!(value),
        Setting::F64(value) if value.is_finite() => json!(value),
        Setting::String(value) => json!(value),
        _ => return None,
    })
}

/// Whether a pattern of RE2 is one of ECMAScript that means the same, as JSON Schema has them.
fn is_portable(pattern: &str) -> bool {
    let group = pattern.match_indices("(?").all(|(at, _)| pattern[at..].starts_with("(?:"));
    group
        && !["\\A", "\\z", "\\Q", "\\C", "\\a", "[[:", "\\pN", "\\pL"].iter().any(|own| pattern.contains(own))
}

/// A text as the pattern that matches it.
pub(super) fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if "\\^$.|?*+()[]{}/".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// A pattern that the empty text matches as well.
pub(super) fn or_empty(pattern: &str) -> String {
    let whole = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix('$'));
    match whole.filter(|inside| !inside.contains('|') && !inside.ends_with('\\')) {
        Some(inside) => format!("^({inside})?$"),
        None => format!("^$|{pattern}"),
    }
}

/// Bounds of a number that 0 fits as well.
pub(super) fn or_zero(bounds: Map<String, Value>) -> Map<String, Value> {
    let bound = |keyword: &str| bounds.get(keyword).and_then(Value::as_f64);
    let listed = |keyword: &str| bounds.get(keyword).and_then(Value::as_array);
    let holds_zero = |values: &[Value]| values.iter().any(|value| value.as_f64() == Some(0.0));
    let fits = bound("minimum").is_none_or(|least| least <= 0.0)
        && bound("maximum").is_none_or(|most| most >= 0.0)
        && bound("exclusiveMinimum").is_none_or(|least| least < 0.0)
        && bound("exclusiveMaximum").is_none_or(|most| most > 0.0)
        && bound("const").is_none_or(|value| value == 0.0)
        && listed("enum").is_none_or(|values| holds_zero(values))
        && bounds.get("not").and_then(|not| not["enum"].as_array()).is_none_or(|values| !holds_zero(values));
    if fits {
        return bounds;
    }
    Map::from_iter([("anyOf".to_owned(), json!([{ "const": 0 }, bounds]))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_within_bounds_that_start_above_it() {
        let bounds = |value: Value| value.as_object().cloned().unwrap_or_default();
        let some = bounds(json!({ "minimum": 1, "maximum": 9 }));
        assert_eq!(Value::from(or_zero(some.clone())), json!({ "anyOf": [{ "const": 0 }, some] }));
        let any = bounds(json!({ "minimum": 0, "exclusiveMaximum": 2 }));
        assert_eq!(or_zero(any.clone()), any);
    }

    #[test]
    fn a_pattern_takes_nothing_as_well() {
        assert_eq!(or_empty("^[A-Z]{2}$"), "^([A-Z]{2})?$");
        assert_eq!(or_empty("^a|b$"), "^$|^a|b$");
        assert_eq!(or_empty("a"), "^$|a");
    }

    #[test]
    fn patterns_that_mean_something_else_elsewhere_are_left_out() {
        assert!(is_portable("^(?:a|b)[0-9]$") && is_portable("^\\p{L}+$"));
        assert!(!is_portable("(?i)abc") && !is_portable("\\Aabc\\z") && !is_portable("[[:alpha:]]"));
        assert_eq!(escaped("a.b"), "a\\.b");
    }
}
