//! The `page` object of list answers.

use crate::common::v1::Page;
use riskmesh_core::page::{PageRequest, Start};

/// The page that was asked for: it takes up `places` of `total` ones, and `next` is the cursor where there are more.
pub fn answer(request: &PageRequest, total: u64, places: usize, next: Option<String>) -> Page {
    let next_offset = match (&request.start, &next) {
        (Start::Offset(offset), Some(_)) => Some(offset.saturating_add(places as u64).cast_signed()),
        _ => None,
    };
    Page {
        limit: i32::try_from(request.limit).unwrap_or(i32::MAX),
        total: total.cast_signed(),
        next_offset,
        next_cursor: next,
    }
}
