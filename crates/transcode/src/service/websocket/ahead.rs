//! What the client has sent ahead of the service. It is read so that a client that pings, closes or is gone is heard while the
//! service takes its time; it is bounded so that a client that goes on is held back.

use std::collections::VecDeque;

use bytes::Bytes;

/// From so many bytes on nothing more is read.
const MOST: usize = 16 << 10;

/// What goes to the service.
pub(super) enum Part {
    Frame(Bytes),
    /// The end of what the client sends, with its last frame where that is known. Without it the call is broken off: a client that is
    /// gone has not said everything.
    Last(Option<Bytes>),
}

impl Part {
    /// What it takes to keep it: small ones are not free.
    fn size(&self) -> usize {
        let (Self::Frame(frame) | Self::Last(Some(frame))) = self else { return size_of::<Self>() };
        size_of::<Self>() + frame.len()
    }
}

/// Parts that wait for the service.
#[derive(Default)]
pub(super) struct Ahead {
    parts: VecDeque<Part>,
    bytes: usize,
}

impl Ahead {
    pub(super) fn has_room(&self) -> bool {
        self.bytes < MOST
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn push(&mut self, part: Part) {
        self.bytes += part.size();
        self.parts.push_back(part);
    }

    pub(super) fn pop(&mut self) -> Option<Part> {
        let part = self.parts.pop_front()?;
        self.bytes -= part.size();
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_in_order_and_there_is_room_for_some_whatever_their_size() {
        let mut ahead = Ahead::default();
        for size in [0, 100, MOST] {
            let mut count = 0;
            while ahead.has_room() {
                ahead.push(Part::Frame(vec![0; size].into()));
                count += 1;
            }
            assert!(count > 0 && count * (size + size_of::<Part>()) < 2 * MOST + size, "{count} of {size}");
            while let Some(part) = ahead.pop() {
                assert!(matches!(part, Part::Frame(frame) if frame.len() == size));
            }
            assert!(ahead.has_room() && ahead.is_empty() && ahead.bytes == 0);
        }
        ahead.push(Part::Frame(Bytes::new()));
        ahead.push(Part::Last(None));
        assert!(matches!(ahead.pop(), Some(Part::Frame(_))));
        assert!(matches!(ahead.pop(), Some(Part::Last(None))));
    }
}
