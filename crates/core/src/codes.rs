//! Sorted lists of codes of one length, as one text: each followed by a blank.

/// Whether a code is on the list; `WIDTH` is its length and the blank's.
pub(crate) fn listed<const WIDTH: usize>(list: &str, code: &[u8]) -> bool {
    let (known, _) = list.as_bytes().as_chunks::<WIDTH>();
    known.binary_search_by(|known| known[..WIDTH - 1].cmp(code)).is_ok()
}
