//! From which address somebody asks. What proxies say counts only when they are known.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Once;

use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a connection; in the extensions of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The text is no list of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected addresses or networks, separated by commas, like 10.0.0.0/8,::1")]
pub struct ProxyError;

/// Proxies that say the truth about whom they ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    bits: u128,
    length: u32,
}

impl FromStr for TrustedProxies {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Result<Network, ProxyError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| ProxyError)?;
    let (most, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length: u32 = length.map_or(Ok(most), |length| length.parse().map_err(|_| ProxyError))?;
    if length > most {
        return Err(ProxyError);
    }
    Ok(Network { bits: bits(address), length: before + length })
}

/// The address that a proxy wrote: some write the port too, and then brackets around version 6.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bracketed)
}

/// An address of either version: of version 4 as one that is mapped to 6.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl TrustedProxies {
    fn has(&self, address: u128) -> bool {
        self.0.iter().any(|network| {
            let rest = 128 - network.length;
            (address ^ network.bits).checked_shr(rest).unwrap_or(0) == 0
        })
    }

    /// Whether the request came to a proxy that is known over TLS, as that one says.
    pub(crate) fn by_tls(&self, peer: Option<Peer>, headers: &HeaderMap) -> bool {
        let Some(Peer(peer)) = peer else { return false };
        if !self.has(bits(peer)) {
            return false;
        }
        let last = headers.get_all(FORWARDED_PROTO).iter().next_back();
        let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
        last.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
    }

    /// Who asks, as a number that stands for all addresses of one subscriber: one address of
    /// version 4, or the network of 64 bits that one of version 6 is in. 0 if nobody knows.
    ///
    /// Of `X-Forwarded-For` counts what the last proxy that is not known was seen at: whatever
    /// stands before it, it may have made up.
    pub(crate) fn subscriber(&self, peer: Option<Peer>, headers: &HeaderMap) -> u128 {
        let Some(Peer(peer)) = peer else { return 0 };
        let mut address = bits(peer);
        if !self.has(address) && headers.contains_key(FORWARDED_FOR) {
            warn_of_unnamed(peer);
        }
        if self.has(address) {
            let values = headers.get_all(FORWARDED_FOR).iter().rev();
            let hops = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
            for hop in hops {
                // A proxy that says what is no address is the last that is known.
                let Some(hop) = hop_address(hop.trim()) else { break };
                address = bits(hop);
                if !self.has(address) {
                    break;
                }
            }
        }
        of_subscriber(address)
    }

    /// The same of whoever is at the other end of a connection; nobody for a proxy that is known.
    pub(crate) fn subscriber_at(&self, peer: IpAddr) -> Option<u128> {
        let address = bits(peer);
        (!self.has(address)).then(|| of_subscriber(address))
    }
}

fn of_subscriber(address: u128) -> u128 {
    match Ipv6Addr::from_bits(address).to_ipv4_mapped() {
        Some(_) => address,
        None => address & (u128::MAX << 64),
    }
}

/// Says once that somebody unknown asks for others: anybody can, but a proxy that was forgotten does,
/// and then all who come through it share one budget.
fn warn_of_unnamed(peer: IpAddr) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            %peer,
            "a request has X-Forwarded-For and comes from an address that is not among the trusted \
             proxies: if it is a proxy of yours, name it with EVENTLY_TRUSTED_PROXIES, or all who \
             come through it are counted as one; this is said once"
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(proxies: &str, peer: &str, forwarded: &[&str]) -> u128 {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: TrustedProxies = proxies.parse().unwrap();
        proxies.subscriber(Some(Peer(peer.parse().unwrap())), &headers)
    }

    fn v4(text: &str) -> u128 {
        bits(text.parse().unwrap())
    }

    #[test]
    fn what_a_proxy_says_counts_if_it_is_known() {
        let table: &[(&str, &str, &[&str], &str)] = &[
            ("", "10.0.0.1", &["1.2.3.4"], "10.0.0.1"),
            ("10.0.0.0/8", "11.0.0.1", &["1.2.3.4"], "11.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", "10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", "10.0.0.2", &["1.2.3.4"], "10.0.0.2"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1"),
            // What the client made up stands first.
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9, nonsense"], "10.0.0.1"),
            ("0.0.0.0/0", "10.0.0.1", &["9.9.9.9, 1.2.3.4"], "9.9.9.9"),
            ("10.0.0.0/8", "10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["9.9.9.9, 1.2.3.4:5678, 10.0.0.2:1"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["[::ffff:1.2.3.4]:5678"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["[::ffff:1.2.3.4]"], "1.2.3.4"),
            ("10.0.0.0/8", "10.0.0.1", &["[1.2.3.4]"], "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["1.2.3.4:567890"], "10.0.0.1"),
        ];
        for (proxies, peer, forwarded, expected) in table {
            let found = subscriber(proxies, peer, forwarded);
            assert_eq!(found, v4(expected), "{proxies} {peer} {forwarded:?}");
        }
    }

    #[test]
    fn that_it_came_by_tls_a_known_proxy_says() {
        for (proxies, said, expected) in [
            ("10.0.0.0/8", &["https"][..], true),
            ("10.0.0.0/8", &["http, HTTPS"], true),
            ("10.0.0.0/8", &["http", "https"], true),
            ("10.0.0.0/8", &["https, http"], false),
            ("10.0.0.0/8", &["https", "http"], false),
            ("10.0.0.0/8", &[], false),
            ("", &["https"], false),
            ("11.0.0.0/8", &["https"], false),
        ] {
            let proxies: TrustedProxies = proxies.parse().unwrap();
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(FORWARDED_PROTO, value.parse().unwrap());
            }
            let peer = Some(Peer("10.0.0.1".parse().unwrap()));
            assert_eq!(proxies.by_tls(peer, &headers), expected, "{said:?}");
            assert!(!proxies.by_tls(None, &headers));
        }
    }

    #[test]
    fn a_subscriber_has_a_whole_network_of_version_6() {
        let one = subscriber("", "2001:db8::1", &[]);
        assert_eq!(one, subscriber("", "2001:db8::ffff:2", &[]));
        assert_ne!(one, subscriber("", "2001:db8:0:1::1", &[]));
        assert_eq!(one, subscriber("::1", "::1", &["2001:db8::7"]));
        assert_eq!(TrustedProxies::default().subscriber(None, &HeaderMap::new()), 0);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["x", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0", "10.0.0.1;10.0.0.2"] {
            assert_eq!(wrong.parse::<TrustedProxies>(), Err(ProxyError), "{wrong}");
        }
    }
}
