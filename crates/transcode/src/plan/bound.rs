//! Which fields of a message are set already, by path or query.

use super::{Field, MessageId, Plans};

/// Fields of a message that path or query have set already, so that the body must not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// By field index.
    fields: Vec<(u32, Taken)>,
    oneofs: Vec<u32>,
}

/// How much of a field is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    Whole,
    /// Only some fields of the message inside.
    Inside(Bound),
}

impl Bound {
    /// Marks the field at the end of `path` (field indices from `message` down); false if it, a part of it, its parent
    /// as a whole, or another member of its oneof is taken already.
    pub(crate) fn take(&mut self, plans: &Plans, message: MessageId, path: &[u32]) -> bool {
        let Some((&index, rest)) = path.split_first() else { return false };
        let field = &plans.get(message).fields[index as usize];
        let known = self.fields.iter().position(|(taken, _)| *taken == index);
        let at = match (known, field.oneof) {
            (Some(at), _) => at,
            (None, Some(oneof)) if self.oneofs.contains(&oneof) => return false,
            (None, oneof) => {
                self.oneofs.extend(oneof);
                self.fields.push((
                    index,
                    if rest.is_empty() { Taken::Whole } else { Taken::Inside(Self::default()) },
                ));
                self.fields.len() - 1
            }
        };
        match (&mut self.fields[at].1, field.message()) {
            (Taken::Inside(inside), Some(message)) if !rest.is_empty() => inside.take(plans, message, rest),
            _ => known.is_none() && rest.is_empty(),
        }
    }

    /// The fields, and how much of each is taken.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (u32, &Taken)> {
        self.fields.iter().map(|(index, taken)| (*index, taken))
    }

    /// What is taken of a field, or of the oneof that it belongs to.
    pub(crate) fn get(&self, index: u32, field: &Field) -> Option<&Taken> {
        if let Some((_, taken)) = self.fields.iter().find(|(taken, _)| *taken == index) {
            return Some(taken);
        }
        field.oneof.filter(|oneof| self.oneofs.contains(oneof)).map(|_| &Taken::Whole)
    }
}
