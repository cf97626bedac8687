//! Reading pages.

use super::bitmap::Bitmap;
use super::cache::{State, live};
use super::{ENTRIES, Inner, Ordinal};
use crate::error::Error;
use crate::limits;
use crate::read::{Range, Scan};
use crate::text::Text;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page;

/// Attempts to find an offset while the counts turn out to be stale.
const ATTEMPTS: usize = 4;

/// Consecutive members of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The members with their ordinals, which rise.
    pub items: Vec<(Ordinal, Text)>,
    /// Where the next page starts: after this ordinal. `None` if this is the last one.
    pub next: Option<Ordinal>,
}

/// Where a page starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this many members.
    Offset(u64),
    /// After the member with this ordinal.
    After(Ordinal),
}

impl Start {
    /// Where a caller wants it to start.
    ///
    /// # Errors
    /// A cursor that [`Listed::next_cursor`] did not give for this scope.
    pub fn read(
        start: &page::Start,
        cursors: &Cursors,
        scope: Scope<'_>,
    ) -> Result<Self, riskmesh_core::Error> {
        match start {
            page::Start::Offset(offset) => Ok(Self::Offset(*offset)),
            page::Start::Cursor(cursor) => {
                let position = cursors.open(scope, cursor)?;
                let position = position.try_into();
                let ordinal = position.map_err(|_| riskmesh_core::Error::internal("decode cursor"))?;
                Ok(Self::After(Ordinal(u64::from_be_bytes(ordinal))))
            }
        }
    }
}

/// A page as a list method answers it: of the members, or of what they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// What there is at the places of the page: fewer than places where something has just left.
    pub items: Vec<T>,
    /// How many places the page takes up.
    pub places: usize,
    /// How many members the whole list has.
    pub total: u64,
    /// Where the next page starts: after this ordinal. `None` if this is the last one.
    pub next: Option<Ordinal>,
}

impl<T> Listed<T> {
    /// The same page of what its members stand for.
    pub fn with<U>(self, items: Vec<U>) -> Listed<U> {
        Listed { items, places: self.places, total: self.total, next: self.next }
    }

    /// The cursor of the next page, where there is one.
    pub fn next_cursor(
        &self,
        cursors: &Cursors,
        scope: Scope<'_>,
    ) -> Result<Option<String>, riskmesh_core::Error> {
        self.next.map(|Ordinal(ordinal)| cursors.seal(scope, &ordinal.to_be_bytes())).transpose()
    }
}

/// A page that is being read.
struct Reading {
    page: Page,
    limit: usize,
    /// Whether there is more in the block that was read last.
    more: bool,
}

pub(super) async fn by_offset(
    inner: &Inner,
    state: &State,
    offset: u64,
    limit: usize,
) -> Result<Page, Error> {
    for attempt in 1.. {
        let Some((block, rank)) = state.counts(|counts| counts.find(offset)) else { break };
        let mut reading = Reading::new(limit)?;
        // Where nobody has left, the position is the rank: try that first, and learn the bitmap by the same read.
        let live = reading.read(inner, state, block, rank as u16).await?;
        let exact = live.select(rank);
        if exact != Some(rank as u16) {
            reading = Reading::new(limit)?;
            if let Some(pos) = exact {
                reading.read(inner, state, block, pos).await?;
            } else if attempt < ATTEMPTS {
                // The count was too large, which is known now.
                continue;
            }
        }
        return reading.finish(inner, state, block).await;
    }
    Ok(Page::default())
}

pub(super) async fn after(
    inner: &Inner,
    state: &State,
    after: Option<Ordinal>,
    limit: usize,
) -> Result<Page, Error> {
    let start = after.map_or(Ordinal(0), |after| Ordinal(after.0.saturating_add(1)));
    let mut reading = Reading::new(limit)?;
    if start.0 / super::BLOCK >= super::BLOCKS {
        return Ok(reading.page);
    }
    reading.read(inner, state, start.block(), start.pos()).await?;
    reading.finish(inner, state, start.block()).await
}

impl Reading {
    fn new(limit: usize) -> Result<Self, Error> {
        if (1..=limits::PAGE_ROWS).contains(&limit) {
            Ok(Self { page: Page::default(), limit, more: false })
        } else {
            Err(Error::Request { table: ENTRIES.name, what: "a page of no rows or of too many" })
        }
    }

    /// Reads a block from a position on, as far as the page has room. Gives its bitmap.
    async fn read(&mut self, inner: &Inner, state: &State, block: u32, pos: u16) -> Result<Bitmap, Error> {
        let room = self.limit - self.page.items.len();
        let scan = Scan::new(&ENTRIES, state.list.block_key(block), room)
            .range(Range::all().at_least(i32::from(pos)))
            .with_statics();
        let found = inner.store.scan(scan).await?;
        for row in &found.rows {
            let ordinal = Ordinal::at(block, row.int("pos")? as u16);
            self.page.items.push((ordinal, row.text("member")?.into()));
        }
        self.more = found.more;
        let live = live(found.statics.as_ref())?;
        state.seen(block, live.count());
        Ok(live)
    }

    /// Goes on with the blocks after this one until the page is full.
    async fn finish(mut self, inner: &Inner, state: &State, mut block: u32) -> Result<Page, Error> {
        let next = |block: u32| state.counts(|counts| counts.next(block + 1));
        while self.page.items.len() < self.limit
            && let Some(following) = next(block)
        {
            block = following;
            self.read(inner, state, block, 0).await?;
        }
        if self.more || next(block).is_some() {
            self.page.next = self.page.items.last().map(|(ordinal, _)| *ordinal);
        }
        Ok(self.page)
    }
}
