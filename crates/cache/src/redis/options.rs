//! How a server is reached.

use crate::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a [`Redis`](super::Redis).
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) address: String,
    pub(super) database: u8,
    pub(super) access: Option<Access>,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) timeout: Duration,
}

/// Whom the server knows this process as.
#[derive(Clone)]
pub struct Access {
    /// The user of its access list; none is `default`.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Options {
    /// A server at `host:port`. Otherwise: database 0, no password, no TLS, 100 ms a request.
    pub fn new(address: impl Into<String>) -> Self {
        let timeout = Duration::from_millis(100);
        Self { address: address.into(), database: 0, access: None, tls: None, timeout }
    }

    /// Another database of the server.
    #[must_use]
    pub const fn database(mut self, number: u8) -> Self {
        self.database = number;
        self
    }

    /// With a password.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Over TLS; the server's certificate is for the host of the address.
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// How long a request may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn host_and_port(&self) -> Result<(String, u16), Error> {
        let wrong = || Error {
            doing: "read the address of Redis: it is host:port",
            source: self.address.as_str().into(),
        };
        let (host, port) = self.address.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|_| !host.is_empty()).ok_or_else(wrong)?;
        Ok((host.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let read = |address: &str| Options::new(address).host_and_port().ok();
        assert_eq!(read("redis.bank:6379"), Some(("redis.bank".into(), 6379)));
        assert_eq!(read("[::1]:6379"), Some(("::1".into(), 6379)));
        for wrong in ["redis", ":6379", "redis:", "redis:66000", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let access = Access { user: Some("riskmesh".into()), password: "hunter2".into() };
        let printed = format!("{:?}", Options::new("redis:6379").access(access));
        assert!(printed.contains("riskmesh") && !printed.contains("hunter2"), "{printed}");
    }
}
