//! The score that docs/scores.md computes by hand: its arithmetic is right, and the server comes to the same.

use crate::support::{eventually, shared};
use authn::Role;
use http::Method;
use serde_json::{Value, json};
use std::iter::Peekable;
use std::str::Chars;

/// The section of the page.
fn section() -> String {
    let page = include_str!("../../docs/scores.md");
    let section = page.split("\n## ").find(|section| section.starts_with("One score by hand")).unwrap();
    section.to_owned()
}

/// The JSON blocks in order.
fn blocks(section: &str) -> Vec<Value> {
    let blocks = section.split("```json\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

/// The rows of all tables that have a formula: the cells.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| row[1] != "how").collect()
}

fn row<'a>(rows: &'a [Vec<&'a str>], name: &str) -> &'a [&'a str] {
    rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("no row {name}"))
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// What a formula comes to: numbers, `+`, `\u{d7}`, `/` and parentheses.
fn value(formula: &str) -> f64 {
    let mut chars = formula.chars().peekable();
    let value = sum(&mut chars);
    assert_eq!(chars.next(), None, "the rest of {formula}");
    value
}

fn sum(chars: &mut Peekable<Chars<'_>>) -> f64 {
    let mut sum = product(chars);
    while next_is(chars, '+') {
        sum += product(chars);
    }
    sum
}

fn product(chars: &mut Peekable<Chars<'_>>) -> f64 {
    let mut product = factor(chars);
    loop {
        if next_is(chars, '\u{d7}') {
            product *= factor(chars);
        } else if next_is(chars, '/') {
            product /= factor(chars);
        } else {
            return product;
        }
    }
}

fn factor(chars: &mut Peekable<Chars<'_>>) -> f64 {
    if next_is(chars, '(') {
        let inner = sum(chars);
        assert!(next_is(chars, ')'), "a parenthesis is not closed");
        return inner;
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(|c| c.is_ascii_digit() || *c == '.') {
        digits.push(digit);
    }
    digits.parse().unwrap_or_else(|_| panic!("no number at {:?}", chars.collect::<String>()))
}

/// Takes this sign, with the spaces around it, if it comes next.
fn next_is(chars: &mut Peekable<Chars<'_>>, sign: char) -> bool {
    while chars.next_if_eq(&' ').is_some() {}
    let is = chars.next_if_eq(&sign).is_some();
    while chars.next_if_eq(&' ').is_some() {}
    is
}

#[test]
fn every_line_of_the_example_is_computed_right() {
    let section = section();
    let rows = rows(&section);
    assert_eq!(rows.len(), 16);
    for row in &rows {
        // Halves are rounded up.
        assert_eq!((value(row[1]) + 0.5).floor() as i64, number(row[2]), "{row:?}");
    }
    let flow = row(&rows, "flow")[1];
    let transactions = &blocks(&section)[2]["transactions"];
    let amounts: Vec<&str> =
        transactions.as_array().unwrap().iter().map(|it| it["amount"].as_str().unwrap()).collect();
    assert_eq!(flow, amounts.join(" + "), "the example's own transactions");
}

#[tokio::test]
async fn the_server_comes_to_the_score_that_the_page_computes_by_hand() {
    let section = section();
    let (rows, blocks) = (rows(&section), blocks(&section));
    let [client, account, transactions] = blocks.as_slice() else { panic!("three blocks") };
    post("/v1/clients", client).await;
    post("/v1/clients/7/accounts", account).await;
    let recorded = post("/v1/transactions:batchCreate", transactions).await;
    assert_eq!(recorded, json!({"created": 5, "duplicates": 0, "rejected": []}));
    let simulate = async || post("/v1/clients/7/analytics:simulate", &json!({})).await["current"].clone();
    eventually("all transactions count", || async { simulate().await["asOf"] == "2026-03-06T09:00:00Z" })
        .await;

    let score = simulate().await;
    assert_eq!(score["modelVersion"], "scorecard-2", "the example is of this model");
    for pillar in score["pillars"].as_array().unwrap() {
        let row = row(&rows, pillar["pillar"].as_str().unwrap());
        let shown = [&pillar["points"], &pillar["weightBp"], &pillar["contribution"]].map(Value::as_i64);
        assert_eq!(shown, [row[2], row[3], row[4]].map(|cell| Some(number(cell))), "{row:?}");
    }
    let total = row(&rows, "score");
    let parts =
        score["pillars"].as_array().unwrap().iter().map(|pillar| pillar["contribution"].as_i64().unwrap());
    assert_eq!(parts.sum::<i64>(), number(total[4]));
    assert_eq!(
        (&score["riskScore"], &score["additiveScore"]),
        (&json!(number(total[2])), &json!(number(total[2])))
    );
    assert_eq!(score["category"], "Medium");
    let confidence = number(row(&rows, "coverage \u{d7} freshness \u{d7} depth")[2]);
    assert_eq!((score["confidence"].as_f64().unwrap() * 10_000.0).round() as i64, confidence);
    let codes: Vec<_> = score["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
    assert!(codes.contains(&&json!("STRUCTURING")), "{codes:?}");
}

async fn post(path: &str, body: &Value) -> Value {
    let mut admin = shared().as_role(Role::Admin, "example").await;
    let answer = admin.call(Method::POST, path, &[], Some(body.clone())).await.unwrap();
    assert!((200..300).contains(&answer.status), "{path}: {:#}", answer.body);
    answer.body
}
