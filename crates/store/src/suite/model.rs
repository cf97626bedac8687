//! Random operations against a model: ordered maps that say, in the plainest way, what a store is. Each operation is drawn from
//! one random number, so that a property-testing tool can shrink a failing script by dropping numbers and making them smaller.

use super::{Subject, WIDE};
use crate::clustering;
use crate::error::Error;
use crate::read::{Direction, Get, Page, Range, Scan, Target, TokenScan};
use crate::row::Row;
use crate::value::{Value, Values};
use crate::write::{
    Batch, Cas, Condition, Current, Mutation, Outcome, Test, Ttl, Upsert, delete, delete_range, upsert,
    upsert_statics,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

/// Runs a script. An error says what the store did and what the model expected, after which operations.
pub async fn run(subject: &Subject, script: &[u128]) -> Result<(), String> {
    let mut model = Model::default();
    let mut history = String::new();
    for number in script {
        let operation = Operation::draw(&mut Draw(*number), subject);
        // Writing to a String cannot fail.
        let _ = writeln!(history, "{operation:?}");
        if let Err(difference) = step(subject, &mut model, operation).await {
            return Err(format!("{difference}\nafter\n{history}"));
        }
    }
    whole_table(subject, &model).await.map_err(|difference| format!("{difference}\nafter\n{history}"))
}

#[derive(Debug)]
enum Operation {
    Get(Get),
    Scan(Box<Scan>),
    Apply(Batch),
    Cas(Cas),
    WholeTable,
    Wait(u32),
}

async fn step(subject: &Subject, model: &mut Model, operation: Operation) -> Result<(), String> {
    let failed = |error: Error| match std::error::Error::source(&error) {
        Some(source) => format!("failed: {error}: {source}"),
        None => format!("failed: {error}"),
    };
    match operation {
        Operation::Get(get) => {
            let expected = model.get(&get);
            same(&subject.store.get(get).await.map_err(failed)?, &expected)
        }
        Operation::Scan(scan) => {
            let expected = model.scan(&scan);
            same(&subject.store.scan(*scan).await.map_err(failed)?, &expected)
        }
        Operation::Apply(batch) => match subject.store.apply(vec![batch.clone()]).await {
            Ok(()) => {
                model.apply(&batch.partition, &batch.mutations);
                Ok(())
            }
            // Drawn batches may touch a row twice: refused, and nothing done.
            Err(Error::Request { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        },
        Operation::Cas(cas) => match subject.store.cas(cas.clone()).await {
            Ok(outcome) => same(&outcome, &model.cas(&cas)),
            Err(Error::Request { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        },
        Operation::WholeTable => whole_table(subject, model).await,
        Operation::Wait(seconds) => {
            subject.advance(seconds).await;
            model.now += i64::from(seconds);
            Ok(())
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found    {found:?}\nexpected {expected:?}")) }
}

async fn whole_table(subject: &Subject, model: &Model) -> Result<(), String> {
    let mut found = Vec::new();
    let mut scan = TokenScan::new(&WIDE, 7);
    loop {
        let page =
            subject.store.token_scan(scan.clone()).await.map_err(|error| format!("failed: {error}"))?;
        found.extend(page.rows);
        if page.resume.is_none() {
            break;
        }
        scan.resume = page.resume;
    }
    found.retain(|row| row.text("space").is_ok_and(|space| space == subject.space()));
    let mut expected = Vec::new();
    for partition in model.partitions.keys() {
        let page = model.scan(&Scan::new(&WIDE, partition.0.clone(), usize::MAX).with_statics());
        let statics = page.statics.as_ref();
        if page.rows.is_empty() {
            expected.extend(statics.cloned());
        }
        expected.extend(page.rows.iter().map(|row| with_statics(row, statics)));
    }
    // The model does not know tokens; inside a partition the order counts, which a stable sort keeps.
    found.sort_by_key(|row| format!("{:?}", row.partition()));
    expected.sort_by_key(|row| format!("{:?}", row.partition()));
    same(&found, &expected)
}

/// A partition key that can be ordered; any order will do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Partition(Values);

impl PartialOrd for Partition {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Partition {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        format!("{:?}", self.0).cmp(&format!("{:?}", other.0))
    }
}

/// What a store is.
#[derive(Default)]
struct Model {
    now: i64,
    partitions: BTreeMap<Partition, Contents>,
}

#[derive(Clone, Default)]
struct Contents {
    statics: Cells,
    /// By the encoding of the clustering key, which has tests of its own.
    rows: BTreeMap<Vec<u8>, Stored>,
}

#[derive(Clone)]
struct Stored {
    key: Values,
    /// When the existence that upserts gave it ends; `None` is never.
    marker: Option<i64>,
    cells: Cells,
}

/// Values and when they expire.
type Cells = BTreeMap<&'static str, (Value, Option<i64>)>;

fn lives(expires: Option<i64>, now: i64) -> bool {
    expires.is_none_or(|at| now < at)
}

fn live_cells(cells: &Cells, now: i64) -> BTreeMap<&'static str, Value> {
    let live = cells.iter().filter(|(_, (value, expires))| !value.is_null() && lives(*expires, now));
    live.map(|(name, (value, _))| (*name, value.clone())).collect()
}

fn encode(key: &Values) -> Vec<u8> {
    let mut bytes = Vec::new();
    clustering::encode(&WIDE, key, &mut bytes);
    bytes
}

/// A row of these parts; null elsewhere.
fn build(partition: &Values, key: Option<&Values>, cells: &BTreeMap<&'static str, Value>) -> Row {
    let key_column = |position: usize| key.map_or(Value::Null, |key| key.as_slice()[position].clone());
    let mut row: Vec<Value> = partition.as_slice().to_vec();
    row.extend((0..WIDE.clustering.len()).map(key_column));
    let rest = WIDE.statics.iter().chain(WIDE.values);
    row.extend(rest.map(|column| cells.get(column.name).cloned().unwrap_or_default()));
    Row::from_cells(&WIDE, row).unwrap_or_else(|error| panic!("{error}"))
}

fn with_statics(row: &Row, statics: Option<&Row>) -> Row {
    let mut cells = row.cells().to_vec();
    let start = WIDE.partition.len() + WIDE.clustering.len();
    if let Some(statics) = statics {
        let end = start + WIDE.statics.len();
        cells[start..end].clone_from_slice(&statics.cells()[start..end]);
    }
    Row::from_cells(&WIDE, cells).unwrap_or_else(|error| panic!("{error}"))
}

impl Model {
    fn contents(&self, partition: &Values) -> Contents {
        self.partitions.get(&Partition(partition.clone())).cloned().unwrap_or_default()
    }

    fn row(&self, partition: &Values, key: &Values) -> Option<Row> {
        let contents = self.contents(partition);
        let stored = contents.rows.get(&encode(key))?;
        let cells = live_cells(&stored.cells, self.now);
        let exists = lives(stored.marker, self.now) || !cells.is_empty();
        exists.then(|| build(partition, Some(key), &cells))
    }

    fn statics(&self, partition: &Values) -> Option<Row> {
        let cells = live_cells(&self.contents(partition).statics, self.now);
        (!cells.is_empty()).then(|| build(partition, None, &cells))
    }

    fn get(&self, get: &Get) -> Option<Row> {
        let statics = self.statics(&get.partition);
        match &get.target {
            Target::Statics => statics,
            Target::Row(key) => self.row(&get.partition, key).map(|row| with_statics(&row, statics.as_ref())),
        }
    }

    fn scan(&self, scan: &Scan) -> Page {
        let contents = self.contents(&scan.partition);
        let after = scan.after.as_ref().map(encode);
        let mut rows: Vec<Row> = contents
            .rows
            .iter()
            .filter(|(bytes, stored)| {
                let beyond = after.as_ref().is_none_or(|after| match scan.direction {
                    Direction::Forward => *bytes > after,
                    Direction::Reverse => *bytes < after,
                });
                beyond && inside(&scan.range, &stored.key)
            })
            .filter_map(|(_, stored)| self.row(&scan.partition, &stored.key))
            .collect();
        if scan.direction == Direction::Reverse {
            rows.reverse();
        }
        let more = rows.len() > scan.limit;
        rows.truncate(scan.limit);
        let statics = if scan.statics { self.statics(&scan.partition) } else { None };
        Page { statics, rows, more }
    }

    fn apply(&mut self, partition: &Values, mutations: &[Mutation]) {
        let now = self.now;
        let contents = self.partitions.entry(Partition(partition.clone())).or_default();
        for mutation in mutations {
            match mutation {
                Mutation::Delete(key) => {
                    contents.rows.remove(&encode(key));
                }
                Mutation::DeleteRange(range) => contents.rows.retain(|_, row| !inside(range, &row.key)),
                Mutation::Upsert(Upsert { target, set, ttl }) => {
                    let expires = ttl.map(|ttl| now + i64::from(ttl.get()));
                    let cells = match target {
                        Target::Statics => &mut contents.statics,
                        Target::Row(key) => {
                            let fresh = Stored { key: key.clone(), marker: None, cells: Cells::new() };
                            let row = contents.rows.entry(encode(key)).or_insert(fresh);
                            row.marker = expires;
                            &mut row.cells
                        }
                    };
                    cells.extend(set.iter().map(|(name, value)| (*name, (value.clone(), expires))));
                }
            }
        }
    }

    fn cas(&mut self, cas: &Cas) -> Outcome {
        if cas.conditions.iter().all(|condition| self.holds(&cas.partition, condition)) {
            self.apply(&cas.partition, &cas.mutations);
            return Outcome::Applied;
        }
        let statics = self.statics(&cas.partition);
        let mut current = Current { rows: Vec::new(), statics: statics.clone() };
        for condition in &cas.conditions {
            let Target::Row(key) = &condition.target else { continue };
            if current.row(key).is_none()
                && let Some(row) = self.row(&cas.partition, key)
            {
                current.rows.push(with_statics(&row, statics.as_ref()));
            }
        }
        Outcome::Conflict(current)
    }

    fn holds(&self, partition: &Values, condition: &Condition) -> bool {
        let row = match &condition.target {
            Target::Row(key) => self.row(partition, key),
            Target::Statics => self.statics(partition),
        };
        let cell =
            |name: &str| row.as_ref().and_then(|row| row.value(name).ok().cloned()).unwrap_or_default();
        match &condition.test {
            Test::NotExists => row.is_none(),
            Test::Exists => row.is_some(),
            Test::Equals(name, value) => cell(name) == *value,
            Test::IsNull(name) => cell(name).is_null(),
        }
    }
}

fn inside(range: &Range, key: &Values) -> bool {
    let prefix = range.prefix.as_slice();
    let Some(next) = key.as_slice().get(prefix.len()) else { return key == &range.prefix };
    let above = match &range.low {
        Bound::Unbounded => true,
        Bound::Included(low) => compare(next, low).is_ge(),
        Bound::Excluded(low) => compare(next, low).is_gt(),
    };
    let below = match &range.high {
        Bound::Unbounded => true,
        Bound::Included(high) => compare(next, high).is_le(),
        Bound::Excluded(high) => compare(next, high).is_lt(),
    };
    key.as_slice().starts_with(prefix) && above && below
}

fn compare(left: &Value, right: &Value) -> std::cmp::Ordering {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::BigInt(left), Value::BigInt(right)) => left.cmp(right),
        _ => panic!("the clustering columns are text and bigint"),
    }
}

/// A source of small choices.
struct Draw(u128);

impl Draw {
    fn below(&mut self, choices: u32) -> u32 {
        let choice = self.0 % u128::from(choices);
        self.0 /= u128::from(choices);
        choice as u32
    }

    fn one_in(&mut self, choices: u32) -> bool {
        self.below(choices) == choices - 1
    }

    fn a(&mut self) -> &'static str {
        ["a", "", "a\0", "b"][self.below(4) as usize]
    }

    fn b(&mut self) -> i64 {
        [0, 1, -1][self.below(3) as usize]
    }

    fn key(&mut self) -> Values {
        (self.a(), self.b()).into()
    }

    fn number(&mut self) -> Value {
        if self.one_in(4) { Value::Null } else { Value::BigInt(i64::from(self.below(3))) }
    }

    fn text(&mut self) -> Value {
        if self.one_in(4) { Value::Null } else { ["x", "y"][self.below(2) as usize].into() }
    }

    fn range(&mut self) -> Range {
        match self.below(4) {
            0 => Range::all(),
            1 => Range::prefix(self.a()),
            2 => {
                let (prefix, low, high) = (self.a(), self.b(), self.b());
                let range = Range::prefix(prefix);
                let range = if self.one_in(2) { range.at_least(low) } else { range.above(low) };
                if self.one_in(2) { range.at_most(high) } else { range }
            }
            _ => {
                let (low, high) = (self.a(), self.a());
                let range = if self.one_in(2) { Range::all().at_least(low) } else { Range::all() };
                if self.one_in(2) { range.below(high) } else { range.at_most(high) }
            }
        }
    }

    fn ttl(&mut self, upsert: Upsert, subject: &Subject) -> Upsert {
        if subject.fake_time && self.one_in(3) { upsert.ttl(Ttl::seconds(1 + self.below(3))) } else { upsert }
    }

    fn mutation(&mut self, subject: &Subject) -> Mutation {
        match self.below(6) {
            0 => {
                let statics = upsert_statics().set("s_number", self.number());
                let statics = if self.one_in(2) { statics.set("s_text", self.text()) } else { statics };
                self.ttl(statics, subject).into()
            }
            1 => delete(self.key()),
            2 if self.one_in(2) => delete_range(self.range()),
            _ => {
                let mut row = upsert(self.key());
                if self.one_in(2) {
                    row = row.set("v_number", self.number());
                }
                if self.one_in(2) {
                    row = row.set("v_text", self.text());
                }
                if self.one_in(8) {
                    // Every column: what was there before does not matter.
                    row = upsert(self.key()).set("v_number", self.number()).set("v_text", self.text());
                    for column in ["v_small", "v_blob", "v_flag", "v_at", "v_id"] {
                        row = row.set(column, Value::Null);
                    }
                }
                self.ttl(row, subject).into()
            }
        }
    }

    fn test(&mut self, statics: bool) -> Test {
        match self.below(4) {
            0 => Test::NotExists,
            1 => Test::Exists,
            _ => match (self.number(), statics) {
                (Value::Null, true) => Test::IsNull("s_number"),
                (Value::Null, false) => Test::IsNull("v_number"),
                (value, true) => Test::Equals("s_number", value),
                (value, false) => Test::Equals("v_number", value),
            },
        }
    }
}

impl Operation {
    fn draw(draw: &mut Draw, subject: &Subject) -> Self {
        let kind = draw.below(16);
        let partition = subject.part(draw.below(3) as i32);
        match kind {
            0..=5 => {
                let mut batch = Batch::new(&WIDE, partition);
                for _ in 0..=draw.below(3) {
                    batch = batch.with(draw.mutation(subject));
                }
                Self::Apply(batch)
            }
            6..=9 => {
                let mut cas = Cas::new(&WIDE, partition);
                for _ in 0..=draw.below(2) {
                    let mutation = draw.mutation(subject);
                    let target = match &mutation {
                        Mutation::Upsert(upsert) => upsert.target.clone(),
                        Mutation::Delete(key) => Target::Row(key.clone()),
                        Mutation::DeleteRange(_) => Target::Statics,
                    };
                    let target = if draw.one_in(4) { Target::Statics } else { target };
                    let test = draw.test(target == Target::Statics);
                    cas = cas.with(mutation).when(target, test);
                }
                Self::Cas(cas)
            }
            10 => Self::Get(Get::row(&WIDE, partition, draw.key())),
            11 => Self::Get(Get::statics(&WIDE, partition).latest()),
            12 | 13 => {
                let mut scan = Scan::new(&WIDE, partition, 1 + draw.below(5) as usize).range(draw.range());
                if draw.one_in(2) {
                    scan = scan.reverse();
                }
                if draw.one_in(2) {
                    scan = scan.with_statics();
                }
                if draw.one_in(3) {
                    scan = scan.after(draw.key());
                }
                Self::Scan(Box::new(scan))
            }
            14 if subject.fake_time => Self::Wait(1 + draw.below(2)),
            _ => Self::WholeTable,
        }
    }
}
