//! How enum values are written outside of Protobuf: as the `spelling` options in the protos say, in JSON as in files.

use riskmesh_core::{Detail, Error};

/// An enum whose values have spellings.
pub trait Spelled: TryFrom<i32> {
    /// Numbers with their spellings; values without one are left out.
    const ALL: &'static [(i32, &'static str)];

    /// The value that is written so.
    fn spelled(text: &str) -> Option<Self> {
        let (number, _) = Self::ALL.iter().find(|(_, spelling)| *spelling == text)?;
        Self::try_from(*number).ok()
    }

    /// How this value is written; none for one without a spelling.
    fn spelling(self) -> Option<&'static str>
    where
        Self: Into<i32>,
    {
        let value = self.into();
        Self::ALL.iter().find(|(number, _)| *number == value).map(|(_, spelling)| *spelling)
    }
}

/// `INVALID_INPUT` for a field that has to say one of an enum's values.
pub fn required<S: Spelled>(field: &'static str) -> Error {
    let known: Vec<&str> = S::ALL.iter().map(|(_, spelling)| *spelling).collect();
    Error::invalid(Detail::expected(field, "is required", format!("one of {}", known.join(", "))))
}

include!(concat!(env!("OUT_DIR"), "/spellings.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::v1::TransactionType;

    #[test]
    fn values_are_found_by_their_spelling_only() {
        assert_eq!(TransactionType::spelled("direct_debit"), Some(TransactionType::DirectDebit));
        for other in ["", "Direct_Debit", "TRANSACTION_TYPE_CASH", "2"] {
            assert_eq!(TransactionType::spelled(other), None, "{other}");
        }
        assert_eq!(TransactionType::DirectDebit.spelling(), Some("direct_debit"));
        assert_eq!(TransactionType::Unspecified.spelling(), None);
    }
}
