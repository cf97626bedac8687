//! Whose pages may open sockets: those of the server's own origin (RFC 6454), and of origins that are listed.

use std::net::Ipv6Addr;

use http::header;
use http::request::Parts;
use http::uri::{Authority, Scheme};

/// Scheme, host and port, each in its one form.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    /// None for the default of a scheme that is not HTTP's.
    port: Option<u16>,
}

impl Origin {
    /// Reads an origin as browsers send it.
    fn of(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        Self::new(scheme, &authority.parse().ok()?)
    }

    fn new(scheme: &str, authority: &Authority) -> Option<Self> {
        let scheme = scheme.to_ascii_lowercase();
        let (host, text) = (authority.host(), authority.as_str());
        // With a user before its host it is no origin.
        let port = text.strip_prefix(host).filter(|_| !host.is_empty())?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default_port(&scheme),
            Some("") => default_port(&scheme),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = address.and_then(|address| address.parse::<Ipv6Addr>().ok());
        let host = address.map_or_else(|| host.to_ascii_lowercase(), |address| address.to_string());
        Some(Self { scheme, host, port })
    }

    /// Whether the server of a handshake is of this origin. Of a server whose scheme nobody knows it is taken to be the page's.
    fn serves(&self, handshake: &Parts) -> bool {
        let known = handshake.extensions.get::<Scheme>().or_else(|| handshake.uri.scheme());
        let scheme = match known.map(|scheme| scheme.as_str().to_ascii_lowercase()).as_deref() {
            Some("http" | "ws") => "http",
            Some("https" | "wss") => "https",
            None if matches!(&*self.scheme, "http" | "https") => &self.scheme,
            _ => return false,
        };
        // What the request's target says goes before `Host` (RFC 9112, section 3.2.2).
        let host = || one(handshake, &header::HOST)?.parse().ok();
        let authority = handshake.uri.authority().cloned().or_else(host);
        authority.and_then(|authority| Self::new(scheme, &authority)).as_ref() == Some(self)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The text of a header that is there once.
fn one<'a>(handshake: &'a Parts, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = handshake.headers.get_all(name).iter();
    let value = values.next()?;
    value.to_str().ok().filter(|_| values.next().is_none())
}

/// Whether a browser could send such an origin.
pub(super) fn is_origin(text: &str) -> bool {
    text == "null" || Origin::of(text).is_some()
}

/// Whether the page that asks for a socket may have it. Who names no origin is no browser.
pub(super) fn allows(handshake: &Parts, listed: &[String]) -> bool {
    if !handshake.headers.contains_key(header::ORIGIN) {
        return true;
    }
    let Some(text) = one(handshake, &header::ORIGIN) else { return false };
    let page = Origin::of(text);
    // What has no host, as `null`, may be listed too.
    let is = |known: &str| known.eq_ignore_ascii_case(text) || page.is_some() && Origin::of(known) == page;
    listed.iter().any(|known| is(known)) || page.as_ref().is_some_and(|page| page.serves(handshake))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Request;

    use super::*;

    /// The head of a handshake: its target, `Host`, and what a layer knows of its scheme.
    fn handshake(target: &str, host: &[&str], scheme: Option<Scheme>) -> Parts {
        let mut request = Request::get(target);
        for host in host {
            request = request.header(header::HOST, *host);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Some(scheme) = scheme {
            parts.extensions.insert(scheme);
        }
        parts
    }

    fn is_allowed(mut handshake: Parts, origin: &str, listed: &[&str]) -> bool {
        handshake.headers.append(header::ORIGIN, origin.parse().unwrap());
        allows(&handshake, &listed.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_page_is_of_the_host_by_scheme_host_and_port() {
        for (origin, host, same) in [
            ("http://h", "h", true),
            ("https://h", "h", true),
            ("http://h", "h:80", true),
            ("http://h:80", "h", true),
            ("https://h", "h:443", true),
            ("https://h:443", "h", true),
            ("http://h", "h:443", false),
            ("https://h", "h:80", false),
            ("http://h:443", "h", false),
            ("http://h:8080", "h:8080", true),
            ("http://h:8080", "h:8081", false),
            ("http://h:8080", "h", false),
            ("http://h", "h:8080", false),
            ("HTTP://H.Example", "h.eXAMPLE:80", true),
            ("http://h.example", "example", false),
            ("http://h.example", "h.example.", false),
            ("http://127.0.0.1:1", "127.0.0.1:1", true),
            ("http://[::1]", "[::1]:80", true),
            ("http://[::1]:81", "[0:0:0:0:0:0:0:1]:81", true),
            ("https://[2001:DB8::a]", "[2001:db8:0::A]", true),
            ("http://[::1]", "[::2]", false),
            ("http://[::1", "[::1", false),
            ("http://h:", "h", true),
            ("http://h:080", "h", true),
            ("http://h:+80", "h:+80", false),
            ("http://h:65616", "h:65616", false),
            ("http://u@h", "u@h", false),
            ("http://h", "u@h", false),
            ("http://h/", "h", false),
            ("http://h http://h", "h", false),
            ("http://", "", false),
            ("http://:80", ":80", false),
            ("app://h", "h", false),
            ("null", "null", false),
            ("h", "h", false),
        ] {
            assert_eq!(is_allowed(handshake("/", &[host], None), origin, &[]), same, "{origin} at {host}");
        }
        assert!(!is_allowed(handshake("/", &[], None), "http://h", &[]));
        assert!(!is_allowed(handshake("/", &["h", "h"], None), "http://h", &[]));
    }

    #[test]
    fn a_page_of_another_scheme_is_another_where_the_scheme_is_known() {
        for (target, origin, same) in [
            ("http://h/", "http://h", true),
            ("http://h/", "https://h", false),
            ("https://h/", "https://h:443", true),
            ("https://h/", "http://h", false),
            ("https://h/", "http://h:443", false),
            ("ws://h:80/", "http://h", true),
            ("wss://h/", "https://h", true),
            ("wss://h/", "http://h", false),
            ("app://h/", "app://h", false),
            // The target goes before `Host`.
            ("http://h/", "http://other", false),
        ] {
            assert_eq!(
                is_allowed(handshake(target, &["other"], None), origin, &[]),
                same,
                "{origin} at {target}"
            );
        }
        // Who ends TLS before us may say so.
        for target in ["/", "http://h/"] {
            let secure = || handshake(target, &["h"], Some(Scheme::HTTPS));
            assert!(is_allowed(secure(), "https://h", &[]));
            assert!(!is_allowed(secure(), "http://h", &[]));
        }
    }

    #[test]
    fn pages_of_listed_origins_may_and_so_may_who_is_no_browser() {
        let listed = ["https://app.example", "http://x:8080", "app://local", "null"];
        for (origin, may) in [
            ("https://app.example", true),
            ("https://APP.example:443", true),
            ("http://app.example", false),
            ("http://app.example:443", false),
            ("https://app.example.evil", false),
            ("https://app.example:8443", false),
            ("http://x:8080", true),
            ("http://x", false),
            ("app://local", true),
            ("app://other", false),
            ("null", true),
            ("", false),
        ] {
            assert_eq!(is_allowed(handshake("/", &["h"], None), origin, &listed), may, "{origin}");
        }
        assert!(allows(&handshake("/", &["h"], None), &[]));
        let mut two = handshake("/", &["h"], None);
        two.headers.append(header::ORIGIN, "http://h".parse().unwrap());
        assert!(!is_allowed(two, "http://h", &["http://h"]));
    }
}
