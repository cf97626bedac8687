//! `[redis]`: what replicas share and can do without.

use super::Error;
use crate::secrets;
use cache::redis::{Access, Options};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

/// Why a connection cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The password.
    #[error("read the password of Redis")]
    Password(#[from] secrets::Error),
    /// The authorities.
    #[error("read certificates from {}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address.
    #[error(transparent)]
    Connect(#[from] cache::Error),
}

impl Redis {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let refuse = |key, value: String, allowed| Err(Error::Value { key, value, allowed });
        if !(Duration::from_millis(10)..=Duration::from_secs(10)).contains(&self.timeout) {
            return refuse("redis.timeout", format!("{:?}", self.timeout), "10ms to 10s");
        }
        if let (Some(user), None) = (&self.user, &self.password_file) {
            return refuse("redis.user", user.clone(), "it needs a password-file");
        }
        let Some(address) = &self.address else { return Ok(()) };
        let Some((host, _)) = address.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()) else {
            return refuse("redis.address", address.clone(), "host:port");
        };
        if self.tls_ca.is_none() && !self.plaintext_network && !is_loopback(host) {
            let allowed =
                "it is on a network: tls-ca is needed, or plaintext-network where nobody else can read it";
            return refuse("redis.address", address.clone(), allowed);
        }
        Ok(())
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

fn trusting(file: &Path) -> Result<Arc<rustls::ClientConfig>, SetUpError> {
    let fail = |source| SetUpError::Authorities { path: file.to_owned(), source };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| fail(error.into()))? {
        roots.add(certificate.map_err(|error| fail(error.into()))?).map_err(|error| fail(error.into()))?;
    }
    if roots.is_empty() {
        return Err(fail("there is no certificate in it".into()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.into()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(redis: &Redis) -> String {
        redis.validate().unwrap_err().to_string()
    }

    #[test]
    fn beyond_this_machine_there_is_tls_or_a_word_that_it_may_lack() {
        let at = |address: &str| Redis { address: Some(address.into()), ..Redis::default() };
        for near in ["127.0.0.1:6379", "[::1]:6379", "localhost:6379"] {
            at(near).validate().unwrap();
        }
        let far = at("redis.bank:6379");
        assert!(refused(&far).contains("tls-ca"));
        Redis { tls_ca: Some("ca.pem".into()), ..far.clone() }.validate().unwrap();
        Redis { plaintext_network: true, ..far }.validate().unwrap();
        assert!(refused(&at("redis")).ends_with("host:port"));
        assert!(refused(&at("redis:port")).ends_with("host:port"));
    }

    #[test]
    fn a_user_needs_a_password_and_a_request_some_time() {
        assert!(
            refused(&Redis { user: Some("riskmesh".into()), ..Redis::default() }).contains("password-file")
        );
        assert!(refused(&Redis { timeout: Duration::ZERO, ..Redis::default() }).contains("10ms"));
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "not a certificate").unwrap();
        assert!(matches!(trusting(&file), Err(SetUpError::Authorities { .. })));
        assert!(matches!(trusting(&dir.path().join("none")), Err(SetUpError::Authorities { .. })));
    }
}
