//! Pagination parameters as every list method takes them: `limit` with `offset`, or `cursor`.

use crate::cursor::{Cursors, Scope};
use crate::error::{Detail, Error};

/// The page size where the caller names none.
pub const DEFAULT_LIMIT: u32 = 50;
/// The largest page.
pub const MAX_LIMIT: u32 = 1000;

/// Where a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this many items.
    Offset(u64),
    /// After the item that this opaque cursor names.
    Cursor(String),
}

/// One page asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at the most, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Where to start.
    pub start: Start,
}

impl PageRequest {
    /// Reads the three parameters as they stand in list requests; `None` and an empty cursor are defaults.
    pub fn read(limit: Option<i32>, offset: Option<i64>, cursor: &str) -> Result<Self, Error> {
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(limit) => u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Error::invalid(Detail::expected("limit", "must be 1 to 1000", "1..1000")))?,
        };
        let start =
            match (offset, cursor) {
                (Some(_), cursor) if !cursor.is_empty() => {
                    return Err(Error::invalid(Detail::expected(
                        "cursor",
                        "cannot be given together with offset",
                        "cursor or offset",
                    )));
                }
                (Some(offset), _) => Start::Offset(u64::try_from(offset).map_err(|_| {
                    Error::invalid(Detail::expected("offset", "must not be negative", ">= 0"))
                })?),
                (None, "") => Start::Offset(0),
                (None, cursor) => Start::Cursor(cursor.to_owned()),
            };
        Ok(Self { limit: limit as usize, start })
    }
}

/// A part of a list in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a, T> {
    /// What the page shows.
    pub items: &'a [T],
    /// How many items the whole list has.
    pub total: u64,
    /// The cursor of the next page, where there is one.
    pub next: Option<String>,
}

/// Cuts a page out of a list in memory.
///
/// `place` names an item, and names come in the order that `after` says: whether an item is after a name. A cursor holds the name of
/// the last item shown, so that it survives a change of the list.
///
/// # Errors
/// A cursor that was not given for this scope.
pub fn cut<'a, T>(
    items: &'a [T],
    request: &PageRequest,
    (cursors, scope): (&Cursors, Scope<'_>),
    place: impl Fn(&T) -> Vec<u8>,
    after: impl Fn(&T, &[u8]) -> bool,
) -> Result<Part<'a, T>, Error> {
    let from = match &request.start {
        Start::Offset(offset) => usize::try_from(*offset).unwrap_or(usize::MAX).min(items.len()),
        Start::Cursor(cursor) => {
            let last = cursors.open(scope, cursor)?;
            items.partition_point(|item| !after(item, &last))
        }
    };
    let until = from.saturating_add(request.limit).min(items.len());
    let shown = &items[from..until];
    let last = shown.last().filter(|_| until < items.len());
    let next = last.map(|last| cursors.seal(scope, &place(last))).transpose()?;
    Ok(Part { items: shown, total: items.len() as u64, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_one_to_a_thousand() {
        assert_eq!(PageRequest::read(None, None, "").unwrap().limit, 50);
        assert_eq!(PageRequest::read(Some(1000), None, "").unwrap().limit, 1000);
        for bad in [0, -1, 1001, i32::MIN, i32::MAX] {
            let error = PageRequest::read(Some(bad), None, "").unwrap_err();
            assert_eq!(error.hint, "Send limit from 1 to 1000.", "{bad}");
        }
    }

    #[test]
    fn offset_and_cursor_exclude_each_other() {
        let both = PageRequest::read(None, Some(0), "x").unwrap_err();
        assert_eq!(both.message, "Cursor cannot be given together with offset");
        assert!(PageRequest::read(None, Some(-1), "").is_err());
        assert_eq!(PageRequest::read(None, Some(7), "").unwrap().start, Start::Offset(7));
        assert_eq!(PageRequest::read(None, None, "x").unwrap().start, Start::Cursor("x".into()));
    }
}
