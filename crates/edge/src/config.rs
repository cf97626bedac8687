//! What an operator can set about the HTTP front. Durations are written as people do: `"15s"`, `"500ms"`, `"2m"`.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// The `[edge]` section of `riskmesh.toml`; every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Where to listen. Anything but a loopback address needs TLS, or [`plaintext_behind_proxy`](Self::plaintext_behind_proxy).
    pub listen: SocketAddr,
    /// Lets the edge listen without TLS on any address: only where a proxy in front of it ends TLS.
    pub plaintext_behind_proxy: bool,
    /// The most connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// The most bytes of a request's path with its query.
    pub uri_bytes: usize,
    /// The most bytes of a request's headers, names and values.
    pub header_bytes: usize,
    /// The most headers of a request.
    pub header_count: usize,
    /// How long a connection may take to send a request's head, and how long an HTTP/1 connection may idle.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// The most bytes of a request's body.
    pub body_bytes: usize,
    /// The same for batch methods (`…:batchCreate`).
    pub batch_body_bytes: usize,
    /// The most memory that requests under way may take, all together: bodies as they come, answers until they are taken. Who comes when
    /// it is used up gets 503.
    pub in_flight_bytes: usize,
    /// How long a request's body may take to arrive, and a stream's to go on: 408 after that.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long an answer may wait for its caller to take the next part of it; then the connection is closed, or the stream reset.
    #[serde(with = "duration")]
    pub write_timeout: Duration,
    /// How long a request may take where its method says nothing: 504 after that. A caller may ask for less.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How long requests under way may take to finish when the server stops; then they are cut.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// How many requests an API client may make in any 60 seconds; 0 is no limit.
    pub rate_limit_per_minute: u32,
    /// How many edges count these requests together, where they do: while they cannot, each lets its share through.
    pub replicas: u32,
    /// The origins whose pages may call the API (`https://console.example.com`), or `*` alone; none by default.
    pub cors_origins: Vec<String>,
    /// HTTP/2.
    pub http2: Http2,
}

/// What can be set about HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Http2 {
    /// The most requests at once on one connection.
    pub max_concurrent_streams: u32,
    /// How long a connection may be without a request; then it is closed, once it has nothing more to answer.
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    /// How often a quiet connection is asked whether it is alive.
    #[serde(with = "duration")]
    pub keep_alive_interval: Duration,
    /// How long it may take to answer.
    #[serde(with = "duration")]
    pub keep_alive_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            plaintext_behind_proxy: false,
            max_connections: 10_000,
            uri_bytes: 16 << 10,
            header_bytes: 32 << 10,
            header_count: 100,
            header_timeout: Duration::from_secs(10),
            body_bytes: 1 << 20,
            batch_body_bytes: 8 << 20,
            in_flight_bytes: 512 << 20,
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(20),
            rate_limit_per_minute: 100,
            replicas: 1,
            cors_origins: Vec::new(),
            http2: Http2::default(),
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 128,
            idle_timeout: Duration::from_mins(5),
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(10),
        }
    }
}

/// A setting that cannot be: its key, its value, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("edge.{key} = {value} is not possible: {allowed}")]
pub struct Invalid {
    /// The key within the section.
    pub key: &'static str,
    /// The value as set.
    pub value: String,
    /// What it must be.
    pub allowed: &'static str,
}

impl Config {
    /// The most bytes of a message of any method.
    pub(crate) fn message_bytes(&self) -> usize {
        self.body_bytes.max(self.batch_body_bytes)
    }

    /// Finds the first setting that cannot be. Call it before binding.
    pub fn check(&self) -> Result<(), Invalid> {
        let invalid = |key, value: &dyn std::fmt::Debug, allowed| {
            Err(Invalid { key, value: format!("{value:?}"), allowed })
        };
        if !self.listen.ip().is_loopback() && !self.plaintext_behind_proxy {
            let allowed = "without TLS it must be a loopback address (127.0.0.1:8080), or set plaintext-behind-proxy = true \
                           where a proxy in front ends TLS";
            return invalid("listen", &self.listen, allowed);
        }
        let counts: [(&'static str, usize, usize, usize, &'static str); 7] = [
            ("max-connections", self.max_connections, 1, 1 << 20, "it must be 1 to 1048576"),
            // The http crate has no URI of more than 65,534 bytes: hyper answers for longer ones, without a body.
            ("uri-bytes", self.uri_bytes, 1 << 10, 65_000, "it must be 1024 to 65000"),
            ("header-bytes", self.header_bytes, 4 << 10, 1 << 20, "it must be 4096 to 1048576"),
            ("header-count", self.header_count, 16, 1000, "it must be 16 to 1000"),
            ("body-bytes", self.body_bytes, 1 << 10, 64 << 20, "it must be 1024 to 67108864"),
            ("batch-body-bytes", self.batch_body_bytes, 1 << 10, 64 << 20, "it must be 1024 to 67108864"),
            (
                "in-flight-bytes",
                self.in_flight_bytes,
                1 << 20,
                1 << 40,
                "it must be 1048576 to 1099511627776",
            ),
        ];
        for (key, value, min, max, allowed) in counts {
            if !(min..=max).contains(&value) {
                return invalid(key, &value, allowed);
            }
        }
        if self.in_flight_bytes < 2 * self.message_bytes() {
            let allowed = "it must be at least twice body-bytes and batch-body-bytes";
            return invalid("in-flight-bytes", &self.in_flight_bytes, allowed);
        }
        let times = [
            ("header-timeout", self.header_timeout),
            ("body-timeout", self.body_timeout),
            ("write-timeout", self.write_timeout),
            ("request-timeout", self.request_timeout),
            ("http2.idle-timeout", self.http2.idle_timeout),
            ("http2.keep-alive-interval", self.http2.keep_alive_interval),
            ("http2.keep-alive-timeout", self.http2.keep_alive_timeout),
        ];
        for (key, value) in times {
            if !(Duration::from_millis(10)..=Duration::from_hours(1)).contains(&value) {
                return invalid(key, &value, "it must be 10ms to 1h");
            }
        }
        if self.drain_timeout > Duration::from_hours(1) {
            return invalid("drain-timeout", &self.drain_timeout, "it must be at most 1h");
        }
        if self.http2.max_concurrent_streams == 0 {
            return invalid("http2.max-concurrent-streams", &0, "it must be at least 1");
        }
        if self.rate_limit_per_minute > 1_000_000 {
            let allowed = "it must be at most 1000000, or 0 for no limit";
            return invalid("rate-limit-per-minute", &self.rate_limit_per_minute, allowed);
        }
        if !(1..=1000).contains(&self.replicas) {
            return invalid("replicas", &self.replicas, "it must be 1 to 1000");
        }
        let wrong = self.cors_origins.iter().find(|origin| !is_origin(origin, self.cors_origins.len() == 1));
        match wrong {
            Some(origin) => invalid(
                "cors-origins",
                origin,
                "an origin is scheme://host[:port] with nothing behind it, or * alone",
            ),
            None => Ok(()),
        }
    }
}

/// `scheme://host[:port]`, as browsers send it.
fn is_origin(text: &str, alone: bool) -> bool {
    if text == "*" {
        return alone;
    }
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-:[]".contains(&c);
    matches!(scheme, "http" | "https") && !host.is_empty() && host.bytes().all(plain)
}

/// Durations as people write them, for serde's `with`.
pub mod duration {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::borrow::Cow;
    use std::time::Duration;

    /// As text: `"1m30s"`.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let signed = jiff::SignedDuration::try_from(*value).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&format!("{signed:#}"))
    }

    /// From text; a negative one is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let wrong =
            || de::Error::custom(format!("{text:?} is no duration such as \"15s\", \"500ms\" or \"2m\""));
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        Duration::try_from(signed).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn read(json: serde_json::Value) -> Result<Config, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_valid_and_print_as_they_read() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
        let printed = serde_json::to_value(&config).unwrap();
        assert_eq!(printed["request-timeout"], "15s");
        assert_eq!(read(printed).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_and_a_bad_duration_are_named() {
        assert!(
            read(serde_json::json!({"request-timeouts": "1s"})).unwrap_err().contains("request-timeouts")
        );
        let error = read(serde_json::json!({"request-timeout": "soon"})).unwrap_err();
        assert!(error.contains("soon") && error.contains("15s"), "{error}");
        assert!(read(serde_json::json!({"request-timeout": "-1s"})).is_err());
    }

    #[test]
    fn a_public_address_without_tls_is_refused_unless_a_proxy_ends_it() {
        let public = Config { listen: "0.0.0.0:8080".parse().unwrap(), ..Config::default() };
        let error = public.check().unwrap_err();
        assert_eq!(error.key, "listen");
        assert!(
            error.to_string().contains("0.0.0.0:8080")
                && error.to_string().contains("plaintext-behind-proxy")
        );
        assert_eq!(Config { plaintext_behind_proxy: true, ..public }.check(), Ok(()));
    }

    #[test]
    fn impossible_values_are_named_with_what_is_allowed() {
        let with = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().key
        };
        assert_eq!(with(|c| c.max_connections = 0), "max-connections");
        assert_eq!(with(|c| c.uri_bytes = 1 << 16), "uri-bytes");
        assert_eq!(with(|c| c.in_flight_bytes = 1000), "in-flight-bytes");
        assert_eq!(with(|c| c.in_flight_bytes = c.batch_body_bytes), "in-flight-bytes");
        assert_eq!(with(|c| c.body_timeout = Duration::ZERO), "body-timeout");
        assert_eq!(with(|c| c.http2.max_concurrent_streams = 0), "http2.max-concurrent-streams");
        assert_eq!(with(|c| c.rate_limit_per_minute = u32::MAX), "rate-limit-per-minute");
        assert_eq!(with(|c| c.replicas = 0), "replicas");
        assert_eq!(with(|c| c.cors_origins = vec!["https://a.example/".into()]), "cors-origins");
        assert_eq!(with(|c| c.cors_origins = vec!["*".into(), "https://a.example".into()]), "cors-origins");
    }
}
