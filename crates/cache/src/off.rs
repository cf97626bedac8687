//! No cache.

use crate::{Cache, Entry, Error};
use async_trait::async_trait;
use riskmesh_core::Timestamp;

/// Keeps nothing: for processes that share data and have no cache to share. One of its own would not hear what the others change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Off;

#[async_trait]
impl Cache for Off {
    async fn get(&self, _: &str) -> Result<Option<Entry>, Error> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Entry) -> Result<bool, Error> {
        Ok(false)
    }

    async fn remove(&self, _: &str, _: i64, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }
}
