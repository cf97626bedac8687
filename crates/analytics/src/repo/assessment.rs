//! The columns of an assessment, which the row of a score and those of its history have in common.

use crate::cached::band;
use crate::domain::assessment::{Assessment, Reason};
use crate::error::{Doing as _, Error};
use prost::Message;
use risk::StateHash;
use store::{Row, Table, Upsert};

/// The reasons of a row.
#[derive(Clone, PartialEq, Message)]
struct Reasons {
    #[prost(message, repeated, tag = "1")]
    all: Vec<Reason>,
}

/// The row with an assessment's columns.
pub(super) fn set(row: Upsert, assessment: &Assessment) -> Upsert {
    let reasons = Reasons { all: assessment.reasons.clone() };
    row.set("score", i32::from(assessment.score))
        .set("category", assessment.category.as_str())
        .set("confidence_bp", i32::from(assessment.confidence_bp))
        .set("reasons", reasons.encode_to_vec())
        .set("model_version", &assessment.model_version)
        .set("refdata_version", &assessment.refdata_version)
        .set("as_of", assessment.as_of)
        .set("state_hash", assessment.state_hash.0.as_slice())
}

/// The assessment in a row of this table.
pub(super) fn read(table: &Table, row: &Row) -> Result<Assessment, Error> {
    let doing = "read assessment";
    let corrupt = |column| Error::Corrupt { table: table.name, column };
    let text = |column: &'static str| row.text(column).doing(doing);
    let hash = row.blob("state_hash").doing(doing)?.as_ref().try_into().map_err(|_| corrupt("state_hash"))?;
    let reasons =
        Reasons::decode(row.blob("reasons").doing(doing)?.as_ref()).map_err(|_| corrupt("reasons"))?;
    Ok(Assessment {
        score: score_opt(table, row, "score")?.ok_or_else(|| corrupt("score"))?,
        category: band(text("category")?).ok_or_else(|| corrupt("category"))?,
        confidence_bp: u16::try_from(row.int("confidence_bp").doing(doing)?)
            .map_err(|_| corrupt("confidence_bp"))?,
        reasons: reasons.all,
        model_version: text("model_version")?.to_owned(),
        refdata_version: text("refdata_version")?.to_owned(),
        as_of: row.timestamp("as_of").doing(doing)?,
        state_hash: StateHash(hash),
    })
}

/// A score in a column; none where it is null.
pub(super) fn score_opt(table: &Table, row: &Row, column: &'static str) -> Result<Option<u8>, Error> {
    let corrupt = || Error::Corrupt { table: table.name, column };
    let number = row.int_opt(column).doing("read assessment")?;
    number.map(|number| u8::try_from(number).ok().filter(|n| *n <= 100).ok_or_else(corrupt)).transpose()
}
