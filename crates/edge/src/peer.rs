//! Where a request comes from: whose quota it counts against where nobody has said who calls.

use http::HeaderMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other end of the connection, in a request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Names the caller by its address. Behind a proxy that is the address that the proxy saw: the last one in `X-Forwarded-For`, for
/// all before it are what the caller says of itself. A network of IPv6 is one caller: it has as many addresses as it likes.
pub(crate) fn name(peer: Option<Peer>, headers: &HeaderMap, behind_proxy: bool) -> String {
    let forwarded = behind_proxy.then(|| forwarded(headers)).flatten();
    match forwarded.or(peer.map(|peer| peer.0)).map(|address| address.to_canonical()) {
        None => "unknown".into(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let network = address.to_bits() >> 64 << 64;
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
    }
}

fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next().unwrap_or(last).trim();
    last.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn named(address: &str, headers: &HeaderMap, behind_proxy: bool) -> String {
        name(Some(Peer(address.parse().unwrap())), headers, behind_proxy)
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let name = http::HeaderName::from_static("x-forwarded-for");
        values.iter().map(|value| (name.clone(), http::HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(named(address, &HeaderMap::new(), false), expected, "{address}");
        }
        assert_eq!(name(None, &HeaderMap::new(), true), "unknown");
    }

    #[test]
    fn only_a_proxy_is_believed_and_only_what_it_saw_itself() {
        let said = headers(&["203.0.113.1", "198.51.100.2, 192.0.2.9"]);
        assert_eq!(named("10.0.0.1", &said, false), "10.0.0.1");
        assert_eq!(named("10.0.0.1", &said, true), "192.0.2.9");
        assert_eq!(named("10.0.0.1", &headers(&["[2001:db8::1]:4711"]), true), "2001:db8::/64");
        assert_eq!(named("10.0.0.1", &headers(&["192.0.2.9:4711"]), true), "192.0.2.9");
        assert_eq!(named("10.0.0.1", &headers(&["192.0.2.9, unknown"]), true), "10.0.0.1");
    }
}
