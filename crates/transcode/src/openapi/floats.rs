//! Floating-point numbers. JSON has none that are not finite: proto3 JSON writes those as texts.

use prost_reflect::{DynamicMessage, Value as Setting};
use serde_json::{Map, Value, json};

use super::facts::set;

/// How proto3 JSON writes what is no number of JSON.
const TEXTS: [(&str, f64); 3] =
    [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// Which of the texts the rules of `buf.validate` for a number let through.
pub(super) fn texts(rules: Option<&DynamicMessage>) -> Vec<&'static str> {
    let fits = |value| rules.is_none_or(|rules| fits(rules, value));
    TEXTS.into_iter().filter(|(_, value)| fits(*value)).map(|(text, _)| text).collect()
}

/// The schema of a number, and of the texts that may stand in its place.
pub(super) fn or_texts(number: Map<String, Value>, texts: &[&str]) -> Map<String, Value> {
    if texts.is_empty() {
        return number;
    }
    Map::from_iter([("anyOf".to_owned(), json!([number, { "type": "string", "enum": texts }]))])
}

fn fits(rules: &DynamicMessage, value: f64) -> bool {
    let number = |setting: &Setting| setting.as_f64().or_else(|| setting.as_f32().map(f64::from));
    let bound = |rule| set(rules, rule).as_ref().and_then(number);
    let listed = |rule| -> Vec<f64> {
        let list = set(rules, rule);
        list.as_ref().and_then(Setting::as_list).unwrap_or_default().iter().filter_map(number).collect()
    };
    if set(rules, "finite").and_then(|finite| finite.as_bool()).unwrap_or(false)
        || listed("not_in").contains(&value)
    {
        return false;
    }
    let only: Vec<f64> = bound("const").into_iter().chain(listed("in")).collect();
    if !only.is_empty() && !only.contains(&value) {
        return false;
    }
    let (gt, gte, lt, lte) = (bound("gt"), bound("gte"), bound("lt"), bound("lte"));
    let above = gt.is_none_or(|bound| value > bound) && gte.is_none_or(|bound| value >= bound);
    let below = lt.is_none_or(|bound| value < bound) && lte.is_none_or(|bound| value <= bound);
    // An upper bound below the lower one asks for what is outside.
    match gt.or(gte).zip(lt.or(lte)) {
        Some((low, high)) if high < low => above || below,
        _ => above && below,
    }
}
