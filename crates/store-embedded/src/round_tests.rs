//! A round of many operations does what the same operations do one after the other.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::tests::{Gate, ROWS, options};
use crate::{Embedded, Options};
use proptest::prelude::*;
use riskmesh_core::{ManualClock, Timestamp};
use std::sync::Arc;
use store::{
    Batch, Cas, Error, Mutation, Outcome, Range, Store, Target, Test, TokenScan, Ttl, Upsert, delete,
    delete_range, upsert, upsert_statics,
};

#[derive(Clone, Debug)]
enum Write {
    Apply(Vec<Batch>),
    Cas(Vec<Cas>),
}

fn partition() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["p", "q"])
}

fn set(upsert: Upsert) -> impl Strategy<Value = Upsert> {
    (prop::option::of(prop::option::of(0..3)), prop::option::of(prop::option::of("[xy]")), 0..4_u32).prop_map(
        move |(v, w, ttl)| {
            let mut upsert = upsert.clone();
            if let Some(v) = v {
                upsert = upsert.set("v", v);
            }
            if let Some(w) = w {
                upsert = upsert.set("w", w);
            }
            if ttl == 3 { upsert.ttl(Ttl::seconds(100)) } else { upsert }
        },
    )
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let key = 0..4_i32;
    prop_oneof![
        6 => key.clone().prop_flat_map(|c| set(upsert(c))).prop_map(Mutation::from),
        2 => prop::option::of(0..3).prop_map(|s| upsert_statics().set("s", s).into()),
        2 => key.clone().prop_map(delete),
        1 => (key.clone(), key).prop_map(|(low, high)| delete_range(Range::all().at_least(low).at_most(high))),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    (partition(), prop::collection::vec(mutation(), 1..4)).prop_map(|(partition, mutations)| {
        mutations.into_iter().fold(Batch::new(&ROWS, partition), Batch::with)
    })
}

fn cas() -> impl Strategy<Value = Cas> {
    let test = prop_oneof![
        Just(Test::NotExists),
        Just(Test::Exists),
        (0..3_i32).prop_map(|v| Test::Equals("v", v.into())),
        Just(Test::IsNull("v")),
    ];
    let guard = prop::option::of(prop::option::of(0..3));
    (batch(), test, guard).prop_map(|(batch, test, guard)| {
        let mut cas = Cas::new(&ROWS, batch.partition);
        for mutation in batch.mutations {
            let target = match &mutation {
                Mutation::Upsert(Upsert { target: Target::Row(key), .. }) | Mutation::Delete(key) => {
                    Some(Target::Row(key.clone()))
                }
                _ => None,
            };
            cas = cas.with(mutation);
            if let Some(target) = target {
                cas = cas.when(target, test.clone());
            }
        }
        match guard {
            Some(s) => cas.if_static("s", s),
            None => cas,
        }
    })
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        prop::collection::vec(batch(), 1..3).prop_map(Write::Apply),
        prop::collection::vec(cas(), 1..4).prop_map(Write::Cas),
    ]
}

/// What became of a write; a refused one tells only that.
async fn perform(store: &Embedded, write: Write) -> Option<Vec<Outcome>> {
    let outcome = match write {
        Write::Apply(batches) => store.apply(batches).await.map(|()| Vec::new()),
        Write::Cas(many) => store.cas_many(many).await,
    };
    match outcome {
        Ok(outcomes) => Some(outcomes),
        Err(Error::Request { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

async fn contents(store: &Embedded) -> Vec<store::Row> {
    let page = store.token_scan(TokenScan::new(&ROWS, 1000)).await.unwrap();
    assert_eq!(page.resume, None);
    page.rows
}

async fn clear(store: &Embedded) {
    let all = ["p", "q"].map(|partition| {
        Batch::new(&ROWS, partition)
            .with(delete_range(Range::all()))
            .with(upsert_statics().set("s", None::<i32>))
    });
    store.apply(all.into()).await.unwrap();
}

#[test]
fn a_round_equals_its_operations_one_by_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let still = |options: Options| options.clock(Arc::new(ManualClock::at(Timestamp(0))));
    let gate = Gate::default();
    let one_by_one = Embedded::open(still(options(one.path()))).unwrap();
    let together = Embedded::open_with(still(options(many.path())), gate.clone()).unwrap();
    proptest!(ProptestConfig { cases: 200, ..Default::default() }, |(
        before in prop::collection::vec(write(), 0..4),
        writes in prop::collection::vec(write(), 1..12),
    )| {
        runtime.block_on(async {
            gate.allow(1000);
            for store in [&one_by_one, &together] {
                clear(store).await;
                for write in before.clone() {
                    perform(store, write).await;
                }
            }
            let mut expected = Vec::new();
            for write in writes.clone() {
                expected.push(perform(&one_by_one, write).await);
            }

            // Hold the writer at the commit of some write; everything else queues up behind it, for one round.
            gate.close();
            let arrived = gate.arrived();
            let other = Batch::new(&ROWS, "other").with(upsert(0).set("v", 0));
            let mut held = Box::pin(tokio::task::unconstrained(together.apply(vec![other])));
            prop_assert!(futures::poll!(&mut held).is_pending());
            gate.wait_for(arrived + 1);
            let mut pending: Vec<_> = writes
                .into_iter()
                .map(|write| Box::pin(tokio::task::unconstrained(perform(&together, write))))
                .collect();
            let mut found = Vec::new();
            for write in &mut pending {
                found.push(match futures::poll!(write) {
                    std::task::Poll::Ready(refused) => Some(refused),
                    std::task::Poll::Pending => None,
                });
            }
            gate.allow(1000);
            held.await.unwrap();
            for (found, write) in found.iter_mut().zip(pending) {
                if found.is_none() {
                    *found = Some(write.await);
                }
            }
            prop_assert!(gate.arrived() <= arrived + 2, "one round");
            let found: Vec<_> = found.into_iter().flatten().collect();
            prop_assert_eq!(found, expected);
            let mut rows = contents(&together).await;
            rows.retain(|row| row.text("p").unwrap() != "other");
            prop_assert_eq!(rows, contents(&one_by_one).await);
            Ok(())
        })?;
    });
}
