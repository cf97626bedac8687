//! Score rows: where each client stands.

use super::assessment;
use crate::domain::standing::{Pending, Standing};
use crate::error::{Doing as _, Error};
use crate::tables::SCORES;
use risk::Alarm;
use riskmesh_core::{ClientId, TenantId};
use std::sync::Arc;
use store::race::Race;
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
        let mut race = Race::default();
        while race.again((tenant, &standing.client)).await {
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
    assessment::set(upsert(()), &standing.assessment)
        .set("revision", standing.revision)
        .set("version", standing.version)
        .set("change", standing.change)
        .set("born", standing.born)
        .set("ordinal", standing.ordinal.cast_signed())
        .set("pending", standing.pending.map(Pending::code))
        .set("deleted", standing.deleted.then_some(true))
        .set("previous_score", standing.previous_score.map(i32::from))
        .set("updated_at", standing.updated_at)
        .set("alerted", (standing.alarm == Alarm::Fired).then_some(true))
}

fn read(row: &Row) -> Result<Standing, Error> {
    let corrupt = |column| Error::Corrupt { table: SCORES.name, column };
    let doing = "read score";
    let pending = row.int_opt("pending").doing(doing)?;
    let pending =
        pending.map(|code| Pending::from_code(code).ok_or_else(|| corrupt("pending"))).transpose()?;
    Ok(Standing {
        client: ClientId::new(row.text("client_id").doing(doing)?).map_err(|_| corrupt("client_id"))?,
        assessment: assessment::read(&SCORES, row)?,
        previous_score: assessment::score_opt(&SCORES, row, "previous_score")?,
        updated_at: row.timestamp("updated_at").doing(doing)?,
        version: row.bigint("version").doing(doing)?,
        revision: row.bigint("revision").doing(doing)?,
        // A row from before there was a history has none yet.
        change: row.bigint_opt("change").doing(doing)?.unwrap_or(0),
        born: row.bigint_opt("born").doing(doing)?.unwrap_or(1),
        ordinal: row.bigint("ordinal").doing(doing)?.cast_unsigned(),
        alarm: match row.boolean_opt("alerted").doing(doing)? {
            Some(true) => Alarm::Fired,
            _ => Alarm::Armed,
        },
        pending,
        deleted: row.boolean_opt("deleted").doing(doing)?.unwrap_or(false),
    })
}
