//! Finishes what a crash cut off where there is nothing to tell of: the relay comes with the pointer that was left before.

use crate::events::{Failure, PAYMENT, PORTFOLIO, TRADES, row_reference};
use crate::payments::Payments;
use crate::portfolios::Portfolios;
use crate::repo::trades::Owner;
use crate::trades::Trades;
use async_trait::async_trait;
use bus::{Outgoing, PendingSource};
use riskmesh_core::{ErrorCode, PaymentId, PortfolioId, TenantId};

/// Finishes operations of one kind.
#[async_trait]
pub(crate) trait Finish: Send + Sync + 'static {
    /// The kind of the pointers.
    const KIND: &'static str;

    /// Finishes what a pointer refers to; doing it again changes nothing.
    async fn finish(&self, reference: &[u8]) -> Result<(), Failure>;
}

/// The relay's view of operations.
pub(crate) struct Repair<T>(pub(crate) T);

#[async_trait]
impl<T: Finish> PendingSource for Repair<T> {
    fn kind(&self) -> &'static str {
        T::KIND
    }

    async fn pending(&self, reference: &[u8]) -> Result<Vec<Outgoing>, Failure> {
        self.0.finish(reference).await?;
        Ok(Vec::new())
    }

    async fn clear(&self, _: &[u8], _: &[Outgoing]) -> Result<(), Failure> {
        Ok(())
    }
}

/// Books payments. What there is to tell is told of their entries.
#[async_trait]
impl Finish for Payments {
    const KIND: &'static str = PAYMENT;

    async fn finish(&self, reference: &[u8]) -> Result<(), Failure> {
        let (tenant, id) = row_reference::<PaymentId>(reference)?;
        let Some(payment) = self.rows.latest(&tenant, &id).await? else { return Ok(()) };
        match self.settled(&tenant, payment).await {
            // Rejected: that is settled, too.
            Err(error) if error.code != ErrorCode::AccountNotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Puts portfolios on the list, or takes them off it.
#[async_trait]
impl Finish for Portfolios {
    const KIND: &'static str = PORTFOLIO;

    async fn finish(&self, reference: &[u8]) -> Result<(), Failure> {
        let (tenant, id) = row_reference::<PortfolioId>(reference)?;
        if let Some(portfolio) = self.rows.latest(&tenant, &id).await? {
            self.settle(&tenant, portfolio).await?;
        }
        Ok(())
    }
}

/// The same for the trades of a partition.
#[async_trait]
impl Finish for Trades {
    const KIND: &'static str = TRADES;

    async fn finish(&self, reference: &[u8]) -> Result<(), Failure> {
        let mut parts = std::str::from_utf8(reference)?.split('\n');
        let mut part = || parts.next().ok_or("reference of trades");
        let owner = Owner { tenant: TenantId::new(part()?)?, portfolio: PortfolioId::new(part()?)? };
        Ok(self.relist(&owner, part()?.parse()?).await?)
    }
}
