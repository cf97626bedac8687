//! Ordered lists with pages at any offset in constant time, over any [`Store`].
//!
//! A list gives each member an [`Ordinal`], in order of arrival and never used again. 4096 ordinals are a block, and a block is a
//! partition of [`ENTRIES`]: one row a member, and as a static the bitmap of the positions that are taken. Row and bitmap
//! change in one conditional batch, so the bitmap is never stale. How many members each block has stands in [`COUNTS`] and, with
//! prefix sums, in the memory of every process: an offset is found by a search in memory, a rank in one bitmap, and one read
//! that starts at the row wanted. It makes no difference how deep the page is, nor how many members have left.
//!
//! Counts are a summary that may lag. A process that is about to change a block first leaves a *mark* beside the block's count;
//! it writes the count and takes the mark away when the block has been quiet for a while ([`Lists::maintain`]). Whoever loads
//! the counts reads the bitmaps of marked blocks, so nothing is lost when a process dies, and each process sees its own changes
//! at once and those of others with the next refresh.
//!
//! The order of writing is up to the caller, and this is the one that survives a crash at any point: [`Lists::reserve`] an
//! ordinal, store it in the member's own row, then [`Lists::insert`] it; both that and [`Lists::remove`] may be repeated. One
//! ordinal may be used on several lists (all members, the active ones).

mod bitmap;
mod block;
mod cache;
mod counts;
mod lease;
mod maintain;
mod page;

pub use page::{Listed, Page, Start};

use crate::error::Error;
use crate::store::Store;
use crate::table::{Table, asc, bigint, blob, int, text, timestamp};
use crate::text::Text;
use crate::value::Values;
use cache::State;
use riskmesh_core::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Ordinals in a block.
pub const BLOCK: u64 = 4096;
/// Blocks in a list: the memory for counts is bounded by it (17 billion ordinals, 48 MB).
const BLOCKS: u64 = 1 << 22;
/// Lists whose counts a process keeps.
const CACHED_LISTS: usize = 4096;

/// The members, block by block.
pub static ENTRIES: Table = Table::new("list_entries", &[text("tenant"), text("list"), int("block")])
    .clustering(&[asc(int("pos"))])
    .statics(&[blob("live")])
    .values(&[text("member")]);

/// How many members each block has (`owner` 0), and the marks of processes that are changing it (`owner` above 0).
pub static COUNTS: Table = Table::new("list_counts", &[text("tenant"), text("list")])
    .clustering(&[asc(int("block")), asc(bigint("owner"))])
    .values(&[int("count"), timestamp("marked_at")]);

/// The next ordinal of each list.
pub static ALLOCATORS: Table =
    Table::new("list_allocators", &[text("tenant"), text("list")]).values(&[bigint("next")]);

/// What a store needs for lists.
pub const TABLES: &[&Table] = &[&ENTRIES, &COUNTS, &ALLOCATORS];

/// The place of a member in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(pub u64);

impl Ordinal {
    const fn block(self) -> u32 {
        (self.0 / BLOCK) as u32
    }

    const fn pos(self) -> u16 {
        (self.0 % BLOCK) as u16
    }

    const fn at(block: u32, pos: u16) -> Self {
        Self(block as u64 * BLOCK + pos as u64)
    }
}

/// The name of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct List {
    tenant: Text,
    name: Text,
}

impl List {
    /// A tenant's list of this name.
    pub fn new(tenant: impl Into<Text>, name: impl Into<Text>) -> Self {
        Self { tenant: tenant.into(), name: name.into() }
    }

    fn key(&self) -> Values {
        (self.tenant.clone(), self.name.clone()).into()
    }

    fn block_key(&self, block: u32) -> Values {
        (self.tenant.clone(), self.name.clone(), block as i32).into()
    }
}

/// The lists of a store. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct Lists(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// A number that no other process has, for its marks; taken when it is first needed.
    owner: OnceCell<i64>,
    lists: Mutex<HashMap<List, Arc<State>>>,
}

impl Lists {
    /// The lists in a store that was opened with [`TABLES`]. Call [`Lists::maintain`] now and then, or spawn [`Lists::run`].
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { store, clock, owner: OnceCell::new(), lists: Mutex::default() }))
    }

    /// An ordinal that nobody else gets. Ordinals rise with time in one process; those of several interleave.
    pub async fn reserve(&self, list: &List) -> Result<Ordinal, Error> {
        lease::reserve(&self.0, &self.0.state(list)).await
    }

    /// Puts a member at an ordinal; nothing happens if it is there already.
    ///
    /// # Errors
    /// [`Error::Request`] if another member is there.
    pub async fn insert(&self, list: &List, ordinal: Ordinal, member: &str) -> Result<(), Error> {
        self.change(list, [(ordinal, Some(member.into()))]).await
    }

    /// Takes whoever is there off an ordinal; nothing happens if nobody is.
    pub async fn remove(&self, list: &List, ordinal: Ordinal) -> Result<(), Error> {
        self.change(list, [(ordinal, None)]).await
    }

    /// Reserves an ordinal and puts a member there. For members that are not stored elsewhere: a crash between the two can only
    /// waste an ordinal, but calling again makes a second entry.
    pub async fn append(&self, list: &List, member: &str) -> Result<Ordinal, Error> {
        let ordinal = self.reserve(list).await?;
        self.insert(list, ordinal, member).await?;
        Ok(ordinal)
    }

    /// Many changes at once: a member to insert, or `None` to remove. Those in one block are one write.
    pub async fn change(
        &self,
        list: &List,
        changes: impl IntoIterator<Item = (Ordinal, Option<Text>)>,
    ) -> Result<(), Error> {
        let mut blocks: HashMap<u32, Vec<block::Change>> = HashMap::new();
        for (ordinal, member) in changes {
            if ordinal.0 / BLOCK >= BLOCKS {
                return Err(Error::Request {
                    table: ENTRIES.name,
                    what: "an ordinal beyond the largest list",
                });
            }
            blocks.entry(ordinal.block()).or_default().push((ordinal.pos(), member));
        }
        let state = self.0.state(list);
        for (number, changes) in blocks {
            block::change(&self.0, &state, number, changes.into()).await?;
        }
        Ok(())
    }

    /// How many members the list has.
    pub async fn total(&self, list: &List) -> Result<u64, Error> {
        let state = self.0.state(list);
        cache::load(&self.0, &state).await?;
        Ok(state.counts(counts::Counts::total))
    }

    /// At most `limit` members from a start on, and how many there are in all.
    pub async fn page(&self, list: &List, start: Start, limit: usize) -> Result<Listed<Text>, Error> {
        let Page { items, next } = match start {
            Start::Offset(offset) => self.page_by_offset(list, offset, limit).await?,
            Start::After(ordinal) => self.page_after(list, Some(ordinal), limit).await?,
        };
        let items: Vec<Text> = items.into_iter().map(|(_, member)| member).collect();
        Ok(Listed { places: items.len(), items, total: self.total(list).await?, next })
    }

    /// At most `limit` members after the first `offset` ones.
    pub async fn page_by_offset(&self, list: &List, offset: u64, limit: usize) -> Result<Page, Error> {
        let state = self.0.state(list);
        cache::load(&self.0, &state).await?;
        page::by_offset(&self.0, &state, offset, limit).await
    }

    /// At most `limit` members after an ordinal, or from the start. What comes in behind the ordinal does not show.
    pub async fn page_after(&self, list: &List, after: Option<Ordinal>, limit: usize) -> Result<Page, Error> {
        let state = self.0.state(list);
        cache::load(&self.0, &state).await?;
        page::after(&self.0, &state, after, limit).await
    }

    /// Does what is due: writes the counts of blocks that have come to rest, and reads what other processes have changed.
    pub async fn maintain(&self) -> Result<(), Error> {
        maintain::all(&self.0).await
    }

    /// Maintains for ever, once in `every`. Spawn it; dropping it at any point is safe.
    pub async fn run(self, every: std::time::Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.maintain().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "lists were not maintained");
            }
        }
    }

    /// Writes the counts anew from the blocks themselves: a repair, which reads the keys of all lists. Gives the number of
    /// members.
    pub async fn rebuild(&self, list: &List) -> Result<u64, Error> {
        maintain::rebuild(&self.0, &self.0.state(list)).await
    }
}

/// A lock that nobody holds across an await, and nobody panics under.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
