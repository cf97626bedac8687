//! The `page` object of list answers.

use api::common::v1::Page;
use riskmesh_core::page::{PageRequest, Start};

/// The metadata of a page that shows `shown` of `total` items; `next` is the cursor where there are more.
pub(crate) fn page(request: &PageRequest, total: u64, shown: usize, next: Option<String>) -> Page {
    let next_offset = match (&request.start, &next) {
        (Start::Offset(offset), Some(_)) => Some(offset.saturating_add(shown as u64).cast_signed()),
        _ => None,
    };
    Page {
        limit: i32::try_from(request.limit).unwrap_or(i32::MAX),
        total: total.cast_signed(),
        next_offset,
        next_cursor: next,
    }
}
