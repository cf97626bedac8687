//! What is kept in Redis, and asked for by one script.

use super::super::{Redis, error};
use super::{EPOCH, PREFIX};
use crate::{Entry, Error};
use bytes::Bytes;
use fred::error::Error as Failure;
use fred::interfaces::{ClientInterface as _, ClientLike as _, TrackingInterface as _};
use fred::types::config::Options;
use fred::types::scripts::Script;
use fred::types::{CustomCommand, Value};
use std::sync::Arc;
use std::time::Duration;

const SCRIPT: &str = include_str!("script.lua");
/// Where claims are; not below [`PREFIX`], because who tracks entries has no use for them.
const CLAIM: &str = "riskmesh:claim:";

/// An answer, and the epoch that it was given in.
pub(super) struct Answer<T> {
    pub(super) epoch: u64,
    pub(super) found: T,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server does not know the script, or has no epoch: what it has may be from before anything.
    Strange,
    /// It did not answer, or with an error.
    Failed(Error),
}

/// An entry as Redis has it: what it has left to live, in place of the instant at which it ends.
pub(super) struct Found {
    pub(super) version: i64,
    pub(super) value: Bytes,
    pub(super) left: Duration,
    pub(super) load_time: Duration,
}

/// The entries in Redis.
pub(super) struct Remote {
    redis: Arc<Redis>,
    script: Script,
    options: Options,
}

impl Remote {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        // Nothing waits for a connection to come back, and nothing is sent when its time is over.
        let options = Options {
            timeout: Some(redis.timeout),
            max_attempts: Some(1),
            fail_fast: true,
            ..Options::default()
        };
        Self { redis, script: Script::from_lua(SCRIPT), options }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Answer<Option<Found>>, Refusal> {
        const DOING: &str = "read from the cache";
        let (epoch, rest) = self.ask(DOING, Some(entry(key)), vec!["get".into()]).await?;
        let found = match <[Value; 4]>::try_from(rest) {
            Ok([version, value, left, load_time]) => Some(
                found(&version, &value, &left, &load_time)
                    .ok_or_else(|| Refusal::Failed(Error { doing: DOING, source: "not an entry".into() }))?,
            ),
            Err(_) => None,
        };
        Ok(Answer { epoch, found })
    }

    pub(super) async fn put(&self, key: &str, put: &Entry, lives: Duration) -> Result<Answer<bool>, Refusal> {
        let arguments = vec![
            "put".into(),
            token(put.epoch).into(),
            ordered(put.version).into(),
            Value::Bytes(put.value.clone()),
            millis(lives),
            millis(put.load_time),
        ];
        let (epoch, rest) = self.ask("write to the cache", Some(entry(key)), arguments).await?;
        Ok(Answer { epoch, found: rest.first().and_then(Value::as_i64) == Some(1) })
    }

    pub(super) async fn remove(&self, key: &str, floor: i64, stands: Duration) -> Result<(), Refusal> {
        let arguments = vec!["remove".into(), ordered(floor).into(), millis(stands)];
        self.ask("remove from the cache", Some(entry(key)), arguments).await.map(drop)
    }

    /// Whether nobody claimed this in the last `hold`.
    pub(super) async fn claim(&self, key: &str, hold: Duration) -> Result<bool, Error> {
        const DOING: &str = "claim a refresh";
        let arguments = vec!["claim".into(), millis(hold)];
        let answer = self.evaluate(Some(format!("{CLAIM}{key}")), arguments).await;
        let answer = answer.map_err(|source| error(DOING, source))?.into_array();
        Ok(answer.get(1).and_then(Value::as_i64) == Some(1))
    }

    /// The epoch, from a server that knows the script.
    pub(super) async fn beat(&self) -> Result<u64, Refusal> {
        self.ask("ask whether the cache is there", None, vec!["beat".into()]).await.map(|(epoch, _)| epoch)
    }

    /// Begins another epoch: no entry of an earlier one is there any more.
    pub(super) async fn renew(&self, epoch: u64) -> Result<(), Error> {
        let arguments = vec!["renew".into(), token(epoch).into()];
        let answer = self.send("EVAL", SCRIPT.into(), None, arguments).await;
        answer.map(drop).map_err(|source| error("renew the cache", source))
    }

    /// Whether the connection is told of every change of an entry or of the epoch.
    pub(super) async fn is_tracking(&self) -> Result<bool, Error> {
        let client = self.redis.client.with_options(&self.options);
        let info = self.within(client.client_trackinginfo::<Value>()).await;
        let info = info.map_err(|source| error("ask whether changes are tracked", source))?;
        let info = info.into_map().map_err(|source| error("ask whether changes are tracked", source))?;
        let flags = info.inner().into_iter().find(|(name, _)| name.as_str() == Some("flags"));
        let flags = flags.map(|(_, flags)| flags.into_array()).unwrap_or_default();
        Ok(flags.iter().any(|flag| flag.as_str().as_deref() == Some("bcast")))
    }

    /// Has the connection told from now on.
    pub(super) async fn track(&self) -> Result<(), Error> {
        let client = self.redis.client.with_options(&self.options);
        let request = client.start_tracking(PREFIX, true, false, false, false);
        self.within(request).await.map_err(|source| error("track changes", source))
    }

    /// Has the connection made anew.
    pub(super) async fn reconnect(&self) {
        // The client goes on by itself where this is not enough time.
        let _ = tokio::time::timeout(self.redis.timeout, self.redis.client.force_reconnection()).await;
    }

    async fn ask(
        &self,
        doing: &'static str,
        key: Option<String>,
        arguments: Vec<Value>,
    ) -> Result<(u64, Vec<Value>), Refusal> {
        let answer = match self.evaluate(key, arguments).await {
            Ok(answer) => answer,
            Err(failure) if failure.details().starts_with("NOSCRIPT") => return Err(Refusal::Strange),
            Err(failure) => return Err(Refusal::Failed(error(doing, failure))),
        };
        let mut answer = answer.into_array();
        let epoch = if answer.is_empty() { None } else { Some(answer.remove(0)) };
        let epoch = epoch.as_ref().and_then(Value::as_bytes).and_then(hexadecimal);
        // An epoch that is not one of ours is as good as none.
        Ok((epoch.ok_or(Refusal::Strange)?, answer))
    }

    async fn evaluate(&self, key: Option<String>, arguments: Vec<Value>) -> Result<Value, Failure> {
        self.send("EVALSHA", Value::String(self.script.sha1().clone()), key, arguments).await
    }

    async fn send(
        &self,
        how: &'static str,
        script: Value,
        key: Option<String>,
        arguments: Vec<Value>,
    ) -> Result<Value, Failure> {
        let keys = 1 + i64::from(key.is_some());
        let words =
            [script, keys.into(), EPOCH.into()].into_iter().chain(key.map(Value::from)).chain(arguments);
        // The client's own call for scripts takes no options.
        let client = self.redis.client.with_options(&self.options);
        self.within(client.custom(CustomCommand::new_static(how, None, false), words.collect::<Vec<Value>>()))
            .await
    }

    /// The client's own timeout begins when a command is sent.
    async fn within<T>(&self, request: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let answer = tokio::time::timeout(self.redis.timeout * 2, request).await;
        answer.unwrap_or_else(|_| Err(Failure::new(fred::error::ErrorKind::Timeout, "no answer in time")))
    }
}

fn entry(key: &str) -> String {
    format!("{PREFIX}:{key}")
}

/// A version as 16 hex digits that are in order as strings.
fn ordered(version: i64) -> String {
    format!("{:016x}", version.cast_unsigned() ^ (1 << 63))
}

fn version(digits: &[u8]) -> Option<i64> {
    Some((hexadecimal(digits)? ^ (1 << 63)).cast_signed())
}

fn token(epoch: u64) -> String {
    format!("{epoch:016x}")
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn millis(duration: Duration) -> Value {
    duration.as_millis().to_string().into()
}

fn found(of: &Value, value: &Value, left: &Value, load_time: &Value) -> Option<Found> {
    let load_time = load_time.as_str()?.parse().ok()?;
    Some(Found {
        version: version(of.as_bytes()?)?,
        // A view into a larger buffer would keep all of it alive.
        value: Bytes::copy_from_slice(value.as_bytes()?),
        left: Duration::from_millis(left.as_u64()?),
        load_time: Duration::from_millis(load_time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn versions_are_in_order_as_strings(one: i64, two: i64) {
            prop_assert_eq!(ordered(one).cmp(&ordered(two)), one.cmp(&two));
            prop_assert_eq!(version(ordered(one).as_bytes()), Some(one));
        }
    }
}
