//! What the servers that are reached over a network have in common: where they are, how they are trusted, how one logs in.

use super::Error;
use crate::secrets;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a connection cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The password.
    #[error("read the password")]
    Password(#[from] secrets::Error),
    /// The authorities.
    #[error("read certificates from {}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address of Redis.
    #[error(transparent)]
    Redis(#[from] cache::Error),
}

/// How requests to a server are kept from others on the way.
#[derive(Clone, Copy)]
pub(super) enum Secured {
    /// By TLS.
    Tls,
    /// Not at all, and that is said to be fine.
    Declared,
    /// Not at all.
    No,
}

impl Secured {
    pub(super) fn new(tls_ca: Option<&PathBuf>, plaintext_network: bool) -> Self {
        match tls_ca {
            Some(_) => Self::Tls,
            None if plaintext_network => Self::Declared,
            None => Self::No,
        }
    }

    /// Checks an address under this key: `host:port`, on this machine or secured.
    pub(super) fn check(self, key: &'static str, address: &str) -> Result<(), Error> {
        let refuse = |allowed| Err(Error::Value { key, value: address.to_owned(), allowed });
        let split = address.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let Some((host, _)) = split.filter(|(host, _)| !host.is_empty()) else { return refuse("host:port") };
        match self {
            Self::No if !is_loopback(host) => refuse(
                "it is on a network: TLS is needed, or plaintext-network where nobody else can read it",
            ),
            _ => Ok(()),
        }
    }
}

/// Checks that who names a user has a password for it.
pub(super) fn check_user(
    key: &'static str,
    user: Option<&String>,
    password_file: Option<&PathBuf>,
) -> Result<(), Error> {
    match (user, password_file) {
        (Some(user), None) => {
            Err(Error::Value { key, value: user.clone(), allowed: "it needs a password-file" })
        }
        _ => Ok(()),
    }
}

/// TLS that trusts the authorities of a PEM file, and no others.
pub(super) fn trusting(file: &Path) -> Result<Arc<rustls::ClientConfig>, SetUpError> {
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

    #[test]
    fn beyond_this_machine_there_is_tls_or_a_word_that_it_may_lack() {
        let refused =
            |secured: Secured, address: &str| secured.check("k", address).map_err(|e| e.to_string());
        for near in ["127.0.0.1:6379", "[::1]:6379", "localhost:6379"] {
            refused(Secured::No, near).unwrap();
        }
        assert!(refused(Secured::No, "redis.bank:6379").unwrap_err().contains("TLS"));
        refused(Secured::Tls, "redis.bank:6379").unwrap();
        refused(Secured::Declared, "redis.bank:6379").unwrap();
        for wrong in ["redis", "redis:port", ":1", ""] {
            assert!(refused(Secured::Tls, wrong).unwrap_err().ends_with("host:port"), "{wrong}");
        }
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
