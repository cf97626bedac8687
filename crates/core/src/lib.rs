//! What every other crate speaks: typed ids, exact money, timestamps and the [`Clock`], sealed page cursors, column
//! encryption, and the one table of error codes. Nothing here does I/O.

pub mod cipher;
pub mod clock;
mod codes;
pub mod country;
pub mod cursor;
pub mod error;
pub mod fixed;
pub mod id;
pub mod language;
pub mod money;
pub mod page;
pub mod time_zone;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::{Detail, Error, ErrorCode, Result, ServiceError};
pub use fixed::{Price, Quantity};
pub use id::{
    AccountId, ClientId, InstrumentId, PaymentId, PortfolioId, TenantId, TradeId, TransactionId, UserId,
};
pub use money::{Currency, Money};
