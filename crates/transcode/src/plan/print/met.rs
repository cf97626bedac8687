//! Values as they are met on the wire, and what they say about their field.

use std::borrow::Cow;

use super::{Field, Kind, Message, Raw, Reader, Result, Shape};
use crate::plan::wire::{FIXED32, FIXED64, LEN, Malformed, START_GROUP, VARINT};

/// One value met on the wire: the index of its field, and itself.
pub(super) type Met<'w> = (usize, Raw<'w>);

/// The next value on the wire, if it belongs to the same field.
pub(super) fn following<'w>(
    reader: &mut Reader<'w>,
    field: &Field,
) -> std::result::Result<Option<Raw<'w>>, Malformed> {
    let mut ahead = reader.clone();
    let Ok((number, wire)) = ahead.tag() else { return Ok(None) };
    let packed = field.shape == Shape::Repeated && is_packable(field.kind) && wire == LEN;
    if number != field.number || wire != field.wire && !packed {
        return Ok(None);
    }
    let raw = ahead.value(number, wire)?;
    *reader = ahead;
    Ok(Some(raw))
}

/// The values of a message's known fields that are `theirs`, in the order of the wire, without those that a oneof dropped.
pub(super) fn collect<'w>(
    plan: &Message,
    wire: &'w [u8],
    theirs: impl Fn(&Field, Raw<'_>) -> bool,
) -> Result<Vec<Met<'w>>> {
    let mut reader = Reader::new(wire);
    let mut met: Vec<Met<'w>> = Vec::new();
    // For each oneof the member that holds it, and from which value on.
    let mut chosen: Vec<Option<(usize, usize)>> = vec![None; plan.oneofs as usize];
    while let Some((number, raw)) = reader.field()? {
        let Some(index) = plan.by_number(number) else { continue };
        let field = &plan.fields[index];
        let packed = matches!(raw, Raw::Len(_)) && field.shape == Shape::Repeated && is_packable(field.kind);
        if wire_of(raw) != field.wire && !packed || !theirs(field, raw) {
            continue;
        }
        if let Some(oneof) = field.oneof {
            let chosen = &mut chosen[oneof as usize];
            if chosen.is_none_or(|(member, _)| member != index) {
                *chosen = Some((index, met.len()));
            }
        }
        met.push((index, raw));
    }
    if chosen.iter().any(Option::is_some) {
        let mut at = 0..;
        met.retain(|(index, _)| {
            let (at, oneof) = (at.next(), plan.fields[*index].oneof);
            let holder = oneof.and_then(|oneof| chosen[oneof as usize]);
            holder.is_none_or(|(member, since)| member == *index && at >= Some(since))
        });
    }
    Ok(met)
}

/// The bytes of a message's value.
#[inline]
pub(super) fn content(raw: Raw<'_>) -> &[u8] {
    match raw {
        Raw::Len(bytes) | Raw::Group(bytes) => bytes,
        Raw::Varint(_) | Raw::Fixed32(_) | Raw::Fixed64(_) => &[],
    }
}

#[inline]
pub(super) fn wire_of(raw: Raw<'_>) -> u32 {
    match raw {
        Raw::Varint(_) => VARINT,
        Raw::Fixed64(_) => FIXED64,
        Raw::Len(_) => LEN,
        Raw::Group(_) => START_GROUP,
        Raw::Fixed32(_) => FIXED32,
    }
}

/// A value with only those bits of its varint that its kind has: what two values of a kind are compared by.
pub(super) fn narrowed(kind: Kind, raw: Raw<'_>) -> Raw<'_> {
    match (kind, raw) {
        (Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_), Raw::Varint(value)) => {
            Raw::Varint(u64::from(value as u32))
        }
        (Kind::Bool, Raw::Varint(value)) => Raw::Varint(u64::from(value != 0)),
        _ => raw,
    }
}

#[inline]
pub(super) fn is_default(kind: Kind, raw: Raw<'_>) -> bool {
    match narrowed(kind, raw) {
        Raw::Varint(value) | Raw::Fixed64(value) => value == 0,
        Raw::Fixed32(value) => value == 0,
        Raw::Len(bytes) => bytes.is_empty(),
        Raw::Group(_) => false,
    }
}

#[inline]
pub(super) fn is_packable(kind: Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_))
}

#[inline]
pub(super) fn is_64_bit(kind: Kind) -> bool {
    matches!(kind, Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64)
}

/// A message that came in pieces: Protobuf merges them, and so does their concatenation. One piece alone is not copied.
pub(super) fn merged<'w>(met: &[Met<'w>]) -> Cow<'w, [u8]> {
    let mut pieces = met.iter().map(|(_, raw)| content(*raw)).filter(|piece| !piece.is_empty());
    match (pieces.next(), pieces.next()) {
        (None, _) => Cow::Borrowed(&[]),
        (Some(one), None) => Cow::Borrowed(one),
        (Some(first), Some(second)) => {
            let mut whole = [first, second].concat();
            pieces.for_each(|piece| whole.extend_from_slice(piece));
            Cow::Owned(whole)
        }
    }
}
