use super::fake::{Fake, account, client, entry};
use super::world::{NOW, TENANT, World};
use api::events::v1::TransactionsRecorded;
use bus::{Bus as _, Event, event, kinds};
use riskmesh_core::Timestamp;
use std::sync::Arc;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf() {
    let fake = Arc::new(Fake::default());
    let mut records = Vec::new();
    for c in 1..=1000u64 {
        fake.put_client(TENANT, client(&c.to_string(), "IE", NOW));
        for a in 0..2u64 {
            let acc = format!("{:010}", c * 10 + a);
            fake.put_account(TENANT, account(&acc, &c.to_string()));
            for t in 0..50i64 {
                let at = Timestamp(NOW.0 - (t * 57 + (c as i64 * 13 + a as i64 * 7) % 57) * 3_600_000);
                fake.record(TENANT, entry(&format!("t-{c}-{a}-{t}"), &acc, at));
            }
            // as one event a month
            let mut by_month: std::collections::BTreeMap<i32, Vec<i64>> = Default::default();
            for e in fake.entries_of(TENANT, &acc) {
                let at = Timestamp(super::fake::booked_at(&e));
                by_month.entry(at.month()).or_default().push(at.hour());
            }
            for (m, hours) in by_month {
                let data = TransactionsRecorded {
                    tenant: TENANT.into(),
                    client_id: c.to_string(),
                    account_id: acc.clone(),
                    hours,
                };
                records.push((
                    m,
                    kinds::TRANSACTIONS_RECORDED.encode(
                        format!("{TENANT}/{acc}"),
                        &Event::new(
                            event::id(&[acc.as_bytes(), &m.to_be_bytes()]),
                            "/riskmesh/clients",
                            NOW,
                            data,
                        ),
                    ),
                ));
            }
        }
    }
    records.sort_by_key(|(m, _)| *m);
    let n = records.len();
    let directory = tempfile::tempdir_in("/work").unwrap();
    let world = World::start(directory.path(), &fake).await;
    world.caught_up().await;
    let began = Instant::now();
    for chunk in records.chunks(500) {
        world.bus.publish("transactions", chunk.iter().map(|(_, r)| r.clone()).collect()).await.unwrap();
    }
    let published = began.elapsed();
    world.caught_up().await;
    println!(
        "events {n} published {published:?} caught up {:?}; client reads {} scans {}",
        began.elapsed(),
        fake.client_reads.load(std::sync::atomic::Ordering::SeqCst),
        fake.scans.load(std::sync::atomic::Ordering::SeqCst)
    );
    let began = Instant::now();
    for _ in 0..2000 {
        world.risk("77").await;
    }
    println!("2000 gets {:?}", began.elapsed());
    world.stop().await;
}
