//! What a benchmark says: one measurement a line, as JSON for machines or aligned for people.

use serde_json::{Map, Value, json};
use std::io::Write as _;

/// A measurement, and the goal that it is held against if there is one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measurement {
    case: &'static str,
    /// What is wanted, and whether it is so.
    goal: Option<(String, bool)>,
    numbers: Vec<(&'static str, Value)>,
}

impl Measurement {
    /// A measurement of a case with a goal.
    pub(crate) fn new(case: &'static str, goal: impl Into<String>, met: bool) -> Self {
        Self { case, goal: Some((goal.into(), met)), numbers: Vec::new() }
    }

    /// A measurement that nothing is asked of: one to compare others with.
    pub(crate) fn without_goal(case: &'static str) -> Self {
        Self { case, goal: None, numbers: Vec::new() }
    }

    /// Adds a number, or a word that says which of several measurements this is.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.numbers.push((name, value.into()));
        self
    }

    /// Adds a number with three decimals.
    pub(crate) fn with_decimals(self, name: &'static str, value: f64) -> Self {
        self.with(name, (value * 1000.0).round() / 1000.0)
    }

    fn json(&self, bench: &str) -> Value {
        let mut object = Map::new();
        object.insert("bench".into(), bench.into());
        object.insert("case".into(), self.case.into());
        object.extend(self.numbers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        if let Some((goal, met)) = &self.goal {
            object.insert("goal".into(), json!(goal));
            object.insert("met".into(), json!(met));
        }
        Value::Object(object)
    }

    fn table(&self) -> String {
        let mut lines = vec![match &self.goal {
            Some((goal, met)) => format!("{:<16}{:<8}{goal}", self.case, if *met { "met" } else { "MISSED" }),
            None => self.case.to_owned(),
        }];
        for (name, value) in &self.numbers {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            lines.push(format!("    {name:<32}{value:>20}"));
        }
        lines.join("\n")
    }
}

/// Writes a measurement to standard output.
pub(crate) fn print(bench: &str, measurement: &Measurement, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", measurement.json(bench))?;
    } else {
        writeln!(out, "{}", measurement.table())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_one_flat_object() {
        let measurement =
            Measurement::new("walk", "> 3", true).with("steps", 4).with_decimals("pace", 1.23456);
        assert_eq!(
            measurement.json("legs"),
            json!({"bench": "legs", "case": "walk", "steps": 4, "pace": 1.235, "goal": "> 3", "met": true})
        );
    }

    #[test]
    fn a_missed_goal_stands_out() {
        let text = Measurement::new("walk", "> 3", false).with("by", "foot").table();
        assert!(text.contains("MISSED  > 3") && text.lines().count() == 2, "{text}");
    }
}
