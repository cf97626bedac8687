//! `[redis]`: what replicas share and can do without.

use super::Error;
use super::network::{Secured, SetUpError, check_user, trusting};
use crate::secrets;
use cache::redis::{Access, Options};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A Redis that replicas share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Redis {
    /// Where it is, `host:port`; without one there is none, and each process counts for itself.
    pub address: Option<String>,
    /// Which of its databases.
    pub database: u8,
    /// How long a request may take, before it is done without.
    #[serde(with = "edge::duration")]
    pub timeout: Duration,
    /// The user of its access list to log in as; `default` where only a password is given.
    pub user: Option<String>,
    /// The file with the password; the owner's alone to read.
    pub password_file: Option<PathBuf>,
    /// The authorities of its certificate, PEM: requests go over TLS then.
    pub tls_ca: Option<PathBuf>,
    /// Lets requests go without TLS to a host that is not this machine: only on a network that others cannot read.
    pub plaintext_network: bool,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            address: None,
            database: 0,
            timeout: Duration::from_millis(100),
            user: None,
            password_file: None,
            tls_ca: None,
            plaintext_network: false,
        }
    }
}

impl Redis {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let refuse = |key, value: String, allowed| Err(Error::Value { key, value, allowed });
        if !(Duration::from_millis(10)..=Duration::from_secs(10)).contains(&self.timeout) {
            return refuse("redis.timeout", format!("{:?}", self.timeout), "10ms to 10s");
        }
        check_user("redis.user", self.user.as_ref(), self.password_file.as_ref())?;
        let Some(address) = &self.address else { return Ok(()) };
        Secured::new(self.tls_ca.as_ref(), self.plaintext_network).check("redis.address", address)
    }

    /// A connection, where there is an address.
    pub fn connect(&self) -> Result<Option<cache::redis::Redis>, SetUpError> {
        let Some(address) = &self.address else { return Ok(None) };
        let mut options = Options::new(address).database(self.database).timeout(self.timeout);
        if let Some(file) = &self.password_file {
            options = options.access(Access { user: self.user.clone(), password: secrets::password(file)? });
        }
        if let Some(file) = &self.tls_ca {
            options = options.tls(trusting(file)?);
        }
        Ok(Some(cache::redis::Redis::new(options)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(redis: &Redis) -> String {
        redis.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_user_needs_a_password_and_a_request_some_time() {
        assert!(
            refused(&Redis { user: Some("riskmesh".into()), ..Redis::default() }).contains("password-file")
        );
        assert!(refused(&Redis { timeout: Duration::ZERO, ..Redis::default() }).contains("10ms"));
    }
}
