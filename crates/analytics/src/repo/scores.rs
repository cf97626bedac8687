//! Score rows: where each client stands.

use crate::cached::band;
use crate::domain::assessment::{Assessment, Reason};
use crate::domain::standing::{Pending, Standing};
use crate::error::{Doing as _, Error};
use crate::tables::SCORES;
use prost::Message;
use risk::{Alarm, StateHash};
use riskmesh_core::{ClientId, TenantId};
use std::sync::Arc;
use store::{Cas, Get, Outcome, Resume, Row, Store, TokenScan, Upsert, upsert};

/// Rows of one page of a scan.
const PAGE: usize = 1000;

/// Reads and writes score rows.
#[derive(Clone)]
pub(crate) struct Scores {
    store: Arc<dyn Store>,
}

/// Rows of a page that are out of date.
pub(crate) struct Outdated {
    pub(crate) outdated: Vec<(TenantId, ClientId)>,
    /// Where the next page begins.
    pub(crate) resume: Option<Resume>,
}

/// The reasons of a row.
#[derive(Clone, PartialEq, Message)]
struct Reasons {
    #[prost(message, repeated, tag = "1")]
    all: Vec<Reason>,
}

impl Scores {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// A client's row, tombstones too.
    pub(crate) async fn get(&self, tenant: &TenantId, client: &ClientId) -> Result<Option<Standing>, Error> {
        self.store.get(key(tenant, client)).await.doing("read score")?.as_ref().map(read).transpose()
    }

    /// The same by a serial read: what holds after a write whose outcome is unknown.
    pub(crate) async fn latest(
        &self,
        tenant: &TenantId,
        client: &ClientId,
    ) -> Result<Option<Standing>, Error> {
        self.store.get(key(tenant, client).latest()).await.doing("read score")?.as_ref().map(read).transpose()
    }

    /// Many rows in their order; those that are missing or deleted are left out.
    pub(crate) async fn get_many(
        &self,
        tenant: &TenantId,
        clients: &[ClientId],
    ) -> Result<Vec<Standing>, Error> {
        let gets = clients.iter().map(|client| key(tenant, client)).collect();
        let rows = self.store.get_many(gets).await.doing("read scores")?;
        let mut standings = Vec::with_capacity(rows.len());
        for row in rows.iter().flatten() {
            standings.push(read(row)?);
        }
        standings.retain(|standing| !standing.deleted);
        Ok(standings)
    }

    /// A page of all rows, of which it gives those of another model or other reference data.
    pub(crate) async fn outdated(
        &self,
        model: &str,
        refdata: &str,
        resume: Option<Resume>,
    ) -> Result<Outdated, Error> {
        let doing = "scan scores";
        let page = self.store.token_scan(TokenScan::new(&SCORES, PAGE).resume(resume)).await.doing(doing)?;
        let mut outdated = Vec::new();
        for row in &page.rows {
            let corrupt = |column| Error::Corrupt { table: SCORES.name, column };
            let current = row.text("model_version").doing(doing)? == model
                && row.text("refdata_version").doing(doing)? == refdata;
            if !current && row.boolean_opt("deleted").doing(doing)? != Some(true) {
                outdated.push((
                    TenantId::new(row.text("tenant").doing(doing)?).map_err(|_| corrupt("tenant"))?,
                    ClientId::new(row.text("client_id").doing(doing)?).map_err(|_| corrupt("client_id"))?,
                ));
            }
        }
        Ok(Outdated { outdated, resume: page.resume })
    }

    /// Writes the row if it is still `before`. Says whether it did; `false` too if nobody knows.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantId,
        before: Option<&Standing>,
        after: &Standing,
    ) -> Result<bool, Error> {
        let cas = Cas::new(&SCORES, (tenant.as_str(), after.client.as_str()));
        let cas = match before {
            None => cas.if_absent(()),
            Some(before) => cas.if_equals((), "revision", before.revision),
        };
        match self.store.cas(cas.with(columns(after))).await.doing("write score")? {
            Outcome::Applied => Ok(true),
            Outcome::Conflict(_) => Ok(false),
            // Another writer of the same revision would have written the same only if it saw the same: then it does not matter whose
            // it is.
            Outcome::Unknown => Ok(self.latest(tenant, &after.client).await?.as_ref() == Some(after)),
        }
    }

    /// Marks the last change as told, if it still is the last one; repeating it does no harm.
    pub(crate) async fn told(&self, tenant: &TenantId, standing: &Standing) -> Result<(), Error> {
        let cas = Cas::new(&SCORES, (tenant.as_str(), standing.client.as_str()))
            .if_equals((), "revision", standing.revision)
            .with(upsert(()).set("pending", None::<i32>));
        for _ in 0..super::RACES {
            match self.store.cas(cas.clone()).await.doing("mark score as told")? {
                Outcome::Applied | Outcome::Conflict(_) => return Ok(()),
                Outcome::Unknown => {}
            }
        }
        Err(Error::Contended { doing: "mark score as told" })
    }
}

fn key(tenant: &TenantId, client: &ClientId) -> Get {
    Get::row(&SCORES, (tenant.as_str(), client.as_str()), ())
}

fn columns(standing: &Standing) -> Upsert {
    let assessment = &standing.assessment;
    let reasons = Reasons { all: assessment.reasons.clone() };
    upsert(())
        .set("revision", standing.revision)
        .set("version", standing.version)
        .set("ordinal", standing.ordinal.cast_signed())
        .set("pending", standing.pending.map(Pending::code))
        .set("deleted", standing.deleted.then_some(true))
        .set("score", i32::from(assessment.score))
        .set("previous_score", standing.previous_score.map(i32::from))
        .set("category", assessment.category.as_str())
        .set("confidence_bp", i32::from(assessment.confidence_bp))
        .set("reasons", reasons.encode_to_vec())
        .set("model_version", &assessment.model_version)
        .set("refdata_version", &assessment.refdata_version)
        .set("as_of", assessment.as_of)
        .set("state_hash", assessment.state_hash.0.as_slice())
        .set("updated_at", standing.updated_at)
        .set("alerted", (standing.alarm == Alarm::Fired).then_some(true))
}

fn read(row: &Row) -> Result<Standing, Error> {
    let corrupt = |column| Error::Corrupt { table: SCORES.name, column };
    let doing = "read score";
    let text = |column: &'static str| row.text(column).doing(doing);
    let score =
        |number: i32, column| u8::try_from(number).ok().filter(|n| *n <= 100).ok_or_else(|| corrupt(column));
    let category = band(text("category")?).ok_or_else(|| corrupt("category"))?;
    let hash = row.blob("state_hash").doing(doing)?.as_ref().try_into().map_err(|_| corrupt("state_hash"))?;
    let reasons =
        Reasons::decode(row.blob("reasons").doing(doing)?.as_ref()).map_err(|_| corrupt("reasons"))?;
    let pending = row.int_opt("pending").doing(doing)?;
    let pending =
        pending.map(|code| Pending::from_code(code).ok_or_else(|| corrupt("pending"))).transpose()?;
    Ok(Standing {
        client: ClientId::new(text("client_id")?).map_err(|_| corrupt("client_id"))?,
        assessment: Assessment {
            score: score(row.int("score").doing(doing)?, "score")?,
            category,
            confidence_bp: u16::try_from(row.int("confidence_bp").doing(doing)?)
                .map_err(|_| corrupt("confidence_bp"))?,
            reasons: reasons.all,
            model_version: text("model_version")?.to_owned(),
            refdata_version: text("refdata_version")?.to_owned(),
            as_of: row.timestamp("as_of").doing(doing)?,
            state_hash: StateHash(hash),
        },
        previous_score: row
            .int_opt("previous_score")
            .doing(doing)?
            .map(|number| score(number, "previous_score"))
            .transpose()?,
        updated_at: row.timestamp("updated_at").doing(doing)?,
        version: row.bigint("version").doing(doing)?,
        revision: row.bigint("revision").doing(doing)?,
        ordinal: row.bigint("ordinal").doing(doing)?.cast_unsigned(),
        alarm: match row.boolean_opt("alerted").doing(doing)? {
            Some(true) => Alarm::Fired,
            _ => Alarm::Armed,
        },
        pending,
        deleted: row.boolean_opt("deleted").doing(doing)?.unwrap_or(false),
    })
}
