//! Pages of lists that are in memory.

use api::common::v1::Page;
use riskmesh_core::Error;
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::{self, PageRequest};

/// A part of a list, with where it stands.
pub(crate) struct Part<'a, T> {
    pub(crate) items: &'a [T],
    pub(crate) page: Page,
}

/// Cuts a page out of a list.
///
/// As [`page::cut`]; `query` is what a cursor is bound to, there is no tenant to bind it to.
pub(crate) fn cut<'a, T>(
    items: &'a [T],
    request: &PageRequest,
    cursors: &Cursors,
    query: &str,
    place: impl Fn(&T) -> String,
    after: impl Fn(&T, &[u8]) -> bool,
) -> Result<Part<'a, T>, Error> {
    let scope = Scope { tenant: "", query };
    let place = |item: &T| place(item).into_bytes();
    let part = page::cut(items, request, (cursors, scope), place, after)?;
    let page = api::page::answer(request, part.total, part.items.len(), part.next);
    Ok(Part { items: part.items, page })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use riskmesh_core::ErrorCode;
    use riskmesh_core::cipher::Key;

    struct List(Cursors);

    impl List {
        fn page(
            &self,
            items: &[&str],
            offset: Option<i64>,
            cursor: &str,
        ) -> Result<(Vec<String>, Page), Error> {
            let request = PageRequest::read(Some(2), offset, cursor)?;
            let part = cut(
                items,
                &request,
                &self.0,
                "letters",
                |item| (*item).into(),
                |item, last| item.as_bytes() > last,
            )?;
            Ok((part.items.iter().map(|item| (*item).to_owned()).collect(), part.page))
        }
    }

    #[test]
    fn pages_by_offset_and_by_cursor_walk_the_list() {
        let list = List(Cursors::new(Key::random().unwrap()));
        let items = ["a", "b", "c", "d", "e"];
        let (first, page) = list.page(&items, None, "").unwrap();
        assert_eq!((first, page.total, page.next_offset), (vec!["a".into(), "b".into()], 5, Some(2)));
        let (last, page) = list.page(&items, Some(4), "").unwrap();
        assert_eq!((last, page.next_offset, page.next_cursor), (vec!["e".into()], None, None));
        assert!(list.page(&items, Some(99), "").unwrap().0.is_empty());

        let cursor = list.page(&items, None, "").unwrap().1.next_cursor.unwrap();
        let (next, page) = list.page(&items, None, &cursor).unwrap();
        assert_eq!((next, page.next_offset), (vec!["c".into(), "d".into()], None));
        // What came and went meanwhile changes nothing about the rest.
        let (next, _) = list.page(&["a", "aa", "c", "d", "e"], None, &cursor).unwrap();
        assert_eq!(next, ["c", "d"]);
    }

    #[test]
    fn a_forged_cursor_is_refused() {
        let list = List(Cursors::new(Key::random().unwrap()));
        assert_eq!(list.page(&["a"], None, "forged").unwrap_err().code, ErrorCode::InvalidInput);
    }
}
