//! Consumer groups: who is a member, who works on which partition, and how far each partition has been handled.

pub(crate) mod assign;
pub(crate) mod lease;

use crate::error::Error;
use riskmesh_core::Timestamp;
use std::time::Duration;
use store::{Batch, Get, Scan, Store, Table, Ttl, asc, bigint, delete, int, text, timestamp, upsert};

/// Who works on a partition for a group, and how far it got; see [`lease`]. Conditional writes only.
pub(crate) static LEASES: Table = Table::new("leases", &[text("consumer_group"), text("topic"), int("part")])
    .values(&[text("owner"), bigint("epoch"), timestamp("expires_at"), bigint("next_offset")]);

/// The members of each group, as their heartbeats show. Plain writes only.
pub(crate) static GROUP_MEMBERS: Table = Table::new("group_members", &[text("consumer_group")])
    .clustering(&[asc(text("member"))])
    .values(&[timestamp("beat_at")]);

/// The groups that consume each topic: retention waits for them.
pub(crate) static TOPIC_GROUPS: Table = Table::new("topic_groups", &[text("topic")])
    .clustering(&[asc(text("consumer_group"))])
    .values(&[timestamp("seen_at")]);

/// How long a group that nobody runs any more holds retention back.
const GROUP_TTL: Ttl = Ttl::seconds(30 * 24 * 3600);
/// Groups of a topic, and members of a group.
const MAX_GROUPS: usize = 1000;
const MAX_MEMBERS: usize = 10_000;

/// Makes it known that a group consumes these topics.
pub(crate) async fn register(
    store: &dyn Store,
    group: &str,
    topics: &[std::sync::Arc<str>],
    now: Timestamp,
) -> Result<(), Error> {
    let entry = || upsert(group).set("seen_at", now).ttl(GROUP_TTL);
    let batches = topics.iter().map(|topic| Batch::new(&TOPIC_GROUPS, &**topic).with(entry())).collect();
    store.apply(batches).await.map_err(Error::store("register a group"))
}

/// The groups that consume a topic.
pub(crate) async fn groups_of(store: &dyn Store, topic: &str) -> Result<Vec<String>, Error> {
    let failed = Error::store("read the groups of a topic");
    let page = store.scan(Scan::new(&TOPIC_GROUPS, topic, MAX_GROUPS)).await.map_err(&failed)?;
    page.rows.iter().map(|row| Ok(row.text("consumer_group").map_err(&failed)?.to_owned())).collect()
}

/// The smallest offset that one of the groups still has to handle; `None` without groups. A group that has not committed yet may
/// want everything.
pub(crate) async fn slowest(
    store: &dyn Store,
    groups: &[String],
    topic: &str,
    partition: u32,
) -> Result<Option<i64>, Error> {
    let failed = Error::store("read a group's offset");
    let gets = groups.iter().map(|group| Get::row(&LEASES, (group, topic, partition as i32), ())).collect();
    let rows = store.get_many(gets).await.map_err(&failed)?;
    let mut slowest = None;
    for row in rows {
        let next = row.map_or(Ok(0), |row| row.bigint("next_offset")).map_err(&failed)?;
        slowest = Some(slowest.map_or(next, |slowest: i64| slowest.min(next)));
    }
    Ok(slowest)
}

/// Shows that a member is alive, and says who else is: those with a heartbeat younger than `life`.
pub(crate) async fn beat(
    store: &dyn Store,
    group: &str,
    member: &str,
    now: Timestamp,
    life: Duration,
) -> Result<Vec<String>, Error> {
    let failed = Error::store("heartbeat");
    // The row outlives the heartbeat by a little: only the timestamp counts, the TTL clears away.
    let ttl = Ttl::seconds(u32::try_from(life.as_secs() * 3).unwrap_or(u32::MAX));
    let row = upsert(member).set("beat_at", now).ttl(ttl);
    store.apply(vec![Batch::new(&GROUP_MEMBERS, group).with(row)]).await.map_err(&failed)?;
    let page = store.scan(Scan::new(&GROUP_MEMBERS, group, MAX_MEMBERS)).await.map_err(&failed)?;
    let mut members = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        if row.timestamp("beat_at").map_err(&failed)?.plus(life) > now {
            members.push(row.text("member").map_err(&failed)?.to_owned());
        }
    }
    Ok(members)
}

/// Takes a member off the list, so that the others need not wait for its heartbeat to grow old.
pub(crate) async fn leave(store: &dyn Store, group: &str, member: &str) -> Result<(), Error> {
    let batch = Batch::new(&GROUP_MEMBERS, group).with(delete(member));
    store.apply(vec![batch]).await.map_err(Error::store("leave a group"))
}
